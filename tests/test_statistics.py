"""Means over seeds, their intervals and ranges, and what is said of them."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fedsieve.statistics import (
    ENOUGH,
    limits,
    n_seeds,
    over_seeds,
    shown_of,
    split,
    spread,
    summarize,
)

FEW, MANY = ENOUGH - 1, ENOUGH
RATE = (0.0, 1.0)


def over(values, bounds=RATE):
    """The statistics of one group of values."""
    frame = pd.DataFrame({"group": 0, "value": np.asarray(values, float)})
    return over_seeds(frame.groupby("group")["value"], bounds).loc[0]


def by_metric(**values):
    """A summary with a row per metric."""
    rows = [(metric, value) for metric, column in values.items() for value in column]
    frame = pd.DataFrame(rows, columns=["metric", "value"]).astype({"value": float})
    return over_seeds(frame.groupby("metric", sort=False)["value"]).reset_index()


def test_an_interval_of_a_rate_is_symmetric_in_the_logit():
    # six times .8, twice .9: mean .825, deviations -.025 and .075, sum of squares 6 * .000625 +
    # 2 * .005625 = .015, sd sqrt(.015 / 7) = .0462910, se .0462910 / sqrt(8) = .0163663;
    # t(.975, 7) = 2.364624, step 2.364624 * .0163663 / (.825 * .175) = .2680536,
    # logit(.825) = log(.825 / .175) = 1.5505974; 1 / (1 + exp(-1.2825438)) and with 1.8186511
    found = over([0.8] * 6 + [0.9] * 2)
    assert found["n"] == 8
    assert found[["mean", "sd"]].tolist() == pytest.approx([0.825, 0.0462910])
    assert (found["low"], found["high"]) == pytest.approx((0.7828825, 0.8604042), abs=1e-6)
    assert (found["least"], found["greatest"]) == (0.8, 0.9)


def test_an_interval_of_a_difference_is_that_of_a_rate_on_twice_the_scale():
    values = np.linspace(-0.3, 0.9, MANY)
    rate = over((values + 1) / 2)
    found = over(values, (-1.0, 1.0))
    assert found["low"] == pytest.approx(2 * rate["low"] - 1)
    assert found["high"] == pytest.approx(2 * rate["high"] - 1)


def test_without_bounds_an_interval_is_students_t():
    # 0 to 7: mean 3.5, sd sqrt(6) = 2.4494897, half 2.364624 * 2.4494897 / sqrt(8) = 2.0478248
    found = over(range(8), None)
    assert (found["low"], found["high"]) == pytest.approx((1.4521752, 5.5478248))


def test_an_amount_is_not_below_0():
    # 0 seven times and 8: mean 1, sd 2.8284271, half 2.364624
    found = over([0] * 7 + [8], (0.0, math.inf))
    assert (found["low"], found["high"]) == pytest.approx((0, 3.364624))


@pytest.mark.parametrize("n", [2, 3, FEW])
def test_fewer_than_enough_seeds_have_no_interval_but_a_least_and_a_greatest(n):
    found = over(np.linspace(0.1, 0.9, n))
    assert np.isnan(found[["low", "high"]].tolist()).all()
    assert found[["least", "greatest"]].tolist() == pytest.approx([0.1, 0.9])


@pytest.mark.parametrize("value", [0.0, 0.1, 1.0])
def test_equal_values_are_their_own_interval(value):
    found = over([value] * 11)
    assert found["low"] == found["mean"] == found["high"] == pytest.approx(value)


def test_one_run_in_which_all_is_lost_widens_an_interval_that_stays_between_0_and_1():
    found = over([1.0] * 7 + [0.0])
    assert 0 < found["low"] < 0.5
    assert found["mean"] < found["high"] < 1


def test_undefined_values_are_not_counted():
    found = over([0.1, math.nan] * FEW)
    assert found["n"] == FEW
    assert math.isnan(found["low"])
    assert over([math.nan] * 3)["n"] == 0
    assert np.isnan(over([math.nan] * 9).drop("n").tolist()).all()


def test_every_interval_of_random_rates_holds_its_mean_and_stays_between_the_bounds():
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.beta(a, a, (200, 9)) for a in (0.02, 0.2, 1, 20, 1e30)])
    frame = pd.DataFrame(values).melt(ignore_index=False)
    found = over_seeds(frame.groupby(level=0)["value"], RATE).dropna()
    assert len(found) == 1000
    assert (found["low"] >= 0).all()
    assert (found["low"] <= found["mean"]).all()
    assert (found["mean"] <= found["high"]).all()
    assert (found["high"] <= 1).all()


TRUTHS = {
    "normal": (stats.norm(0.9, 0.02).ppf, 0.9),
    "skewed to 0": (stats.beta(1, 9).ppf, 0.1),
    "skewed to 1": (stats.beta(18, 2).ppf, 0.9),
    "a third near 1, the others near 0": (
        lambda u: np.where(u < 2 / 3, 0.03 * u, 0.94 + 0.06 * u),
        # of u uniform: .03 * (2/3)^2 / 2 and .94 / 3 + .06 * (1 - (2/3)^2) / 2
        0.03 * 2 / 9 + 0.94 / 3 + 0.06 * 5 / 18,
    ),
}


@pytest.mark.parametrize("shape", TRUTHS)
@pytest.mark.parametrize("n", [8, 10, 15])
def test_an_interval_covers_the_mean_in_nine_of_ten_draws_or_more(shape, n):
    quantile, mean = TRUTHS[shape]
    draws = quantile(np.random.default_rng(n).random((4000, n)))
    frame = pd.DataFrame(draws).melt(ignore_index=False)
    found = over_seeds(frame.groupby(level=0)["value"], RATE)
    covers = ((found["low"] <= mean) & (mean <= found["high"])).mean()
    # four standard deviations of a share of 4,000 draws below 95 %, and what skewness takes
    assert covers > 0.95 - 4 * math.sqrt(0.95 * 0.05 / 4000) - 0.03


@pytest.mark.parametrize(
    ("metric", "bounds"),
    [
        ("accuracy", (0, 1)),
        ("asr.flip", (0, 1)),
        ("screening.f1", (0, 1)),
        ("accuracy_lost", (-1, 1)),
        ("asr_excess.backdoor", (-1, 1)),
        ("sanitization.megabytes", (0, math.inf)),
        ("sanitization.vanished", (0, math.inf)),
        ("malicious_per_cohort", (0, math.inf)),
    ],
)
def test_a_metric_has_the_bounds_of_what_it_is(metric, bounds):
    assert limits(metric) == bounds


def test_each_metric_of_a_summary_has_an_interval_within_its_own_bounds():
    values = [0.0] * 7 + [0.9]
    names = ["accuracy", "asr_excess", "sanitization.megabytes"]
    rate, difference, amount = by_metric(**dict.fromkeys(names, values)).itertuples()
    assert (rate.low, rate.high) == pytest.approx(tuple(over(values)[["low", "high"]]))
    expected = over(values, (-1.0, 1.0))
    assert (difference.low, difference.high) == pytest.approx(tuple(expected[["low", "high"]]))
    assert difference.low < 0 == amount.low


def test_a_spread_is_the_interval_or_the_runs_and_nothing_of_one_run():
    rows = {"a": [0.1] * 8 + [0.2], "b": [0.1, 0.4, 0.3], "c": [0.7]}
    found = spread(by_metric(**rows)).to_numpy().tolist()
    assert found[0] == pytest.approx(over(rows["a"])[["low", "high"]].tolist())
    assert found[1] == [0.1, 0.4]
    assert np.isnan(found[2]).all()


def test_rates_more_than_20_points_apart_are_split_and_amounts_never():
    found = by_metric(
        asr=[0.7, 0.9],  # in binary a little more than 0.2 apart
        accuracy=[0.7, 0.9001],
        accuracy_lost=[-0.2, 0.1],
        auc=[0.1],
        **{"sanitization.megabytes": [1, 2], "asr.flip": [math.nan]},
    )
    assert split(found).tolist() == [False, True, True, False, False, False]


def test_a_seed_given_twice_is_refused():
    labels = dict.fromkeys(("task", "partition", "attack", "ratio", "defense"), "a")
    frame = pd.DataFrame([labels | {"seed": 1, "metric": "asr", "value": 0.1}] * 2)
    with pytest.raises(ValueError, match="twice"):
        summarize(frame)


@pytest.mark.parametrize(
    ("n", "said"),
    [
        ([1, 1], "1 seed"),
        ([0, 3], "mean and least to greatest of 3 seeds"),
        ([3, 5], "mean and least to greatest of 3 to 5 seeds"),
        ([10], "mean and 95 % interval over 10 seeds"),
        (
            [3, 10],
            "mean and 95 % interval, below 8 seeds least to greatest, of 3 to 10 seeds",
        ),
    ],
)
def test_what_is_shown_depends_on_the_seeds(n, said):
    assert shown_of(pd.Series(n)) == said


def test_seeds_are_counted_where_there_are_some():
    assert n_seeds(pd.Series([0, 1, 1])) == "1 seed"
