"""Scenarios of a grid, and how many clients a ratio makes malicious (standard library only)."""

import itertools
import math
from collections.abc import Mapping
from typing import Any

AXES = ("task", "partition", "attack", "ratio", "defense", "seed")

UNATTACKED = "unattacked"


def scenarios(*grids: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List each scenario of the grids once, in the order of the grids and of their lists.

    Returns:
        One dict per scenario with a value for each axis. ``ratio`` is text as in paths ("0.5"),
        and "0" for every scenario without an attack.
    """
    found = [
        _scenario(values)
        for grid in grids
        for values in itertools.product(*(grid[axis] for axis in AXES))
    ]
    return [dict(zip(AXES, values, strict=True)) for values in dict.fromkeys(found)]


def n_malicious(ratio: float, n_clients: int) -> int:
    """Return the number of malicious among ``n_clients`` clients: rounded, halves up."""
    return math.floor(ratio * n_clients + 0.5)


def _scenario(values: tuple[Any, ...]) -> tuple[Any, ...]:
    task, partition, attack, ratio, defense, seed = values
    ratio = 0 if attack == UNATTACKED else ratio
    return task, partition, attack, format(ratio, "g"), defense, seed
