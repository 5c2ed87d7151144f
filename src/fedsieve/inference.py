"""Tests and intervals of a few runs: what they show of a mean, an order, or a share of runs.

A run is one seed, and values are fractions, or differences of fractions, one of each seed. NaN is
not taken: who calls leaves out what is undefined. Source: docs/verdicts.md has the rules that are
made of these, and what they cannot do.
"""

import functools
import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

LEVEL = 0.05
"""Chance of an error that every statement takes."""

FEWEST = 5
"""Runs below which nothing is stated: five are the fewest with a sign-flip p below ``LEVEL``."""

FEWEST_BIMODAL = 10
"""Runs that a bimodal quantity needs."""

SPREAD = 0.2
"""Two runs that differ by more than this are taken for two modes."""

EXACT = 16
"""Runs up to which all patterns of signs are tried, 65,536 of them."""

MOST = 1000
"""Number of runs beyond which no number is named."""

ROUNDING = 1e-9
"""What sums of decimal fractions may miss each other by."""

Runs = Float[np.ndarray, " n"]


def bimodal(values: Runs) -> bool:
    """Whether two runs differ so much that a mean stands for neither."""
    return len(values) > 1 and float(np.ptp(values)) > SPREAD + ROUNDING


def interval(values: Runs, level: float = 1 - LEVEL) -> tuple[float, float]:
    """Return the t-interval of the mean; the mean itself where all are equal, all numbers for one.

    Source: Student (1908).
    """
    if len(values) < 2:
        return -np.inf, np.inf
    mean = float(values.mean())
    half = _quantile(len(values), level) * _deviation(values) / math.sqrt(len(values))
    return mean - half, mean + half


def within(values: Runs, low: float, high: float, level: float = LEVEL) -> bool:
    """Whether two one-sided t-tests place the mean in a band: its 90 % interval lies in it.

    Source: Schuirmann (1987).
    """
    found = interval(values, 1 - 2 * level)
    return low - ROUNDING <= found[0] and found[1] <= high + ROUNDING


def outside(values: Runs, low: float, high: float, level: float = LEVEL) -> bool:
    """Whether the interval of the mean misses a band: for a level of .05 the 95 % interval."""
    found = interval(values, 1 - level)
    return found[1] < low - ROUNDING or found[0] > high + ROUNDING


class Place(NamedTuple):
    """Where runs place a quantity, as seen from a band."""

    where: str
    """``in``, ``out`` or, where the runs do not tell, ``open``."""
    leans_in: bool
    """Whether the mean, or most of the runs of a bimodal quantity, lies in the band."""
    seeds: int | None
    """Number of runs that it would take by the spread seen; None if more than ``MOST``."""


def place(values: Runs, low: float, high: float, tests: int = 1) -> Place:
    """Say whether the mean lies in a band, or most of the runs of a bimodal quantity.

    In: by two one-sided tests; out: the 95 % interval misses the band. Of a bimodal quantity by
    Clopper-Pearson's interval of the share of runs in the band, all above or all below one half.

    Args:
        values: One of each run, at least one.
        low, high: Ends of the band, which belong to it; infinite where it is open.
        tests: How many such statements are made at once of which one is enough to be out
            (Bonferroni); to be in, all of them are needed, which asks for no adjustment.
    """
    level = LEVEL / tests
    if bimodal(values):
        hits = (low - ROUNDING <= values) & (values <= high + ROUNDING)
        k, n = int(hits.sum()), len(values)
        is_in = clopper_pearson(k, n)[0] > 0.5
        is_out = clopper_pearson(k, n, 1 - level)[1] < 0.5
        leans, seeds = 2 * k > n, seeds_for_share(k, n)
    else:
        is_in, is_out = within(values, low, high), outside(values, low, high, level)
        mean = float(values.mean())
        room = min(mean - low, high - mean)
        leans = room >= -ROUNDING
        wanted = 1 - 2 * LEVEL if leans else 1 - level
        seeds = seeds_for_width(values, abs(room), wanted)
    if len(values) < fewest(values) or not (is_in or is_out):
        return Place("open", leans, seeds)
    return Place("in" if is_in else "out", leans, seeds)


def sign_flip(differences: Runs, least: float = 0.0) -> float:
    """Return the one-sided p of a mean above ``least``: the paired sign-flip test.

    Under the null hypothesis the differences are symmetric about ``least`` or below: each sign of
    what exceeds it was as likely as the other. p is the share of all 2^n patterns of signs with a
    mean as large as the one found, so at least 1/2^n; beyond ``EXACT`` runs that of the t-test.

    Source: Fisher (1935), chapter III.
    """
    excess = differences - least
    if len(excess) > EXACT:
        return t_test(differences, least)
    patterns = _patterns(len(excess))
    reached = patterns @ excess >= excess.sum() - ROUNDING
    return float(reached.mean())


def t_test(values: Runs, least: float = 0.0) -> float:
    """Return the one-sided p of a mean above ``least``; 0 or 1 where all values are equal."""
    excess, n = float(values.mean()) - least, len(values)
    if n < 2:
        return 1.0
    error = _deviation(values) / math.sqrt(n)
    if error < ROUNDING:
        return 0.0 if excess > ROUNDING else 1.0
    return float(stats.t.sf(excess / error, n - 1))


def above(
    differences: Runs, least: float = 0.0, test: Callable[[Runs, float], float] = sign_flip
) -> float:
    """Return p of differences above ``least``, of a mean or, where bimodal, of most of the runs.

    The mean is tested by ``test``. 1 for fewer runs than a statement needs. Of a bimodal quantity p
    is that of the two-sided sign test, so that p below .05 says what Clopper-Pearson's 95 %
    interval does.
    """
    if len(differences) < fewest(differences):
        return 1.0
    if not bimodal(differences):
        return test(differences, least)
    wins = int((differences > least + ROUNDING).sum())
    return min(1.0, 2 * float(stats.binom.sf(wins - 1, len(differences), 0.5)))


def differ(differences: Runs) -> float:
    """Return the two-sided p of differences other than 0; 1 for fewer runs than that needs."""
    p = min(above(differences), above(-differences))
    return p if bimodal(differences) else min(1.0, 2 * p)


def fewest(values: Runs) -> int:
    """Return how many runs a statement needs at least."""
    return FEWEST_BIMODAL if bimodal(values) else FEWEST


def clopper_pearson(k: int, n: int, level: float = 1 - LEVEL) -> tuple[float, float]:
    """Return the exact interval of a share, of which k of n runs are seen.

    Source: Clopper and Pearson (1934).
    """
    tail = (1 - level) / 2
    low = stats.beta.ppf(tail, k, n - k + 1) if k else 0.0
    high = stats.beta.ppf(1 - tail, k + 1, n - k) if k < n else 1.0
    return float(low), float(high)


def holm(p_values: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """Return p adjusted for m tests at once by Holm's step-down procedure (1979)."""
    order = np.argsort(p_values, kind="stable")
    steps = (len(p_values) - np.arange(len(p_values))) * p_values[order]
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def seeds_for_width(values: Runs, room: float, level: float = 1 - LEVEL) -> int | None:
    """Return how many runs give an interval whose half is within ``room``, by the spread seen.

    None where no number up to ``MOST`` does; of one run, which shows no spread, the least.
    """
    if len(values) < 2:
        return FEWEST
    counts = np.arange(max(FEWEST, len(values)), MOST + 1)
    halves = stats.t.ppf((1 + level) / 2, counts - 1) * _deviation(values) / np.sqrt(counts)
    return _first(counts, halves <= room) if room >= 0 else None


def seeds_for_share(k: int, n: int) -> int | None:
    """Return how many runs show whether a share is above or below one half, by the share seen."""
    counts = np.arange(max(FEWEST_BIMODAL, n), MOST + 1)
    seen = np.round(counts * k / n).astype(int)
    fewer = np.minimum(seen, counts - seen)
    return _first(counts, stats.binom.cdf(fewer, counts, 0.5) <= LEVEL / 2)


def seeds_for_order(differences: Runs, least: float, tests: int = 1) -> int | None:
    """Return how many runs show differences above ``least`` in so many tests at once (Holm)."""
    if len(differences) < 2:
        return FEWEST
    if bimodal(differences):
        return seeds_for_share(int((differences > least).sum()), len(differences))
    counts = np.arange(max(FEWEST, len(differences)), MOST + 1)
    least_p = np.where(counts <= EXACT, 0.5**counts, 0)
    needed = stats.t.ppf(1 - LEVEL / tests, counts - 1) * _deviation(differences)
    enough = (differences.mean() - least) * np.sqrt(counts) > needed
    return _first(counts, enough & (least_p * tests <= LEVEL))


def _first(counts: np.ndarray, enough: np.ndarray) -> int | None:
    return int(counts[enough.argmax()]) if enough.any() else None


def _deviation(values: Runs) -> float:
    """The standard deviation of a sample; 0 where it is rounding alone."""
    if len(values) < 2:
        return np.inf
    found = float(values.std(ddof=1))
    return 0.0 if found < ROUNDING else found


@functools.cache
def _quantile(n: int, level: float) -> float:
    return float(stats.t.ppf((1 + level) / 2, n - 1))


@functools.cache
def _patterns(n: int) -> np.ndarray:
    """All patterns of signs of n runs, the pattern of none turned among them."""
    return np.array(list(itertools.product((1.0, -1.0), repeat=n))).reshape(-1, n)
