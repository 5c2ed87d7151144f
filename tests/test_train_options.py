"""What a training job writes besides its model: tests now and then, snapshots, local models."""

import importlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from fedsieve.artifacts import read_data, read_json, read_poisoning
from fedsieve.engine.holdings import Holdings
from fedsieve.errors import InputError
from fedsieve.records import is_predicted

pytestmark = pytest.mark.xdist_group("train_options")

MCDFL = {"use": "mcdfl", "hidden": 4, "quality": "direct", "before_rounds": [2, 6]}


@pytest.fixture(scope="module")
def written(tmp_path_factory, training, stage):
    """Arguments of a finished job: five rounds by MCDFL, screened before round 2 and at the end."""
    folder = tmp_path_factory.mktemp("trained")
    arguments = training(folder, rounds=5, keep=[])
    arguments["task"] |= {"tested_every": 2, "snapshots": [2, 5], "local_accuracy": True}
    arguments["defense"] = {"detect": MCDFL, "aggregate": {"use": "fedavg"}}
    stage("train")(**arguments)
    return arguments


@pytest.fixture(scope="module")
def predicted(written):
    with np.load(written["predictions"]) as content:
        return dict(content)


def test_every_second_round_and_the_last_are_tested(predicted):
    assert predicted["rounds"].tolist() == [2, 4, 5]
    assert len(predicted["test"]) == len(predicted["probe.flip"]) == len(predicted["local"]) == 3


def test_the_local_models_of_a_cohort_predict_their_clients_samples_alone(written, predicted):
    log = pd.read_csv(written["clients_log"])
    with np.load(written["clients"]) as content:
        client = content["client"]
    for number, row in zip(predicted["rounds"], predicted["local"], strict=True):
        cohort = log[(log["round"] == number) & log["sampled"]]["client"]
        np.testing.assert_array_equal(is_predicted(row), np.isin(client, cohort))


def test_each_client_of_a_cohort_has_an_even_share_of_the_test_set(written, predicted):
    _, test = read_data(written["data"])
    cohort = pd.read_csv(written["clients_log"]).groupby("round")["sampled"].sum()
    for number, row in zip(predicted["rounds"], predicted["local_test"], strict=True):
        share = cohort[number] * len(test.labels) / 5
        assert abs(is_predicted(row).sum() - share) < 4


def test_snapshots_hold_the_model_and_what_the_server_knows_but_no_clients_own_head(written):
    saved = load_file(written["snapshots"])
    assert {name.split(".")[0] for name in saved} == {"round2", "round5"}
    model = load_file(written["model"])
    for name, tensor in model.items():
        np.testing.assert_array_equal(saved[f"round5.model.{name}"], tensor)
    assert saved["round5.detector.features"].shape == (10, 16)
    assert not [name for name in saved if "own_" in name]


def test_clients_are_screened_before_the_rounds_of_the_schedule_and_flags_hold(written):
    log = pd.read_csv(written["clients_log"])
    assert len(log) == 5 * 5
    assert log.groupby("round")["screened"].first().tolist() == [False, True, False, False, False]
    flags = log.pivot(index="round", columns="client", values="benign")
    assert flags.loc[1].all()
    assert (flags.loc[2:] == flags.loc[2]).all().all()
    banned = set(flags.columns[~flags.loc[2]])
    assert banned
    assert not banned & set(log[(log["round"] > 1) & log["sampled"]]["client"])


def test_the_screening_after_the_last_round_is_for_the_record(written):
    with np.load(written["screened"]) as content:
        assert {name.split(".")[0] for name in content} == {"round2", "round6"}
        assert content["round6.benign"].shape == content["round6.scores"].shape == (5,)
        # a client reports two numbers of 8 bytes and gets the classes of 10 vectors of features
        # and the generator: 10 x 4 + 4 and 4 x 16 + 16 numbers of 4 bytes
        assert content["round2.bytes"] == 5 * (16 + 10 * 8 + 4 * (44 + 80))


def test_local_accuracy_is_scored_on_the_labels_held_and_on_the_true_ones(
    written, predicted, stage, tmp_path
):
    score(written, stage, tmp_path)
    rounds = pd.read_csv(tmp_path / "rounds.csv", index_col="round")
    train, test = read_data(written["data"])
    held = read_poisoning(written["poisoning"]).apply(train).labels
    assert rounds.index.tolist() == [2, 4, 5]
    for i, number in enumerate(rounds.index):
        seen = is_predicted(predicted["local"][i])
        said = predicted["local"][i][seen]
        assert rounds["local_train"][number] == pytest.approx((said == held[seen]).mean())
        clean = (said == train.labels[seen]).mean()
        assert rounds["local_train_clean"][number] == pytest.approx(clean)
        tested = is_predicted(predicted["local_test"][i])
        right = predicted["local_test"][i][tested] == test.labels[tested]
        assert rounds["local_test"][number] == pytest.approx(right.mean())


def test_flags_are_scored_in_each_tested_round_and_at_the_end(written, stage, tmp_path):
    found = score(written, stage, tmp_path)
    rounds = pd.read_csv(tmp_path / "rounds.csv", index_col="round")
    log = pd.read_csv(written["clients_log"])
    malicious = read_poisoning(written["poisoning"]).malicious
    last = log[log["round"] == 5].set_index("client")["benign"]
    assert rounds["detection.recall"][5] == pytest.approx((~last[malicious]).mean())
    with np.load(written["screened"]) as content:
        flagged = np.flatnonzero(~content["round6.benign"])  # by the final model
    caught = np.isin(malicious, flagged).mean()
    wrongly = len(np.setdiff1d(flagged, malicious)) / (5 - len(malicious))
    assert found["screening.recall"] == pytest.approx(caught)
    assert found["screening.false_positive_rate"] == pytest.approx(wrongly)
    assert found["screening.inverted"] == float(caught < wrongly)
    cohort = log[(log["round"] == 4) & log["sampled"]]["client"]
    assert rounds["malicious_share"][4] == pytest.approx(cohort.isin(malicious).mean())


def score(written, stage, folder):
    """Metrics of the trained scenario, and its rounds.csv in the folder."""
    read = {
        k: written[k] for k in ("data", "clients", "poisoning", "predictions", "kept", "screened")
    }
    read |= {"clients_log": written["clients_log"], "attack": written["attack"]}
    floor = folder / "floor.json"
    floor.write_text('{"accuracy_unattacked": 0.9, "asr_floor": 0.0}', encoding="utf-8")
    made = {"rounds": folder / "rounds.csv", "metrics_file": folder / "metrics.json"}
    stage("evaluate")(**read, **made, floor=floor, last_rounds=1)
    return read_json(folder / "metrics.json")


SOURCES = """
from fedsieve.attacks import label_flip

def probe(test, *, source):
    return label_flip.probe(test, source=source[0], target=2)
"""


def test_the_recall_of_a_source_is_scored_where_source_is_one_class(
    plugin, written, stage, tmp_path
):
    assert score(written, stage, tmp_path)["source_recall"] is not None
    plugin("attacks", "sources", SOURCES)
    several = {"use": "sources", "source": [3, 1]}
    found = score(written | {"attack": several}, stage, tmp_path)
    assert found["asr"] is not None
    assert "source_recall" not in found


def test_a_source_of_a_part_is_scored_as_one_of_an_attack_alone(written, stage, tmp_path):
    alone = score(written, stage, tmp_path)["source_recall"]
    joined = {"use": "hybrid", "parts": [{"use": "unattacked"}, written["attack"]]}
    assert score(written | {"attack": joined}, stage, tmp_path)["source_recall"] == alone


def test_without_a_screening_at_the_end_the_flags_that_held_last_are_scored(
    written, stage, tmp_path
):
    nothing = tmp_path / "nothing.npz"
    np.savez(nothing)
    found = score(written | {"screened": nothing}, stage, tmp_path)
    rounds = pd.read_csv(tmp_path / "rounds.csv", index_col="round")
    assert found["screening.recall"] == rounds["detection.recall"][5]


def test_a_run_whose_loss_is_no_number_any_more_has_diverged(training, written, stage, tmp_path):
    assert score(written, stage, tmp_path)["diverged"] == 0
    wild = training(tmp_path, rounds=4, keep=[])
    wild["task"]["local"] = wild["task"]["local"] | {"lr": 1e12}
    stage("train")(**wild)
    # the first round's loss is that of the initial model; what it makes of it is no number
    assert score(wild, stage, tmp_path)["diverged"] >= 0.5


def test_local_accuracy_of_several_labels_is_refused_before_any_training(
    written, stage, monkeypatch
):
    train, test = read_data(written["data"])
    several = replace(train, labels=np.eye(10, dtype=np.uint8)[train.labels])
    held = Holdings(several, test, [np.arange(9)], frozenset())
    module = importlib.import_module("fedsieve.stages.train")
    monkeypatch.setattr(module, "read_training", lambda *_: held)
    with pytest.raises(InputError, match="local_accuracy: true needs one label per sample"):
        stage("train")(**written)


BACKWARDS = """
import numpy as np

from fedsieve.records import Screening


def flag(reports, state, *, n_clients):
    found = {"points": np.arange(6.0).reshape(3, 2)[:, ::-1], "count": np.array(3)}
    return Screening(np.ones(n_clients, bool), np.ones(n_clients), found)
"""


def test_what_a_detector_found_is_recorded_though_it_is_a_view(plugin, stage, training, tmp_path):
    plugin("detectors", "backwards", BACKWARDS)
    arguments = training(tmp_path, rounds=1, keep=[])
    arguments["defense"] = {"detect": {"use": "backwards"}, "aggregate": {"use": "fedavg"}}
    stage("train")(**arguments)
    with np.load(arguments["screened"]) as found:
        assert found["round1.points"].tolist() == [[1, 0], [3, 2], [5, 4]]
        assert found["round1.count"].shape == ()
