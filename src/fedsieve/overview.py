"""What a page shows of a grid at a glance: its headline, and all results in one table.

Rates are fractions in frames and per cent in cells. The best defense of a scenario is the best by
the mean, as shown, of those that know nothing of the truth. ``told`` is what is said of a defense
beside its name.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fedsieve import look
from fedsieve.grids import UNFINISHED
from fedsieve.rendering import ORACLE, TOLD, trivial
from fedsieve.statistics import (
    LABELS,
    MALICIOUS_PER_COHORT,
    SCENARIO,
    positions,
    shown_of,
    split,
    spread,
)
from fedsieve.tables import MARKS, UNDEFINED, UNLIKE, marks, marks_at
from fedsieve.wording import say_number, say_range, say_share

HIGHER = {"accuracy": True, "asr": False}
"""Measures of which the best is marked, and whether more is better."""

WORST = -1.0
"""In place of a ratio, for the worst case over scenarios; so that it comes first."""

COLUMNS = {
    "accuracy": "accuracy",
    "accuracy_trivial": "accuracy of no",
    "accuracy_majority": "accuracy of majority",
    "auc": "AUC",
    "asr": "ASR",
    "asr_floor": "ASR floor",
    "accuracy_lost": "accuracy lost",
    "asr_excess": "ASR above floor",
    "sanitization.recall": "poison removed",
    "sanitization.precision": "precision",
    "sanitization.clean_lost": "clean lost",
    "screening.recall": "malicious flagged",
    "screening.false_positive_rate": "honest flagged",
}
"""Metrics of the table of results, with their titles; all in per cent."""


@dataclass(frozen=True)
class Cell:
    """A number as a page shows it: per cent, ends of its interval or of its runs, and marks."""

    value: float
    low: float = float("nan")
    high: float = float("nan")
    best: bool = False
    mark: str = ""
    shaded: bool = False

    @property
    def text(self) -> str:
        """The number with one decimal."""
        return UNDEFINED if np.isnan(self.value) else say_number(self.value)

    @property
    def spread(self) -> str:
        """From where to where the interval or the runs go; empty of a single run."""
        return "" if np.isnan(self.low) else say_range(self.low, self.high)

    @property
    def shade(self) -> float:
        """How dark its ground is, from 0 to 1: the rate, where it is a harm."""
        return round(min(max(self.value / 100, 0), 1), 2) if self.shaded else 0


def contenders(defenses: Collection[str], told: Mapping[str, str]) -> list[str]:
    """Defenses that may be best: those that are some, and are told nothing of the truth."""
    unfair = {name for name, mark in told.items() if ORACLE in mark or TOLD in mark}
    return [d for d in defenses if d != "none" and d not in unfair]


def best(summary: pd.DataFrame, fair: Collection[str]) -> set[tuple[Any, ...]]:
    """Labels and metric of each cell with the best mean of its scenario, ties included.

    Means that look the same with one decimal of a per cent tie. Where a single defense is fair,
    there is no best.
    """
    shown = summary[summary["defense"].isin(fair) & summary["metric"].isin(HIGHER)]
    found: set[tuple[Any, ...]] = set()
    for key, rows in shown.dropna(subset="mean").groupby([*SCENARIO, "metric"]):
        sign = 1 if HIGHER[str(key[-1])] else -1
        signed = sign * (100 * rows["mean"]).round(1)
        if len(rows) > 1:
            winners = rows[signed == signed.max()]
            found |= set(winners[[*LABELS, "metric"]].itertuples(index=False, name=None))
    return found


def cells(summary: pd.DataFrame, told: Mapping[str, str]) -> dict[tuple[Any, ...], Cell]:
    """Every number of a summary by its labels and metric."""
    marked = marks(summary, told)
    winners = best(summary, contenders(summary["defense"].unique(), told))
    shown = summary[[*LABELS, "metric", "mean"]].join(spread(summary)).assign(apart=split(summary))
    return {
        (*labels, metric): Cell(
            100 * mean,
            100 * low,
            100 * high,
            (*labels, metric) in winners,
            (marks_at(metric, marked.get(tuple(labels), "")) if metric in HIGHER else "")
            + UNLIKE * apart,
            metric == "asr",
        )
        for *labels, metric, mean, low, high, apart in shown.itertuples(index=False, name=None)
    }


def results(summary: pd.DataFrame, order: Sequence[str], told: Mapping[str, str]) -> dict[str, Any]:
    """Lay out all results of a grid: a row per scenario and defense.

    Returns:
        ``labels``: those of the axes that vary, with the choices of each to filter by, and
        ``defenses``; ``columns``: titles of the metrics that are defined; ``spread``: whether any
        has an interval or several runs, and ``shown``: which; ``marks``: the most marks that a cell
        has; ``rows``: ``labels``, ``key``,
        ``defense`` and ``cells`` of each.
    """
    found = cells(summary, told)
    defined = set(summary.dropna(subset="mean")["metric"])
    metrics = [metric for metric in COLUMNS if metric in defined]
    varying = [k for k in ("task", "partition", "attack", "ratio") if summary[k].nunique() > 1]
    keys = ranked(summary, order)
    rows = [
        {
            "key": key,
            "labels": [_label(key[LABELS.index(axis)]) for axis in varying],
            "defense": key[-1],
            "cells": [found.get((*key, metric), Cell(np.nan)) for metric in metrics],
        }
        for key in keys
    ]
    choices = [list(dict.fromkeys(row["labels"][i] for row in rows)) for i in range(len(varying))]
    return {
        "labels": list(zip(varying, choices, strict=True)),
        "defenses": list(dict.fromkeys(key[-1] for key in keys)),
        "columns": [COLUMNS[metric] for metric in metrics],
        "spread": any(cell.spread for row in rows for cell in row["cells"]),
        "marks": _most_marks(cell for row in rows for cell in row["cells"]),
        "shown": shown_of(summary.loc[summary["metric"].isin(metrics), "n"]),
        "rows": rows,
    }


def headline(
    summary: pd.DataFrame, order: Sequence[str], told: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Lay out accuracy and attack success: a table per task and partition, a row per defense.

    Returns:
        Of each table its ``title``; ``trivial``, without which accuracy says little; ``panels``
        with their measures, ``rows`` of cells, and ``marks``, the most that a cell has. Where there
        are several panels, the first is the worst case over them.
    """
    return [
        {
            "title": f"{task}, {partition}",
            "trivial": " ".join(trivial(part)),
            **_headline(part, order, told),
        }
        for (task, partition), part in summary.groupby(["task", "partition"], sort=False)
    ]


def ranked(summary: pd.DataFrame, order: Sequence[str]) -> list[tuple[Any, ...]]:
    """Labels of each scenario and defense: ratio before attack, then defenses in their order."""
    place = {s: i for i, s in enumerate(look.scenarios(summary, order))}
    rank = positions(order, summary["defense"])
    found = summary[LABELS].drop_duplicates().itertuples(index=False, name=None)
    return sorted(found, key=lambda key: (place[key[:4]], rank[key[4]]))


def _headline(part: pd.DataFrame, order: Sequence[str], told: Mapping[str, str]) -> dict[str, Any]:
    """The table of one task and partition."""
    shown = part[part["metric"].isin([*HIGHER, *MARKS, MALICIOUS_PER_COHORT])]
    if shown[SCENARIO].drop_duplicates().shape[0] > 1:
        shown = pd.concat([_worst(shown), shown], ignore_index=True)
    found = cells(shown, told)
    scenarios = look.scenarios(shown, order)
    defined = set(shown.dropna(subset="mean")[[*SCENARIO, "metric"]].itertuples(False, None))
    panels = [(s, [metric for metric in HIGHER if (*s, metric) in defined]) for s in scenarios]
    rows = {
        name: [found.get((*s, name, m), Cell(np.nan)) for s, measures in panels for m in measures]
        for name in dict.fromkeys(key[-1] for key in ranked(shown, order))
    }
    named = [
        (s[2], "of all" if s[3] == WORST else say_share(s[3]), [COLUMNS[m] for m in measures])
        for s, measures in panels
    ]
    marks = _most_marks(cell for cells in rows.values() for cell in cells)
    return {"panels": named, "rows": rows, "marks": marks}


def _most_marks(cells: Iterable[Cell]) -> int:
    return max((len(cell.mark) for cell in cells), default=0)


def _worst(shown: pd.DataFrame) -> pd.DataFrame:
    """Least accuracy and highest attack success of each defense, as a scenario of its own.

    Like the scenario that it stems from, it may hide a run that diverged or is not finished.
    """
    rows = shown[shown["metric"].isin([*HIGHER, "diverged", UNFINISHED])].dropna(subset="mean")
    harm = rows["mean"].where(rows["metric"] != "accuracy", -rows["mean"])
    worst = harm.groupby([rows["defense"], rows["metric"]], sort=False).idxmax()
    return rows.loc[worst].assign(attack="worst case", ratio=WORST)


def _label(value: str | float) -> str:
    return value if isinstance(value, str) else say_share(value)
