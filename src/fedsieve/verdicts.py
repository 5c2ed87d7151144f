"""Verdicts on what a paper says, by the runs of each seed: a rule for each kind of claim.

Source: docs/verdicts.md has the rules, ``fedsieve.inference`` the tests behind them.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fedsieve import inference
from fedsieve.errors import InputError
from fedsieve.inference import FEWEST, FEWEST_BIMODAL, LEVEL, MOST, ROUNDING, Place, place
from fedsieve.wording import say_rate, with_minus

REPRODUCED = "reproduced"
DIRECTION = "direction only"
INCONCLUSIVE = "inconclusive"
REFUTED = "not reproduced"
CONTRADICTED = "contradicted"
UNTESTED = "not tested"

BEST_FIRST = (REPRODUCED, DIRECTION, INCONCLUSIVE, REFUTED, CONTRADICTED, UNTESTED)
"""Verdicts, the best for the paper first."""

RULES = {
    "published": (
        f"{REPRODUCED} if two one-sided tests place the mean within the margin of the paper's "
        f"number, of both where there are two; {REFUTED} if the 95 % interval of one misses that "
        f"band (Bonferroni); else {INCONCLUSIVE}"
    ),
    "beats": (
        f"{REPRODUCED} if the defense is better than each of the others by more than the margin in "
        "as many cells as the paper says, paired by seed, by the exact sign-flip test (Holm over "
        f"cells, unless all are needed); {CONTRADICTED} if so many cells are lost by more than the "
        f"margin that this cannot be; {REFUTED} if so many are shown to be no win; else "
        f"{INCONCLUSIVE}. A cell in which all lie within the margin of each other, or of the floor "
        "of attack success, is no contest and counts for neither. A claim about all cells is lost "
        "by the mean over cells in each seed (t-test) where seeds are too few for Holm over cells"
    ),
    "reaches": (
        f"{REPRODUCED} if the one-sided 95 % bound meets the paper's bound in every cell; "
        f"{CONTRADICTED} if a cell misses it by more than the margin (95 %, Bonferroni over "
        f"cells); {REFUTED} if one misses it at all; else {INCONCLUSIVE}"
    ),
    "exceeds": (
        f"{REPRODUCED} if the one-sided 95 % bound of the difference, a mean over cells in each "
        f"seed, is at least the paper's less the margin; {CONTRADICTED} if its 95 % interval has "
        f"the opposite sign; {DIRECTION} if it has the same sign and misses the size; {REFUTED} if "
        f"it misses the size and holds 0; else {INCONCLUSIVE}"
    ),
    "near": (
        f"{REPRODUCED} if the difference, paired by seed, lies within the margin in every cell, by "
        "two one-sided tests, or by one where only worse is a fault; "
        f"{CONTRADICTED} if its 95 % interval lies beyond the margin in a cell (Bonferroni); else "
        f"{INCONCLUSIVE}"
    ),
}
"""The rule for each kind of claim, as the ledger states it."""

COMMON = (
    f"Fewer than {FEWEST} seeds are {INCONCLUSIVE}. Where two runs of a cell differ by more than "
    f"20 points it takes {FEWEST_BIMODAL} seeds, and runs are counted instead of averaged: "
    "Clopper-Pearson's 95 % interval of their share must lie above or below one half. A claim "
    f"about all its cells is {REPRODUCED} only if all were run"
)
"""What holds for all kinds."""

Key = tuple[str, str, str, str]
"""Attack, ratio as text, defense and metric."""

Runs = Mapping[Key, pd.Series]
"""The value of each seed."""

_NONE = pd.Series(dtype=float)


class UnrunError(Exception):
    """A reading of a claim has no runs; the message says why."""


def judge(
    kind: str, rule: Mapping[str, Any], runs: Runs, margins: Mapping[str, float]
) -> dict[str, str]:
    """Judge one thing that a claim says.

    Args:
        kind: A key of ``RULES``.
        rule: What the claim says, as the configuration has it; of published numbers one cell, with
            ``said``: metric -> number in per cent.
        runs: Values of one task and partition.
        margins: Metric -> how far from what the paper says is still as it says, a fraction.

    Returns:
        Text by column: here, n, verdict, note, and seeds where it is inconclusive.

    Raises:
        UnrunError: where no cell was run.
        InputError: where the metric has no margin.
    """
    return _JUDGES[kind](rule, runs, margins)


def ratio_text(ratio: float) -> str:
    """Write a ratio as paths and ``Runs`` have it."""
    return format(ratio, "g")


def _published(rule: Mapping[str, Any], runs: Runs, margins: Mapping[str, float]) -> dict[str, str]:
    """Judge the numbers of one cell of a paper's table, in per cent."""
    cell = rule["attack"][0], ratio_text(rule["ratio"][0]), rule["defense"]
    places, shown, counts = [], [], []
    for metric, percent in rule["said"].items():
        values = _defined(runs.get((*cell, metric), _NONE))
        if not len(values):
            raise UnrunError(f"Not run: {metric} of {', '.join(cell)}.")
        number, margin = percent / 100, _margin(margins, metric)
        low, high = number - margin, number + margin
        # a rate does not leave 0 to 100 %, whatever its interval does
        ends = -np.inf if low <= 0 else low, np.inf if high >= 1 else high
        places.append(place(values, *ends, tests=len(rule["said"])))
        shown.append(_shown(values, low, high))
        counts.append(len(values))
    verdict = _all_in(places, REFUTED)
    return _result(verdict, " / ".join(shown), counts, places)


def _beats(rule: Mapping[str, Any], runs: Runs, margins: Mapping[str, float]) -> dict[str, str]:
    """Judge in how many cells a defense is better than all the others."""
    metric, names = rule["metric"], [rule["defense"], *rule["others"]]
    margin, sign = _margin(margins, metric), 1 if rule["higher"] else -1
    cells = _cells(rule)
    wins: dict[tuple[str, str], np.ndarray] = {}
    losses: dict[tuple[tuple[str, str], str], pd.Series] = {}
    counts, idle = [], 0
    for cell in cells:
        table = _paired(runs, {name: (*cell, name, metric) for name in names})
        if table.empty:
            continue
        counts.append(len(table))
        if _no_contest(table, runs, cell, metric, margin):
            idle += 1
            continue
        leads = sign * table[rule["others"]].rsub(table[rule["defense"]], axis=0)
        wins[cell] = leads.min(axis=1).to_numpy()
        losses |= {(cell, other): -leads[other] for other in rule["others"]}
    if not counts:
        raise UnrunError("None of its cells was run.")
    needed, spare = rule["cells"], len(cells) - rule["cells"] + 1
    p = np.array([inference.above(lead, margin) for lead in wins.values()])
    won = int(((p if needed == len(cells) else inference.holm(p)) <= LEVEL).sum())
    if won >= needed:
        verdict = REPRODUCED
    elif _lost(losses, margin, spare):
        verdict = CONTRADICTED
    elif _lost(losses, -margin, spare):
        verdict = REFUTED
    else:
        verdict = INCONCLUSIVE
    here = f"wins {won} of {len(cells)}"
    if wins:
        low, high = (_rate(end) for end in _ends(np.concatenate([*wins.values()])))
        here += f", {low} to {high} points ahead of the best other"
    here += f", no contest in {idle}" * bool(idle) + _part(len(counts), len(cells))
    if not wins:
        note = "No contest: nothing to be won in any cell."
        return _result(verdict, here, counts, [], note=note)
    return _result(verdict, here, counts, _leanings(wins, losses, margin, needed, spare))


def _no_contest(
    table: pd.DataFrame, runs: Runs, cell: tuple[str, str], metric: str, margin: float
) -> bool:
    """Whether all defenses lie within the margin of each other, or of attack success's floor."""
    means = table.mean().to_numpy()
    floors = [
        rows[rows.index.isin(table.index)]
        for key, rows in runs.items()
        if key[:2] == cell and key[2] in table and key[3] == "asr_floor"
    ]
    if metric == "asr" and floors and means.max() <= pd.concat(floors).mean() + margin:
        return True
    return bool(np.ptp(means) <= margin)


def _lost(
    losses: Mapping[tuple[tuple[str, str], str], pd.Series], least: float, needed: int
) -> bool:
    """Whether so many cells are shown in which another is ahead by more than ``least``.

    Holm over cells and others. Of a claim about all cells, which one such cell ends, where seeds
    are too few for Holm to find any, whatever they show: of each other the mean over cells in each
    seed, by t-tests, which have no least p, and Holm over others.
    """
    if not losses:
        return False
    n = min(len(lead) for lead in losses.values())
    if needed == 1 and len(losses) > LEVEL * 2**n:
        means = [
            pd.concat([lead for (_, o), lead in losses.items() if o == other], axis=1, join="inner")
            for other in dict.fromkeys(other for _, other in losses)
        ]
        leads = [table.mean(axis=1).to_numpy() for table in means]
        tested = [inference.above(lead, least, inference.t_test) for lead in leads]
        return bool((inference.holm(np.array(tested)) <= LEVEL).any())
    p = inference.holm(np.array([inference.above(v.to_numpy(), least) for v in losses.values()]))
    cells = {cell for (cell, _), found in zip(losses, p, strict=True) if found <= LEVEL}
    return len(cells) >= needed


def _leanings(
    wins: Mapping[tuple[str, str], np.ndarray],
    losses: Mapping[tuple[tuple[str, str], str], pd.Series],
    margin: float,
    needed: int,
    spare: int,
) -> list[Place]:
    """How many seeds it would take to decide an order, the way that it leans."""
    ahead = [inference.seeds_for_order(v, margin, len(wins)) for v in wins.values()]
    if sum(v.mean() > margin for v in wins.values()) >= needed:
        counts, rank = ahead, needed
    else:
        rank, by_cell = spare, {cell: [MOST + 1] for cell in wins}
        for (cell, _), lead in losses.items():
            found = inference.seeds_for_order(lead.to_numpy(), -margin, len(losses))
            by_cell[cell].append(found or MOST + 1)
        counts = [min(found) for found in by_cell.values()]
    ranked = sorted(found or MOST + 1 for found in counts)
    seeds = ranked[min(rank, len(ranked)) - 1]
    return [Place("open", True, None if seeds > MOST else seeds)]


def _reaches(rule: Mapping[str, Any], runs: Runs, margins: Mapping[str, float]) -> dict[str, str]:
    """Judge whether a defense's metric meets a bound everywhere."""
    metric, sign = rule["metric"], 1 if rule["higher"] else -1
    margin, cells = _margin(margins, metric), _cells(rule)
    found = [_defined(runs.get((*cell, rule["defense"], metric), _NONE)) for cell in cells]
    if not (found := [values for values in found if len(values)]):
        raise UnrunError("None of its cells was run.")
    over = [sign * (values - rule["bound"]) for values in found]
    places = [place(values, 0, np.inf, len(cells)) for values in over]
    beyond = [place(values, -margin, np.inf, len(cells)).where for values in over]
    verdict = CONTRADICTED if "out" in beyond else _all_in(places, REFUTED, len(cells))
    joined = np.concatenate(over)
    low, high = (_rate(end) for end in _ends(np.concatenate(found)))
    met = int((joined >= -ROUNDING).sum())
    here = f"{low} to {high}; {met} of {len(joined)} runs meet it{_part(len(found), len(cells))}"
    return _result(verdict, here, [len(values) for values in found], places)


def _exceeds(rule: Mapping[str, Any], runs: Runs, margins: Mapping[str, float]) -> dict[str, str]:
    """Judge by how much a defense's metric is above another's, on average over cells."""
    gaps, n_cells = _gaps(rule, runs), len(_cells(rule))
    mean = pd.concat(gaps, axis=1, join="inner").mean(axis=1).to_numpy()
    if not len(mean):
        raise UnrunError("Its cells have no seed in common.")
    sign = -1 if rule["by"] < 0 else 1
    gains, size = sign * mean, abs(rule["by"]) - _margin(margins, rule["metric"])
    sized, signed = place(gains, size, np.inf), place(gains, 0, np.inf)
    same = place(gains, -np.inf, 0).where == "out"
    if signed.where == "out":
        verdict = CONTRADICTED
    elif sized.where == "in":
        verdict = REPRODUCED if len(gaps) == n_cells else INCONCLUSIVE
    elif sized.where == "out":
        verdict = DIRECTION if same else REFUTED
    else:
        verdict = INCONCLUSIVE
    here = f"{_shown(mean, size, np.inf, sign)} points{_part(len(gaps), n_cells)}"
    return _result(verdict, here, [len(mean)], [sized])


def _near(rule: Mapping[str, Any], runs: Runs, margins: Mapping[str, float]) -> dict[str, str]:
    """Judge whether a defense is as good as another in every cell."""
    margin, n_cells = _margin(margins, rule["metric"]), len(_cells(rule))
    sign = -1 if rule.get("higher") is False else 1
    gaps = [sign * gap.to_numpy() for gap in _gaps(rule, runs)]
    high = margin if "higher" not in rule else np.inf
    places = [place(gap, -margin, high, n_cells) for gap in gaps]
    joined = sign * np.concatenate(gaps)
    low, most = (_rate(end) for end in _ends(joined))
    hits = int(((sign * joined >= -margin - ROUNDING) & (sign * joined <= high + ROUNDING)).sum())
    here = f"{low} to {most} points; {hits} of {len(joined)} runs within the margin"
    here += _part(len(gaps), n_cells)
    verdict = _all_in(places, CONTRADICTED, n_cells)
    return _result(verdict, here, [len(gap) for gap in gaps], places)


_JUDGES = {
    "published": _published,
    "beats": _beats,
    "reaches": _reaches,
    "exceeds": _exceeds,
    "near": _near,
}


def _gaps(rule: Mapping[str, Any], runs: Runs) -> list[pd.Series]:
    """How far a defense is above another, or itself at another ratio, in each cell, by seed."""
    found = []
    for attack, ratio in _cells(rule):
        there = ratio_text(rule["other_ratio"]) if "other_ratio" in rule else ratio
        own = (attack, ratio, rule["defense"], rule["metric"])
        table = _paired(runs, {"own": own, "other": (attack, there, rule["other"], rule["metric"])})
        if not table.empty:
            found.append(table["own"] - table["other"])
    if not found:
        raise UnrunError("None of its cells was run.")
    return found


def _cells(rule: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Attack and ratio of each cell."""
    return list(itertools.product(rule["attack"], map(ratio_text, rule["ratio"])))


def _paired(runs: Runs, columns: Mapping[str, Key]) -> pd.DataFrame:
    """Values side by side, a row per seed that all of the columns have."""
    return pd.DataFrame({name: runs.get(key, _NONE) for name, key in columns.items()}).dropna()


def _defined(values: pd.Series) -> np.ndarray:
    return values.dropna().to_numpy(dtype=float)


def _margin(margins: Mapping[str, float], metric: str) -> float:
    if metric not in margins:
        raise InputError(f"margins: has none for {metric!r}; add {metric}: and a fraction")
    return margins[metric]


def _all_in(places: Sequence[Place], otherwise: str, wanted: int | None = None) -> str:
    """The verdict on a claim that asks for all: any that is out ends it."""
    if any(found.where == "out" for found in places):
        return otherwise
    complete = wanted is None or len(places) == wanted
    all_in = all(found.where == "in" for found in places)
    return REPRODUCED if complete and all_in else INCONCLUSIVE


def _result(
    verdict: str, here: str, counts: Sequence[int], places: Sequence[Place], note: str = ""
) -> dict[str, str]:
    """The columns that a rule fills; the seeds that it would take where nothing is decided."""
    low, high = min(counts), max(counts)
    found = {"verdict": verdict, "here": here, "n": str(low) if low == high else f"{low} to {high}"}
    found["note"] = note
    undecided = [spot for spot in places if spot.where == "open"]
    if verdict == INCONCLUSIVE and undecided:
        against = [spot.seeds or MOST + 1 for spot in undecided if not spot.leans_in]
        needed = min(against) if against else max(spot.seeds or MOST + 1 for spot in undecided)
        found["seeds"] = str(needed) if needed <= MOST else f"more than {MOST:,}"
    return found


def _part(run: int, wanted: int) -> str:
    """How many of a rule's cells were run, where it is not all."""
    return "" if run == wanted else f", {run} of {wanted} cells"


def _shown(values: np.ndarray, low: float, high: float, sign: int = 1) -> str:
    """Mean and range of the runs in per cent, or how many lie in a band where they are bimodal."""
    ends = " to ".join(_rate(end) for end in _ends(values))
    if inference.bimodal(values):
        inside = (low - ROUNDING <= sign * values) & (sign * values <= high + ROUNDING)
        return f"{int(inside.sum())} of {len(values)} runs as said ({ends})"
    return f"{_rate(values.mean())} ({ends})"


def _ends(values: np.ndarray) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _rate(rate: float) -> str:
    return with_minus(say_rate(rate))
