import dataclasses

import pytest
import torch

from fedsieve import costs
from fedsieve.costs import Line, Pace, Size

SIZE = Size(train=1000, test=200, shape=(1, 8, 8), classes=("a", "b"), multi_label=False, clients=5)
PACE = Pace(
    round=Line(0.5, 0.25), screen=Line(1.0, 0.001), judge=[Line(0.0, 0.002)] * 2, image=0.01
)
SGD = {"epochs": 2, "batch_size": 32, "lr": 0.1}
TASK = {
    "model": {"use": "cnn2", "padding": 1, "hidden": 8, "channels": [2, 4]},
    "cohort": 2,
    "rounds": 10,
    "local": SGD,
}
PLAIN = {"aggregate": {"use": "fedavg"}}


def test_a_line_goes_through_two_points_and_neither_falls_nor_starts_below_zero():
    assert Line.through((2, 5.0), (6, 7.0)) == Line(4.0, 0.5)
    assert Line.through((2, 5.0), (6, 4.0)) == Line(5.0, 0.0)
    assert Line.through((2, 1.0), (4, 4.0)) == Line(0.0, 1.5)
    assert Line(4.0, 0.5).at(10) == 9.0


def test_a_plain_job_is_its_rounds_and_its_tests():
    # rounds of 0.5 + 4 * 0.25 s, tests of 200 images at 0.01 s, judgements of 1000 at 0.002 s
    assert costs.total(TASK, PLAIN, SIZE, 4, PACE) == pytest.approx(10 * 1.5 + 10 * 2 + 2 * 2)


def test_rounds_that_are_not_tested_cost_no_images_and_the_last_always_is():
    seldom = TASK | {"tested_every": 4}  # after rounds 4, 8 and 10
    without = dataclasses.replace(PACE, judge=[])
    assert costs.total(seldom, PLAIN, SIZE, 4, without) == pytest.approx(10 * 1.5 + 3 * 2)


def test_local_accuracy_predicts_the_cohorts_shares_of_both_sets():
    local = TASK | {"tested_every": 10, "local_accuracy": True}
    images = 200 + 2 * (1000 + 200) / 5
    without = dataclasses.replace(PACE, judge=[])
    assert costs.total(local, PLAIN, SIZE, 4, without) == pytest.approx(15 + images * 0.01)


@pytest.mark.parametrize(("before", "times"), [({}, 10), ({"before_rounds": [3, 11, 12]}, 2)])
def test_a_detector_screens_before_the_rounds_it_names_or_before_all(before, times):
    without = dataclasses.replace(PACE, judge=[], image=0.0)
    defense = PLAIN | {"detect": {"use": "rowmix"} | before}
    assert costs.total(TASK, defense, SIZE, 4, without) == pytest.approx(15 + times * 2)


def test_parts_that_a_defense_lacks_cost_nothing():
    found = costs.pace(TASK, PLAIN, {}, SIZE, torch.device("cpu"))
    assert found.judge == []
    assert found.screen.at(1000) < 0.01
    assert found.round.at(4) > 0
    assert found.image > 0


def test_judging_and_screening_are_timed_with_the_defenses_own_plugins():
    seen = [[1, ["raw", "conv2"]], [3, ["penultimate", "output"]]]
    sanitizer = {"method": {"use": "sieve"}, "judgements": seen}
    defense = PLAIN | {"detect": {"use": "rowmix", "before_rounds": [2]}}
    found = costs.pace(TASK, defense, sanitizer, SIZE, torch.device("cpu"))
    assert len(found.judge) == 2
    assert min(line.at(1000) for line in [*found.judge, found.screen]) > 0


def test_several_labels_per_image_are_timed_as_such():
    size = dataclasses.replace(SIZE, multi_label=True)
    assert costs.training(TASK, PLAIN, {}, size, torch.device("cpu")) > 0


def test_what_a_job_trains_on_is_timed_in_steps_of_its_own_length(monkeypatch):
    monkeypatch.setattr(costs, "pace", lambda *_: dataclasses.replace(PACE, judge=[], image=0.0))
    # 200 samples of a client: 7 batches of 32, twice; with steps given, those
    whole = costs.training(TASK, PLAIN, {}, SIZE, torch.device("cuda"))
    few = costs.training(
        TASK | {"local": SGD | {"steps": 3}}, PLAIN, {}, SIZE, torch.device("cuda")
    )
    assert (whole, few) == (
        pytest.approx(10 * (0.5 + 14 * 0.25)),
        pytest.approx(10 * (0.5 + 3 * 0.25)),
    )
