"""Statistics over seeds, and the order of labels in tables and figures."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit, logit

SCENARIO = ["task", "partition", "attack", "ratio"]
LABELS = [*SCENARIO, "defense"]
UNATTACKED = "unattacked"

ENOUGH = 8
"""Seeds from which on a mean has an interval. Below, the runs themselves say more: of three draws
of a rate that is near 0 or near 1, no formula makes an interval that covers its mean."""

SPLIT = 0.2
"""Runs of a rate that lie farther apart than this: their mean says little of any of them."""

_ROUNDING = 1e-9
"""What a difference of decimal fractions may miss ``SPLIT`` by."""

MALICIOUS_PER_COHORT = "malicious_per_cohort"

_AMOUNTS = {"sanitization.vanished", "sanitization.megabytes", MALICIOUS_PER_COHORT}
_DIFFERENCES = {"accuracy_lost", "asr_excess"}


def limits(metric: str) -> tuple[float, float]:
    """Least and greatest value that a metric at the end or in a round can have.

    All are rates but a few: differences of rates, and amounts, which have no greatest value.
    """
    if metric in _AMOUNTS:
        return 0.0, np.inf
    return (-1.0, 1.0) if metric.split(".")[0] in _DIFFERENCES else (0.0, 1.0)


def over_seeds(values: Any, bounds: tuple[float, float] | None = None) -> pd.DataFrame:
    """Return n, mean, 95 % interval, deviation, least and greatest of each group of values.

    The interval of a mean m of values between 0 and 1 is symmetric in logit(m), with the standard
    error of the delta method: logit(m) ± t(.975, n - 1) se / (m (1 - m)), taken back. It lies
    between 0 and 1. Values between other bounds are scaled to these; where one bound is infinite,
    it is Student's t-interval, cut at the other. Where all values are equal, it is that value.

    Source: Agresti, Categorical Data Analysis, 3rd ed., section 16.1 (delta method, logit).

    ASSUME: no paper gives intervals. In simulation this one covers about as often as the
    bootstrap-t, and is narrower; the t-interval covers less where a rate is near 0 or 1, and leaves
    0 to 1 (docs/methods.md). None covers where all draws fall into one of two modes.

    Args:
        values: A grouped column, e.g. ``frame.groupby("defense")["value"]``.
        bounds: Least and greatest value possible; without them those of each group's metric, where
            the groups are by ``metric``, else none.

    Returns:
        One row per group: n (of the defined values), mean, low, high, sd, least, greatest; low and
        high are NaN below ``ENOUGH`` values, sd where n < 2, all but n where n = 0.
    """
    groups = values.agg(n="count", mean="mean", sd="std", least="min", greatest="max")
    low, high = _interval(groups, *_bounds(groups, bounds))
    enough = groups["n"] >= ENOUGH
    groups = groups.assign(low=low, high=high)
    groups[["low", "high"]] = groups[["low", "high"]].where(enough)
    return groups[["n", "mean", "low", "high", "sd", "least", "greatest"]]


def _bounds(
    groups: pd.DataFrame, bounds: tuple[float, float] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest possible value of each group."""
    if bounds is None and "metric" in groups.index.names:
        found = [limits(metric) for metric in groups.index.get_level_values("metric")]
    else:
        found = [bounds or (-np.inf, np.inf)] * len(groups)
    least, most = np.reshape(found, (-1, 2)).T
    return least, most


def _interval(
    groups: pd.DataFrame, least: np.ndarray, most: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """95 % interval of each group's mean, within its bounds."""
    n, mean, sd = (groups[column].to_numpy(float) for column in ("n", "mean", "sd"))
    with np.errstate(divide="ignore", invalid="ignore"):  # infinite bounds, equal or no values
        half = stats.t.ppf(0.975, n - 1) * sd / np.sqrt(n)
        width = most - least
        share = (mean - least) / width
        step = half / width / (share * (1 - share))
        ends = [least + width * expit(logit(share) + side * step) for side in (-1, 1)]
        plain = [np.maximum(mean - half, least), np.minimum(mean + half, most)]
    same = groups["least"].to_numpy() == groups["greatest"].to_numpy()
    low, high = (
        np.where(same, mean, np.where(np.isfinite(width), end, student))
        for end, student in zip(ends, plain, strict=True)
    )
    return np.minimum(low, mean), np.maximum(high, mean)  # they may pass it by rounding


def summarize(metrics: pd.DataFrame) -> pd.DataFrame:
    """Summarize each metric of each scenario and defense over its seeds.

    Raises:
        ValueError: if a seed occurs twice, which would count as two observations.
    """
    if metrics.duplicated([*LABELS, "seed", "metric"]).any():
        raise ValueError("a scenario, defense, seed and metric occurs twice")
    return over_seeds(metrics.groupby([*LABELS, "metric"], sort=False)["value"]).reset_index()


def spread(groups: pd.DataFrame) -> pd.DataFrame:
    """What is shown beside each mean: its interval, with fewer seeds the least and greatest run.

    Args:
        groups: As of ``over_seeds``.

    Returns:
        Columns low and high, NaN where there is one run or none.
    """
    runs = groups[["least", "greatest"]].where(groups["n"] > 1)
    return groups[["low", "high"]].fillna(runs.set_axis(["low", "high"], axis=1))


def split(summary: pd.DataFrame) -> pd.Series:
    """Whether the runs of each row lie more than ``SPLIT`` apart; never of what is no rate."""
    rate = summary["metric"].map(lambda metric: np.isfinite(limits(metric)[1])).astype(bool)
    return rate & (summary["greatest"] - summary["least"] > SPLIT + _ROUNDING)


def alone(cells: Any) -> pd.Series:
    """Whether each value of groups of rates is to be drawn by itself: of few, or of far apart."""
    n = cells.transform("count")
    apart = cells.transform("max") - cells.transform("min") > SPLIT + _ROUNDING
    return (n > 1) & ((n < ENOUGH) | apart)


def positions(order: Iterable[str], labels: Iterable[str]) -> dict[str, int]:
    """Rank labels: no attack first, then as in ``order``, then as they appear."""
    return {name: i for i, name in enumerate(dict.fromkeys([UNATTACKED, *order, *labels]))}


def n_seeds(n: pd.Series) -> str:
    """Write how many seeds there are, given n of each cell, e.g. "3 to 5 seeds"."""
    low, high = n[n > 0].min(), n.max()
    if high < 1:
        return "no seed"
    if high == 1:
        return "1 seed"
    return f"{high} seeds" if low == high else f"{low} to {high} seeds"


def shown_of(n: pd.Series, few: str = "least to greatest") -> str:
    """Say what is shown of cells with so many seeds each; ``few``: of fewer than ``ENOUGH``."""
    several = n[n > 1]
    if several.empty:
        return n_seeds(n)
    if several.min() >= ENOUGH:
        return f"mean and 95 % interval over {n_seeds(n)}"
    if several.max() < ENOUGH:
        return f"mean and {few} of {n_seeds(n)}"
    return f"mean and 95 % interval, below {ENOUGH} seeds {few}, of {n_seeds(n)}"
