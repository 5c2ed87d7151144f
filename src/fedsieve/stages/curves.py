"""Draw accuracy and attack success rate over the rounds of a grid."""

from pathlib import Path
from typing import Any

from fedsieve import figures as draw
from fedsieve import look
from fedsieve.tidy import read_rounds


def curves(*, grid: dict[str, Any], files: str, order: list[str], figures: list[Path]) -> None:
    """Write the curves of a grid: mean over seeds with its interval.

    Args:
        grid: Lists of labels (config ``grids``).
        files: Path of a scenario's rounds, with a field in braces for each axis of the grid.
        order: Attacks and defenses in the order of panels and lines.
        figures: Written: the same figure in each format that the endings name.
    """
    drawn = draw.curves(read_rounds(grid, files), order)
    look.save(drawn, *figures)
