"""Set what papers say beside what was measured, with a verdict on each claim."""

from pathlib import Path
from typing import Any

import pandas as pd

from fedsieve import claims as judge
from fedsieve import rendering
from fedsieve.artifacts import write_text
from fedsieve.tidy import read_table

COLUMNS = ["paper", "where", "says", "here", "n", "verdict", "why"]


def ledger(*, claims: dict[str, Any], tables: str, csv: Path, md: Path, html: Path) -> None:
    """Write the ledger of claims.

    Args:
        claims: Claims by label (config ``claims``).
        tables: Path of a grid's summary, with ``{grid}`` for its label.
        csv: Written: a row per claim, or per published number, with the kind of its rule.
        md, html: Written: the same as a table, with the rules in words.
    """
    rows = []
    for name, claim in claims.items():
        summary = read_table(Path(tables.format(grid=claim["grid"])))
        rows += [row | {"grid": claim["grid"]} for row in judge.ledger(name, claim, summary)]
    frame = pd.DataFrame(rows).fillna("")
    write_text(csv, frame.to_csv(index=False))
    used = [f"{kind}: {text}." for kind, text in judge.RULES.items() if kind in set(frame["rule"])]
    note = " ".join(
        [
            "Per cent, means over n seeds (± half of the 95 % t-interval). Verdicts follow from",
            *used,
        ]
    )
    shown = frame[COLUMNS].set_index(["paper", "where", "says"])
    write_text(md, rendering.to_markdown(shown, note))
    write_text(html, rendering.to_html(shown, note))
