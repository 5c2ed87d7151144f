"""Set what papers say beside what was measured, with a verdict on each claim."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from fedsieve import claims as judge
from fedsieve import rendering, verdicts
from fedsieve.artifacts import write_text
from fedsieve.errors import InputError
from fedsieve.tidy import read_table

COLUMNS = {
    "paper": "paper",
    "where": "where",
    "says": "the paper says",
    "reading": "reading",
    "supported": "supported by",
    "settings": "settings given",
    "here": "here",
    "n": "seeds",
    "verdict": "verdict",
    "best": "best of the readings",
    "seeds": "seeds it would take",
    "why": "why",
}
"""Columns of the ledger that are shown, with their headings; the CSV has all."""

SUFFIX = "-values"
"""What follows a grid's label in the name of the file with its values."""

_NEEDED = {"task", "partition", "attack", "ratio", "defense", "seed", "metric", "value"}


def ledger(
    *,
    claims: dict[str, Any],
    margins: dict[str, Any],
    values: list[Path],
    csv: Path,
    md: Path,
    html: Path,
) -> None:
    """Write the ledger of claims.

    Args:
        claims: Claims by label (config ``claims``).
        margins: Metric -> how far from what a paper says is as it says (config ``margins``).
        values: The values of each grid that was run, GRID-values.csv.
        csv: Written: a row per claim, or per published number, and reading.
        md, html: Written: the same as a table, with the rules in words.
    """
    rows = judged(claims, margins, values)
    shown, note = to_show(rows)
    write_text(csv, rows.to_csv(index=False))
    write_text(md, to_markdown(shown, note))
    write_text(html, rendering.to_html(shown, note))


def judged(
    claims: Mapping[str, Any], margins: Mapping[str, float], values: Sequence[Path]
) -> pd.DataFrame:
    """Judge claims by the values in these files: a row per claim, or number, and reading.

    Raises:
        InputError: where a file is no table of values, or two are of one grid.
    """
    tables: dict[str, pd.DataFrame] = {}
    for path in values:
        table = read_table(path)
        if missing := _NEEDED - set(table.columns):
            raise InputError(
                f"{path}: is no table of values, it lacks {', '.join(sorted(missing))}; give files "
                f"that the workflow writes as results/tables/GRID{SUFFIX}.csv"
            )
        grid = path.stem.removesuffix(SUFFIX)
        if grid in tables:
            raise InputError(f"{path}: another file holds grid {grid} already; leave one out")
        tables[grid] = table
    found = (judge.ledger(name, claim, tables, margins) for name, claim in claims.items())
    return pd.DataFrame(list(itertools.chain(*found))).fillna("")


def to_show(rows: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The ledger as a table of text, and the rules in words."""
    kinds = set(rows["rule"])
    used = [f"{kind}: {text}." for kind, text in verdicts.RULES.items() if kind in kinds]
    note = " ".join(
        [
            "Per cent: mean over n seeds (least to greatest).",
            f"{verdicts.COMMON}.",
            "Verdicts follow from",
            *used,
        ]
    )
    of_several = rows["best"].where(rows["best"] == "", rows["best"] + ", " + rows["readings"])
    shown = rows.assign(best=of_several)[[*COLUMNS]].rename(columns=COLUMNS)
    return shown.set_index([*COLUMNS.values()][:4]), note


def to_markdown(shown: pd.DataFrame, note: str) -> str:
    """The table in Markdown, cells as long as their text: quotes would widen every row."""
    table = shown.reset_index()
    lines = [[*table.columns], ["---"] * table.shape[1], *table.to_numpy().tolist()]
    return f"{markdown_table(lines)}\n\n{note}\n"


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """Write lines of cells, the headings and dashes first, as a table in Markdown."""
    return "\n".join(f"| {' | '.join(c.replace('|', '/') for c in line)} |" for line in lines)
