import itertools
import runpy
from pathlib import Path

import pandas as pd
import pytest

MULTIVERSE = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks/multiverse.py"))
CHOICES, PAPER = MULTIVERSE["CHOICES"], MULTIVERSE["PAPER"]


def test_readings_differ_begin_with_the_default_and_a_longer_list_begins_with_the_shorter():
    long = MULTIVERSE["readings"](40)
    assert long[0] == {choice: next(iter(options)) for choice, options in CHOICES.items()}
    assert all(one != other for one, other in itertools.combinations(long, 2))
    assert long[:10] == MULTIVERSE["readings"](10)


def rows(reading, seed, **changed):
    """The paper's column, some of its numbers changed."""
    numbers = PAPER | changed
    return [
        {"reading": reading, "seed": seed, "defense": d, "accuracy": a, "asr": s}
        for d, (a, s) in numbers.items()
    ]


def test_a_pair_has_the_papers_order_its_numbers_or_both():
    table = pd.DataFrame(
        [
            *rows(0, 1),
            *rows(0, 2, krum=(0.9, 0.01)),  # the attack succeeds less against Krum
            *rows(1, 1, fdsd=(0.95, 0.02)),  # 2.57 points above the paper's
            *rows(1, 2, auror=(0.8, 0.353)),  # a rival is 8 points off
        ]
    )
    found = MULTIVERSE["luck"](table).set_index(["reading", "seed"])
    assert found["order"].tolist() == [True, False, True, True]
    assert found["fdsd"].tolist() == [True, True, False, True]
    assert found["column"].tolist() == [True, False, False, False]


def test_variance_is_shared_out_by_the_means_of_options():
    base = {choice: next(iter(options)) for choice, options in CHOICES.items()}
    table = pd.DataFrame(
        [
            base | {"features": feature, "vote": vote, "accuracy": accuracy}
            for feature, vote, accuracy in [
                ("conv2", "global", 0.9),
                ("conv2", "local", 0.8),
                ("raw", "global", 0.6),
                ("raw", "local", 0.5),
            ]
        ]
    )
    # about the mean .7: total .04 + .01 + .01 + .04 = .1; features 4 * .15^2 = .09, votes .01
    found = MULTIVERSE["explained"](table, "accuracy")
    assert found["features"] == pytest.approx(0.9)
    assert found["vote"] == pytest.approx(0.1)
    assert found["seeding"] == pytest.approx(0, abs=1e-12)


def test_the_nearest_reading_is_chosen_by_all_eight_numbers_on_the_seeds_of_the_search():
    search = [
        *rows(0, 1, fdsd=(0.9243, 0.1)),  # 7.68 points off in one number of eight
        *rows(1, 1, auror=(0.8346, 0.353), krum=(0.8667, 0.1142)),  # 5 and 4 points in two
    ]
    shown = rows(0, 6, fdsd=(0.1, 0.9))
    assert MULTIVERSE["nearest"](pd.DataFrame(search)) == 0
    assert MULTIVERSE["searched"](pd.DataFrame(search + shown)).equals(pd.DataFrame(search))


def test_the_figure_is_drawn_from_a_file(tmp_path):
    base = {choice: next(iter(options)) for choice, options in CHOICES.items()}
    table = pd.DataFrame([base | row for seed in (1, 2) for row in rows(0, seed)])
    MULTIVERSE["draw"](table).savefig(tmp_path / "one.png")
    assert (tmp_path / "one.png").stat().st_size > 10_000
