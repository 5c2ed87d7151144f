"""Draw accuracy and attack success of each defense at the end of a run."""

from pathlib import Path

import pandas as pd

from fedsieve import bars, look


def success_bars(*, summary: Path, order: list[str], figures: list[Path]) -> None:
    """Write the bars of a grid.

    Args:
        summary: The grid's tidy table.
        order: Attacks and defenses in the order of panels and bars.
        figures: Written: the same figure in each format that the endings name.
    """
    look.save(bars.success_bars(pd.read_csv(summary), order), *figures)
