"""Draw rates over the rounds of a grid: accuracy, attack success, local models, flags."""

from pathlib import Path
from typing import Any

from fedsieve import figures as draw
from fedsieve import look
from fedsieve.tidy import read_rounds


def curves(
    *, grid: dict[str, Any], files: str, order: list[str], columns: list[str], figures: list[Path]
) -> None:
    """Write the curves of a grid: mean over seeds with its interval, or with the range of few runs.

    Args:
        grid: Lists of labels (config ``grids``).
        files: Path of a scenario's rounds, with a field in braces for each axis of the grid.
        order: Attacks and defenses in the order of panels and lines.
        columns: Those of the rounds to draw, from top to bottom; others are left out.
        figures: Written: the same figure in each format that the endings name.
    """
    rounds = read_rounds(grid, files)
    look.draw(lambda: draw.curves(rounds, order, columns), *figures)
