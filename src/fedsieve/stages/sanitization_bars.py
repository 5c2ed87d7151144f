"""Draw how much of the poison each sanitizer found, and how many clean samples it cost."""

from pathlib import Path

import pandas as pd

from fedsieve import bars, look


def sanitization_bars(*, summary: Path, order: list[str], figures: list[Path]) -> None:
    """Write the bars of a grid.

    Args:
        summary: The grid's tidy table.
        order: Attacks and defenses in the order of groups and bars.
        figures: Written: the same figure in each format that the endings name.
    """
    look.save(bars.sanitization_bars(pd.read_csv(summary), order), *figures)
