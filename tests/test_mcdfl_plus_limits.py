import runpy
from pathlib import Path

import numpy as np
import pytest

from fedsieve.records import Dataset

LIMITS = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks/mcdfl_plus_limits.py"))
SCENARIOS = LIMITS["scenarios"]([(0, 1), (1, 2)])
ALIKE = {"use": "iid"}


def relabeled(name, labels, number=0):
    _, relabel = SCENARIOS[name]
    return relabel(np.array(labels), number, np.random.default_rng(0))


def test_a_flip_takes_its_share_of_the_source_class_and_nothing_else():
    labels = [0] * 10 + [1] * 10 + [2] * 10
    for share, wrong in (("100%", 10), ("50%", 5), ("20%", 2)):
        found = relabeled(f"flip 0 to 1, {share}", labels)
        assert (found[:10] == 1).sum() == wrong
        assert found[10:].tolist() == labels[10:]


def test_scenarios_of_several_flips_do_what_they_say():
    assert relabeled("swap", [0, 1, 2]).tolist() == [1, 0, 2]
    assert relabeled("two flips each", [0, 1, 2]).tolist() == [1, 2, 2]
    assert relabeled("two groups", [0, 1, 2], number=0).tolist() == [1, 1, 2]
    assert relabeled("two groups", [0, 1, 2], number=1).tolist() == [0, 2, 2]


def test_random_labels_are_half_of_all_before_some_hit_the_true_class():
    labels = np.zeros(3000, int)
    labels[-1] = 2  # three classes, so that a third of the drawn labels are true
    wrong = (relabeled("half of all labels random", labels) != labels).mean()
    assert wrong == pytest.approx(1 / 3, abs=0.03)


@pytest.mark.parametrize(("name", "f1"), [("swap", 1), ("flip 0 to 1, 100%", 1)])
def test_a_model_that_knows_every_image_finds_all_attackers_of_a_draw(name, f1):
    labels = np.arange(3000) % 3
    data = Dataset(np.zeros((3000, 1, 1, 1), np.uint8), labels, ("a", "b", "c"))
    logits = np.eye(3, dtype=np.float32)[labels] * 5
    how, relabel = SCENARIOS[name]
    plan = {"partition": how, "relabel": relabel, "ratio": 0.2}
    found = LIMITS["draw"](logits, data, 20, 1, **plan)
    assert (found["f1"], found["yardstick"], found["f1_false"]) == (f1, 1, 0)


def test_without_attackers_nobody_is_flagged_and_no_f1_is_defined():
    labels = np.arange(3000) % 3
    data = Dataset(np.zeros((3000, 1, 1, 1), np.uint8), labels, ("a", "b", "c"))
    logits = np.eye(3, dtype=np.float32)[labels] * 5
    found = LIMITS["draw"](logits, data, 20, 1, partition=ALIKE, relabel=None, ratio=0.0)
    assert found["f1"] is None
    assert found["f1_false"] == 0
