import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from fedsieve.artifacts import read_data, read_partition, read_poisoning
from fedsieve.engine.models import initial_model
from fedsieve.errors import InputError
from fedsieve.features import predict

pytestmark = pytest.mark.xdist_group("screen")

MCDFL = {"use": "mcdfl", "hidden": 4}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, training, stage):
    """Arguments of a finished run by MCDFL, screened before its last two rounds and at the end."""
    arguments = training(tmp_path_factory.mktemp("run"), rounds=3, keep=[])
    arguments["task"] |= {"snapshots": [2, 3]}
    detect = {**MCDFL, "before_rounds": [3, 4]}
    arguments["defense"] = {"detect": detect, "aggregate": {"use": "fedavg"}}
    stage("train")(**arguments)
    return arguments


@pytest.fixture
def screened(trained, stage, tmp_path):
    """What a detector finds by the model of a round of that run."""

    def screened(detector, after_round=2):
        read = {k: trained[k] for k in ("data", "clients", "poisoning", "snapshots", "seed")}
        model = trained["task"]["model"]
        at = {"after_round": after_round, "screened": tmp_path / "s.npz", "device": "cpu"}
        stage("screen")(**read, **at, model=model, detector=detector)
        with np.load(tmp_path / "s.npz") as content:
            return dict(content)

    return screened


@pytest.mark.parametrize("after_round", [2, 3])
def test_screening_afterwards_finds_what_screening_in_training_found(
    trained, screened, after_round
):
    found = screened(MCDFL, after_round)
    if after_round == 3:
        with np.load(trained["screened"]) as content:
            wanted = content["round4.scores"], content["round4.benign"]
    else:
        wanted = logged(trained, 3)
    np.testing.assert_allclose(found["scores"], wanted[0])
    np.testing.assert_array_equal(found["benign"], wanted[1])


def logged(trained, number):
    log = pd.read_csv(trained["clients_log"])
    rows = log[log["round"] == number]
    return rows["score"].to_numpy(), rows["benign"].to_numpy()


def test_what_every_client_reported_is_kept(trained, screened):
    found = screened(MCDFL)
    held = read_partition(trained["clients"])
    sizes = [len(held.rows(client)) for client in range(held.n_clients)]
    assert found["report.samples"].tolist() == sizes
    np.testing.assert_allclose(found["scores"], found["report.right"] / sizes)


def test_another_detector_than_the_runs_learns_from_the_model_alone(trained, screened):
    direct = screened({"use": "mcdfl", "hidden": 64, "quality": "direct"})
    generated = screened({"use": "mcdfl", "hidden": 64})
    # the fresh generator has learned what the predictor calls each class it can call
    assert np.abs(direct["scores"] - generated["scores"]).max() < 0.35
    assert direct["report.right"].sum() == right(trained)


def right(trained):
    """Samples whose label, as held, the model of round 2 gives them."""
    train, _ = read_data(trained["data"])
    held = read_poisoning(trained["poisoning"]).apply(train)
    model = initial_model(trained["task"]["model"], train, 0)
    saved = load_file(trained["snapshots"])
    prefix = "round2.model."
    model.load_state_dict({k[len(prefix) :]: t for k, t in saved.items() if k.startswith(prefix)})
    return (predict(model, torch.from_numpy(held.images), multi_label=False) == held.labels).sum()


def test_a_round_without_a_snapshot_is_an_error_that_says_what_to_do(screened):
    with pytest.raises(InputError, match=r"no model of round 1; add it to snapshots"):
        screened(MCDFL, 1)


def test_broken_snapshots_are_an_error(trained, screened):
    content = trained["snapshots"].read_bytes()
    trained["snapshots"].write_bytes(content[: len(content) // 2])
    try:
        with pytest.raises(InputError, match=r"snapshots.safetensors: not a usable.* again"):
            screened(MCDFL)
    finally:
        trained["snapshots"].write_bytes(content)
