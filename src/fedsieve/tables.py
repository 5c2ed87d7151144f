"""Tidy metrics to tables: mean, and interval or range over seeds; frames in, frames of text out.

Rates are fractions in frames of numbers and per cent in frames of text. ``order`` lists the
labels of defenses and attacks as the config has them: rows and columns follow it, and labels that
it lacks come after, as they appear. ``told`` is what is said of a defense beside its name, such as
the number of malicious clients that it assumes (``f = 2``).
"""

import re
from collections.abc import Collection, Hashable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from fedsieve.grids import AXES, UNFINISHED
from fedsieve.statistics import (
    ENOUGH,
    LABELS,
    MALICIOUS_PER_COHORT,
    UNATTACKED,
    positions,
    shown_of,
    split,
    spread,
)
from fedsieve.wording import say_number, say_range, say_share

UNDEFINED = "\N{EN DASH}"
_PAPER = {
    "accuracy": "accuracy",
    "accuracy_trivial": "accuracy of no",
    "accuracy_majority": "accuracy of majority",
    "auc": "AUC",
    "asr": "ASR",
    "asr_floor": "ASR floor",
}
_DIFFERENCES = {"accuracy_lost": "accuracy lost", "asr_excess": "ASR above floor"}
_SANITIZATION = {
    "sanitization.recall": "recall",
    "sanitization.precision": "precision",
    "sanitization.clean_lost": "clean lost",
    "sanitization.honest_lost": "honest lost",
    "sanitization.vanished": "vanished",
    "sanitization.repaired": "repaired",
    "sanitization.repaired_right": "rightly",
    "sanitization.megabytes": "sent",
}
_DETECTION = {
    "detection.recall": "recall",
    "detection.precision": "precision",
    "detection.false_positive_rate": "false positives",
}
_SCREENING = {
    "screening.recall": "recall",
    "screening.precision": "precision",
    "screening.false_positive_rate": "false positives",
}
_TITLES = _PAPER | _DIFFERENCES | _SANITIZATION | _DETECTION | _SCREENING
_UNITS = {"sanitization.megabytes": (1, "MB"), "sanitization.vanished": (1, "classes")}
"""Factor and unit of what is no rate."""

MARKS = {
    "outside_domain": "*",
    "diverged": "!",
    "no_attack": "\N{EMPTY SET}",
    "partial_attack": "~",
    "unprobed": "#",
    "clean_fails": "^",
    UNFINISHED: "\N{HORIZONTAL ELLIPSIS}",
}
"""Marks of a cell, by the metric that earns it where it is above 0: a defense outside its own
conditions, a model whose training diverged, runs that are not finished; the rest as in
``stages.evaluate``."""

UNMEASURED = MARKS["no_attack"] + MARKS["unprobed"] + MARKS[UNFINISHED]
"""Marks that say why a number is undefined."""

RIGHT = "="
"""Mark of a cell whose defense assumes the true number of malicious clients, and is not told it."""

UNLIKE = "?"
"""Mark of a number whose runs lie too far apart for their mean to say much."""

NOTHING: Mapping[str, str] = MappingProxyType({})

_NO_DEFENSE = ("asr_floor", "accuracy_trivial", "accuracy_majority")
"""Metrics that are the same under every defense."""


def paper_table(
    summary: pd.DataFrame, order: Sequence[str], told: Mapping[str, str] = NOTHING
) -> pd.DataFrame:
    """Lay accuracy and attack success rate out as the papers do.

    Returns:
        Text cells in per cent; rows (ratio, defense), below task and partition where there are
        several; columns (attack, measure). Rows of ratio 0 hold the accuracy without any
        attack, the same under each. An attack of several kinds has an ASR per kind as well.
    """
    shown = _of(summary, _PAPER)
    shown = shown[~shown["metric"].str.startswith("asr_floor.")]
    attacked = shown[shown["attack"] != UNATTACKED]
    shown = pd.concat([_spread_unattacked(shown), attacked], ignore_index=True)
    index = ["task", "partition", "ratio", "defense"]
    return _layout(shown, index, ["attack", "measure"], order, marks(summary, told))


def sanitization_table(
    summary: pd.DataFrame, order: Sequence[str], told: Mapping[str, str] = NOTHING
) -> pd.DataFrame:
    """Lay out what was removed, for the defenses that remove samples.

    Returns:
        Text cells in per cent; rows (attack, ratio, defense), below task and partition where
        there are several; a column per measure that is defined anywhere.
    """
    shown = _of(summary, _SANITIZATION).dropna(subset="mean")
    return _layout(shown, LABELS, ["measure"], order, marks(summary, told))


def difference_table(
    summary: pd.DataFrame, order: Sequence[str], told: Mapping[str, str] = NOTHING
) -> pd.DataFrame:
    """Lay out what attacks achieve: accuracy lost and success above the floor, paired by seed."""
    shown = _of(summary, _DIFFERENCES)
    return _layout(shown, LABELS, ["measure"], order, marks(summary, told))


def detection_table(
    summary: pd.DataFrame, order: Sequence[str], told: Mapping[str, str] = NOTHING
) -> pd.DataFrame:
    """Score the defenses that turn some client down as detectors of malicious clients.

    Those with a detector by its flags at the end, the others by the weights in all rounds.
    """
    flags, weights = _of(summary, _SCREENING), _of(summary, _DETECTION)
    rated = weights[(weights["metric"] == "detection.precision") & weights["mean"].notna()]
    weights = weights[weights["defense"].isin(rated["defense"])]
    weights = weights[~weights["defense"].isin(flags["defense"])]
    shown = pd.concat([flags, weights])
    return _layout(shown, LABELS, ["measure"], order, marks(summary, told))


def difference_note(summary: pd.DataFrame) -> str:
    """Caption of ``difference_table``."""
    return (
        f"{_cells_are(_of(summary, _DIFFERENCES))} Points of accuracy below, and of attack success "
        "above, the run of the same seed without attack and defense: differences of each seed."
    )


def detection_note(summary: pd.DataFrame) -> str:
    """Caption of ``detection_table``."""
    return (
        f"{_cells_are(_of(summary, _DETECTION))} With a detector: its flags at the end. Without: "
        "over all rounds and clients of a cohort; a client counts as turned down where its update "
        "gets less than half of an even weight, and of a weight by samples. Recall: "
        "malicious clients turned down; precision: clients turned down that were malicious; false "
        "positives: honest clients turned down."
    )


def paper_note(summary: pd.DataFrame) -> str:
    """Caption of ``paper_table``: what its cells are, and over how many seeds."""
    trivial = {
        "accuracy_trivial": " Accuracy of no: of a model that answers no to every label.",
        "accuracy_majority": " Of majority: of one that answers yes to labels of most images.",
    }
    known = set(summary["metric"])
    return (
        f"{_cells_are(_of(summary, _PAPER))} ASR: attack success rate; its floor is that of a "
        "model trained without the attack. Ratio: share of malicious clients."
        + "".join(text for metric, text in trivial.items() if metric in known)
    )


def sanitization_note(summary: pd.DataFrame) -> str:
    """Caption of ``sanitization_table``: what its cells are, and over how many seeds."""
    shown = _of(summary, _SANITIZATION).dropna(subset="mean")
    if shown.empty:
        return "No defense here removes samples."
    return (
        f"{_cells_are(shown)} Recall: poisoned samples removed; precision: removed samples that "
        "were poisoned; clean lost: clean samples removed, of all clients and (honest lost) of "
        "the honest ones; vanished: classes of which no sample is kept; repaired: samples trained "
        "on with another label, and how many of these labels are right; sent: between clients and "
        "server in all judgements. Ratio: share of malicious clients."
    )


def _layout(
    shown: pd.DataFrame,
    index: list[str],
    columns: list[str],
    order: Sequence[str],
    marked: Mapping[tuple[Any, ...], str],
) -> pd.DataFrame:
    metrics = sorted(shown.dropna(subset="mean")["metric"].unique(), key=_metric_order)
    shown = _without_lone_kinds(shown)
    factor = shown["metric"].map(lambda metric: _UNITS.get(metric, (100, "%"))[0])
    ends = spread(shown)
    numbers = (factor * column for column in (shown["mean"], ends["low"], ends["high"]))
    texts = [cell(*row) for row in zip(*numbers, marks_of(shown, marked), strict=True)]
    cells = shown.assign(cell=texts, measure=shown["metric"].map(_title))
    table = cells.pivot(index=index, columns=columns, values="cell").fillna(UNDEFINED)
    labels = cells[["task", "partition", "attack", "defense"]].to_numpy().ravel("F")
    table = sort(table, positions([*order, *map(_title, metrics), *cells["measure"]], labels))
    single: list[Hashable] = [k for k in ("task", "partition") if shown[k].nunique() == 1]
    return table.droplevel(single).rename(index=say_share, level="ratio")


def sort(table: pd.DataFrame, rank: dict[str, int]) -> pd.DataFrame:
    """Order rows and columns by the rank of their labels, ratios by size."""

    def key(level: pd.Index) -> pd.Index:
        return level if level.name == "ratio" else level.map(rank)

    return table.sort_index(key=key).sort_index(axis=1, key=key)


def _spread_unattacked(shown: pd.DataFrame) -> pd.DataFrame:
    """Repeat the accuracy without attack under each attack of the same task and partition."""
    place = ["task", "partition"]
    attacks = shown.loc[shown["attack"] != UNATTACKED, [*place, "attack"]].drop_duplicates()
    clean = shown[(shown["attack"] == UNATTACKED) & (shown["metric"] == "accuracy")]
    spread = clean.drop(columns="attack").merge(attacks, on=place, how="left")
    return spread.fillna({"attack": UNATTACKED})


def marks(summary: pd.DataFrame, told: Mapping[str, str] = NOTHING) -> dict[tuple[Any, ...], str]:
    """Marks that each defense earned in a scenario, by its labels, if any."""
    earned = [
        (mark, (summary["metric"] == metric) & (summary["mean"] > 0))
        for metric, mark in MARKS.items()
    ]
    found: dict[tuple[Any, ...], str] = {}
    for mark, rows in [*earned, (RIGHT, _right(summary, told))]:
        for labels in summary.loc[rows, LABELS].itertuples(index=False, name=None):
            found[labels] = found.get(labels, "") + mark
    return found


def with_unfinished(summary: pd.DataFrame, grid: Mapping[str, Any]) -> pd.DataFrame:
    """Add the runs of a grid that are not finished: their share of a cell's, which marks it.

    A cell without any finished run has no number, but is there.
    """
    left_out = pd.DataFrame(grid.get(UNFINISHED, []), columns=list(AXES))
    if left_out.empty:
        return summary
    counted = left_out.astype({"ratio": float}).groupby(LABELS, sort=False)["seed"].nunique()
    n_seeds = len(grid["seed"])
    shares = (counted / n_seeds).rename("mean").reset_index()
    shares = shares.assign(metric=UNFINISHED, n=n_seeds)
    nowhere = shares[shares["mean"] == 1].assign(mean=np.nan, n=0)
    attacked = nowhere[nowhere["attack"] != UNATTACKED].assign(metric="asr")
    parts = [summary, shares, nowhere.assign(metric="accuracy"), attacked]
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def _right(summary: pd.DataFrame, told: Mapping[str, str]) -> pd.Series:
    """Rows of a number of malicious clients that is, in every cohort of every run, the assumed."""
    numbers = {name: re.search(r"f = (\d+)", mark) for name, mark in told.items()}
    assumed = summary["defense"].map({k: int(found[1]) for k, found in numbers.items() if found})
    every = summary["n"] == summary.groupby(LABELS)["n"].transform("max")
    rows = every & (summary["metric"] == MALICIOUS_PER_COHORT)
    return rows & (summary["least"] == assumed) & (summary["greatest"] == assumed)


def marks_of(shown: pd.DataFrame, marked: Mapping[tuple[Any, ...], str]) -> list[str]:
    """Marks of each row: those of its defense, unless the number is not of it, and its own."""
    labels = shown[LABELS].itertuples(index=False, name=None)
    return [
        marks_at(metric, marked.get(row, "")) + UNLIKE * bool(apart)
        for row, metric, apart in zip(labels, shown["metric"], split(shown), strict=True)
    ]


def marks_at(metric: str, marked: str) -> str:
    """Those of a defense's marks in a scenario that concern one metric."""
    if metric.startswith(_NO_DEFENSE):
        return ""
    return marked if metric.startswith("asr") else marked.replace(MARKS["unprobed"], "")


def _without_lone_kinds(shown: pd.DataFrame) -> pd.DataFrame:
    """Drop the rates per kind of poison where an attack has but one: they are the attack's own."""
    kind = shown["metric"].map(lambda metric: _split(metric)[1])
    is_kind, defined = kind != "", shown["mean"].notna()
    kinds = kind[is_kind & defined].groupby(shown["attack"]).nunique()
    several = shown["attack"].isin(kinds.index[kinds > 1])
    return shown[~is_kind | (several & defined)]


def _of(summary: pd.DataFrame, titles: Collection[str]) -> pd.DataFrame:
    """Rows of these metrics, and of their parts per kind of poison."""
    return summary[[_split(metric)[0] in titles for metric in summary["metric"]]]


def _title(metric: str) -> str:
    """Column title of a metric, or of one kind of it: ``asr.flip`` is "ASR flip %"."""
    base, kind = _split(metric)
    unit = _UNITS.get(metric, (100, "%"))[1]
    return " ".join([_TITLES[base], kind, unit] if kind else [_TITLES[base], unit])


def _split(metric: str) -> tuple[str, str]:
    base, _, kind = metric.rpartition(".")
    return (metric, "") if metric in _TITLES else (base, kind)


def _metric_order(metric: str) -> tuple[int, bool]:
    base, kind = _split(metric)
    return list(_TITLES).index(base), bool(kind)


def cell(mean: float, low: float = float("nan"), high: float = float("nan"), mark: str = "") -> str:
    """Write a mean with its marks, and the ends of its interval or runs, if there are any."""
    if np.isnan(mean):
        return UNDEFINED + "".join(sign for sign in mark if sign in UNMEASURED)
    return say_number(mean) + mark + ("" if np.isnan(low + high) else f" {say_range(low, high)}")


def _cells_are(shown: pd.DataFrame) -> str:
    places = ((k, shown[k].unique()) for k in ("task", "partition"))
    single = "".join(f"{k.capitalize()} {v[0]}. " for k, v in places if len(v) == 1)
    n = shown.loc[shown["n"] > 1, "n"]
    few = f" Fewer than {ENOUGH} seeds give no interval." if (n < ENOUGH).any() else ""
    return f"{single}Per cent, {shown_of(shown['n'])}; {UNDEFINED}: undefined.{few}"
