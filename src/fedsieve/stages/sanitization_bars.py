"""Draw how much of the poison each sanitizer found, and how many clean samples it cost."""

from pathlib import Path

from fedsieve import bars, look
from fedsieve.tidy import read_table


def sanitization_bars(*, values: Path, order: list[str], figures: list[Path]) -> None:
    """Write the bars of a grid.

    Args:
        values: Every metric of every run of the grid, tidy.
        order: Attacks and defenses in the order of groups and bars.
        figures: Written: the same figure in each format that the endings name.
    """
    runs = read_table(values)
    look.draw(lambda: bars.sanitization_bars(runs, order), *figures)
