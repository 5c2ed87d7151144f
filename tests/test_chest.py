"""The chest X-ray configurations, multi-label scoring, and the benchmark at ChestMNIST's size."""

import importlib
import runpy
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from configurations import WHOLE
from sklearn.metrics import roc_auc_score

from fedsieve import registry
from fedsieve.__main__ import parser
from fedsieve.archives import read_npz
from fedsieve.artifacts import (
    read_json,
    write_data,
    write_json,
    write_partition,
    write_poisoning,
    write_verdict,
)
from fedsieve.datasets.chestmnist import FINDINGS, N_CLASSES
from fedsieve.features import MAX_FEATURES, extract
from fedsieve.poisonings import empty
from fedsieve.records import Dataset, Partition, keeping

ROOT = Path(__file__).parents[1]
CHEST, QUICK = WHOLE["chest.yaml"], WHOLE["chest-quick.yaml"]
SCALE = runpy.run_path(str(ROOT / "benchmarks/chest_scale.py"))


def read(mirror, task):
    return registry.bind("datasets", QUICK["tasks"][task]["dataset"], "read")(mirror)


@pytest.mark.parametrize("attack", ["flip-mass-to-nodule", "hybrid"])
def test_table_2_flips_mass_to_nodule(attack):
    names = [FINDINGS[CHEST["attacks"][attack][key]] for key in ("source", "target")]
    assert names == ["mass", "nodule"]


def test_fdsd_clusters_chest_xrays_into_as_many_clusters_as_classes():
    found = {s["n_clusters"] for s in CHEST["sanitizers"].values() if "n_clusters" in s}
    assert found == {N_CLASSES} == {8}


@pytest.mark.parametrize(("layer", "n_values"), [("layer1", 64 * 3 * 3), ("layer2", 128 * 2 * 2)])
def test_the_layers_that_fdsd_may_see_are_pooled_as_the_configuration_says(layer, n_values):
    model = registry.bind("models", CHEST["tasks"]["chestmnist"]["model"], "build")((1, 28, 28), 8)
    found = extract(model, torch.zeros(2, 1, 28, 28, dtype=torch.uint8), layer)
    assert found.shape == (2, n_values)
    assert n_values <= MAX_FEATURES


@pytest.mark.parametrize("config", [CHEST, QUICK])
def test_no_multi_label_task_meets_a_sanitizer_that_needs_single_labels(config):
    multi = {k for k, t in config["tasks"].items() if t["dataset"].get("labels") == "multi"}
    for grid in config["grids"].values():
        if multi & {*grid["task"]}:
            named = [config["defenses"].get(name, {}).get("sanitize") for name in grid["defense"]]
            assert all(name is None or "oracle" in config["sanitizers"][name] for name in named)


def test_the_hybrid_on_two_classes_finds_samples_for_both_of_its_attacks():
    labels = np.repeat([0, 1], [26, 74])  # a client's share: 74 % pneumonia
    data = Dataset(np.zeros((100, 1, 28, 28), np.uint8), labels, ("normal", "pneumonia"))
    poison = registry.bind(
        "attacks", QUICK["attacks"]["hybrid"], "poison", rng=np.random.default_rng(0)
    )
    kinds, counts = np.unique(poison(data, np.arange(100)).kind, return_counts=True)
    assert dict(zip(kinds, counts, strict=True)) == {"flip": 37, "backdoor": 20}


@pytest.mark.parametrize(
    ("task", "train", "test"), [("pneumonia", 4708, 624), ("nih", 164, 45), ("nih-multi", 725, 181)]
)
def test_real_chest_xrays_are_as_many_as_the_configuration_says(mirror, task, train, test):
    assert [len(split.images) for split in read(mirror, task)] == [train, test]


def test_constant_answers_on_real_chest_xrays_score_what_the_configuration_says(mirror):
    pneumonia, nih, multi = (read(mirror, task) for task in ("pneumonia", "nih", "nih-multi"))
    assert np.mean(pneumonia[1].labels == 1) == 0.625
    largest = np.bincount(nih[0].labels).argmax()
    assert round(np.mean(nih[1].labels == largest), 2) == 0.22
    assert round(np.bincount(nih[1].labels).max() / 45, 2) == 0.31
    assert round(np.mean(multi[1].labels == 0), 3) == 0.925


def test_classes_of_the_real_images_are_named_as_chestmnist_names_them(mirror):
    assert [*read(mirror, "nih-multi")[0].classes] == FINDINGS
    assert [*read(mirror, "nih")[0].classes] == FINDINGS[:N_CLASSES]


def test_rare_classes_of_the_real_images_are_as_rare_as_the_configuration_says(mirror):
    train, test = read(mirror, "nih")
    assert np.bincount(train.labels)[[4, 6, 7]].tolist() == [4, 1, 11]
    assert np.bincount(test.labels)[4] == 2


LABELS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0], [1, 1, 0]], np.uint8)
SAID = np.array([[2, -1, -1], [-2, -2, -1], [1, -3, -1], [3, 1, 1]], np.float32)
"""Right: 3, 2, 2 and 2 of the 3 labels."""


@pytest.fixture(scope="module")
def scored(tmp_path_factory, stage):
    """Metrics of a multi-label scenario of two rounds, the first of which says nothing."""
    at = tmp_path_factory.mktemp("multi")
    data = Dataset(np.zeros((4, 1, 4, 4), np.uint8), LABELS, ("a", "b", "c"))
    write_data(at / "data.npz", data, data)
    write_partition(at / "clients.npz", Partition(np.array([0, 0, 1, 1]), 2))
    write_poisoning(at / "poisoning.npz", empty(data))
    # of images 0 and 3, which have a, only 0 has no b: the flip a to b asks for it alone
    rounds = {"test": np.stack([0 * LABELS, (SAID > 0).astype(np.uint8)])}
    rounds["probe.flip"] = np.array([[[0, 0, 0]], [[1, 1, 0]]], np.uint8)
    np.savez(at / "predictions.npz", **rounds, rounds=np.array([1, 2]), scores=SAID)
    log = "round,client,sampled,n_samples,weight,loss,score,detected,screened,benign,in_domain\n"
    rows = [f"{r},{c},True,2,0.5,1.0,,False,False,True,True\n" for r in (1, 2) for c in (0, 1)]
    (at / "clients.csv").write_text(log + "".join(rows), encoding="utf-8")
    nothing = {"sanitized": np.array(False), "bytes": np.array(0)}
    write_verdict(at / "kept.npz", keeping(np.ones(4, bool)), **nothing)
    write_json(at / "floor.json", {"accuracy_unattacked": 0.5, "asr_floor": 0.25})
    np.savez(at / "screened.npz")
    names = ("data", "clients", "poisoning", "predictions", "kept", "screened")
    stage("evaluate")(
        **{name: at / f"{name}.npz" for name in names},
        clients_log=at / "clients.csv",
        floor=at / "floor.json",
        attack={"use": "label_flip", "source": 0, "target": 1},
        last_rounds=1,
        rounds=at / "rounds.csv",
        metrics_file=at / "metrics.json",
    )
    return read_json(at / "metrics.json")


def test_multi_label_accuracy_is_the_mean_of_all_labels_beside_its_trivial_value(scored):
    assert scored["accuracy"] == pytest.approx(9 / 12)
    assert scored["accuracy_trivial"] == pytest.approx(8 / 12)  # 4 of 12 are yes
    assert scored["accuracy_lost"] == pytest.approx(0.5 - 9 / 12)


def test_auc_of_a_scenario_is_scikit_learns_over_the_labels_that_occur(scored):
    assert scored["auc"] == pytest.approx(roc_auc_score(LABELS[:, :2], SAID[:, :2]))
    assert scored["auc"] == pytest.approx((4 / 4 + 3 / 4) / 2)


def test_nobody_malicious_is_in_any_cohort_of_a_run_without_attackers(scored):
    assert scored["malicious_per_cohort"] == 0


def test_multi_label_attack_success_is_that_of_the_probe_and_its_excess_over_the_floor(scored):
    assert (scored["asr"], scored["asr_excess"]) == (1.0, 0.75)
    assert scored["source_recall"] == 1.0


@pytest.mark.parametrize("job", SCALE["JOBS"])
def test_the_benchmark_runs_stages_by_flags_that_they_have(job):
    quoted = dict.fromkeys([*SCALE["SPECS"], "dataset"], "'{}'")
    stage = getattr(importlib.import_module(f"fedsieve.stages.{job}"), job)
    parser(stage).parse_args(shlex.split(SCALE["JOBS"][job].format(**quoted)))


@pytest.mark.parametrize("given", [False, True])
def test_the_benchmarks_archive_is_a_chest_data_set(tmp_path, monkeypatch, given):
    make = SCALE["write_archive"]
    monkeypatch.setitem(make.__globals__, "SIZES", {"train": 300, "val": 5, "test": 60})
    table = {
        f"{s}_labels": np.eye(9, dtype=np.uint8)[np.arange(n) % 9]
        for s, n in (("train", 27), ("val", 9), ("test", 18))
    }
    np.savez(tmp_path / "labels.npz", **table)
    make(tmp_path / "chest.npz", tmp_path / "labels.npz" if given else None, [0.5, 0.1])
    train, test = read_npz(tmp_path / "chest.npz", labels="multi")
    assert (len(train.images), len(test.images)) == ((27, 18) if given else (300, 60))
    if given:
        assert (train.labels == table["train_labels"]).all()
    else:
        assert train.labels.mean(axis=0) == pytest.approx([0.5, 0.1], abs=0.1)
    first, second = (train.images[train.labels[:, k] == 1].mean(axis=0) for k in (0, 1))
    assert np.abs(first - second).max() > 10  # a pattern for each label
