"""Statistics over seeds, and the order and wording that tables and figures share."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

SCENARIO = ["task", "partition", "attack", "ratio"]
LABELS = [*SCENARIO, "defense"]
UNATTACKED = "unattacked"


def over_seeds(values: Any) -> pd.DataFrame:
    """Return n, mean, 95 % t-interval and standard deviation of each group of values.

    Args:
        values: A grouped column, e.g. ``frame.groupby("defense")["value"]``.

    Returns:
        One row per group: n (of the defined values), mean, low, high, sd; the mean is NaN where
        n = 0, interval and deviation where n < 2.
    """
    groups = values.agg(n="count", mean="mean", sd="std")
    half = stats.t.ppf(0.975, groups["n"] - 1) * groups["sd"] / np.sqrt(groups["n"])
    groups = groups.assign(low=groups["mean"] - half, high=groups["mean"] + half)
    return groups[["n", "mean", "low", "high", "sd"]]


def summarize(metrics: pd.DataFrame) -> pd.DataFrame:
    """Summarize each metric of each scenario and defense over its seeds.

    Raises:
        ValueError: if a seed occurs twice, which would count as two observations.
    """
    if metrics.duplicated([*LABELS, "seed", "metric"]).any():
        raise ValueError("a scenario, defense, seed and metric occurs twice")
    return over_seeds(metrics.groupby([*LABELS, "metric"], sort=False)["value"]).reset_index()


def positions(order: Iterable[str], labels: Iterable[str]) -> dict[str, int]:
    """Rank labels: no attack first, then as in ``order``, then as they appear."""
    return {name: i for i, name in enumerate(dict.fromkeys([UNATTACKED, *order, *labels]))}


def percent(ratio: float) -> str:
    """Write a fraction as a label, e.g. 12.5 %."""
    return f"{100 * ratio:g} %"


def n_seeds(n: pd.Series) -> str:
    """Write how many seeds there are, given n of each cell, e.g. "3 to 5 seeds"."""
    low, high = n[n > 0].min(), n.max()
    if high == 1:
        return "1 seed"
    return f"{high} seeds" if low == high else f"{low} to {high} seeds"
