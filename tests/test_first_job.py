"""What only data or a model can tell is refused by the first job that knows it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from fedsieve import checks
from fedsieve.engine import federation
from fedsieve.engine.holdings import read_training
from fedsieve.errors import InputError
from fedsieve.rounds import Defense, Sampling

BATCH_NORM = {"use": "cnn_bn", "blocks": [[4]]}


def federated(held, task):
    defense = Defense({"use": "fedavg"})
    where = torch.device("cpu")
    return federation.build(held, task, defense, Sampling(2), seed=1, device=where, workers=1)


@pytest.fixture
def held(scenario):
    paths = (scenario / f"{name}.npz" for name in ("data", "clients", "poisoning"))
    return read_training(*paths)


def sized(task, batch_size, **changed):
    return task | {"local": task["local"] | {"batch_size": batch_size}} | changed


def test_a_batch_of_one_is_refused_where_a_model_normalizes_batches(held, training, tmp_path):
    task = training(tmp_path)["task"]
    with pytest.raises(InputError, match=r"local\.batch_size: 1 is too few for the batch normal"):
        federated(held, sized(task, 1, model=BATCH_NORM))
    federated(held, sized(task, 1))
    federated(held, sized(task, 2, model=BATCH_NORM))


def test_clients_of_one_sample_each_are_refused_where_a_batch_of_one_is_left_out(
    held, training, tmp_path
):
    task = training(tmp_path)["task"]
    alone = replace(held, rows=[rows[:1] for rows in held.rows])
    with pytest.raises(InputError, match=r"no client has more than one sample.*nobody would train"):
        federated(alone, sized(task, 2))
    federated(alone, sized(task, 1))
    two = replace(held, rows=[held.rows[0][:2], *alone.rows[1:]])
    federated(two, sized(task, 2))


@pytest.fixture
def several(tmp_path):
    """Arguments of the job that reads an archive of several labels per sample."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 40), ("test", 20)):
        arrays[f"{split}_images"] = rng.integers(0, 256, (n, 8, 8), dtype=np.uint8)
        arrays[f"{split}_labels"] = rng.integers(0, 2, (n, 3))
    np.savez(tmp_path / "mine.npz", **arrays)
    dataset = {"use": "npz", "file": "mine.npz", "labels": "multi"}
    return {"dataset": dataset, "root": tmp_path, "receipt": tmp_path / "source.json"}


def test_data_of_several_labels_are_refused_when_read_if_a_method_needs_one(
    several, stage, tmp_path, monkeypatch
):
    stage("fetch")(**several)
    wanting = {"scans": "fdsd (sanitizers/cluster_majority.py) (grids.g.defense)"}
    monkeypatch.setenv(checks.SINGLE_LABEL, json.dumps(wanting))
    said = "tasks.scans.dataset: several labels per sample, and fdsd .* needs one; drop it"
    with pytest.raises(InputError, match=said):
        stage("data")(**several, data=tmp_path / "data.npz", label="scans")
    assert not (tmp_path / "data.npz").exists()
    stage("data")(**several, data=tmp_path / "data.npz", label="other")


def test_no_warm_up_is_trained_on_data_that_a_method_cannot_use(
    several, stage, training, tmp_path, monkeypatch
):
    stage("fetch")(**several)
    files = {name: tmp_path / f"{name}.npz" for name in ("data", "clients", "poisoning")}
    stage("data")(**several, data=files["data"])
    read = {"data": files["data"], "clients": files["clients"]}
    stage("partition")(**read, partition={"use": "iid"}, n_clients=4, seed=1)
    attack = {"use": "label_flip", "source": 1, "target": 2}
    stage("poison")(**files, attack=attack, ratio=0.5, seed=1)
    monkeypatch.setenv(checks.SINGLE_LABEL, json.dumps({"scans": "fdsd"}))
    task = training(tmp_path)["task"]
    with pytest.raises(InputError, match="several labels per sample, and fdsd needs one"):
        stage("warmup")(
            **files, task=task, seed=1, encoder=tmp_path / "encoder.safetensors", label="scans"
        )


@pytest.mark.parametrize(
    ("sanitizer", "said"),
    [
        ([[1, ["conv2"]], [3, ["block9"]]], "features: 'block9' is no layer of this model"),
        ([[1, ["conv2"]], [3, ["raw", "conv2"]]], r"features: raw\+conv2: .* looks at one layer"),
    ],
)
def test_what_a_sanitizer_cannot_use_in_a_late_round_is_refused_before_the_first(
    training, stage, tmp_path, capsys, sanitizer, said
):
    method = {"use": "cluster_majority", "n_clusters": 4}
    how = {"keep": [], "sanitizer": {"method": method, "judgements": sanitizer}}
    with pytest.raises(InputError, match=said):
        stage("train")(**training(tmp_path, **how))
    assert "round 1/" not in capsys.readouterr().out


def test_a_sieve_that_will_need_the_networks_output_says_so_before_the_first_round(
    training, stage, tmp_path, capsys
):
    method = {"use": "sieve", "by": ["clusters", "network"]}
    judgements = [[1, ["conv2"]], [3, ["conv2"]]]
    how = {"keep": [], "sanitizer": {"method": method, "judgements": judgements}}
    with pytest.raises(InputError, match="by: network needs output among the features, not conv2"):
        stage("train")(**training(tmp_path, **how))
    assert "round 1/" not in capsys.readouterr().out
