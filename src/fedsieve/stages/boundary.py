"""Draw at which share of a class and of the clients a label flip begins to win."""

from pathlib import Path
from typing import Any

from fedsieve import look
from fedsieve.boundaries import boundary_map
from fedsieve.tidy import read_table


def boundary(
    *,
    values: Path,
    shares: dict[str, Any],
    order: list[str],
    n_clients: int,
    figures: list[Path],
) -> None:
    """Write the map of a grid's first task and partition.

    Args:
        values: Every metric of every run of the grid.
        shares: Share of the source class that each attack flips.
        order: Attacks and defenses in their order.
        n_clients: Number of clients of that partition.
        figures: Written: the same figure in each format that the endings name.
    """
    found = read_table(values)
    first = found[["task", "partition"]].iloc[0]
    own = (found[["task", "partition"]] == first).all(axis=1)
    look.draw(lambda: boundary_map(found[own], shares, order, n_clients), *figures)
