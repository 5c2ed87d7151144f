"""Scenarios of a grid (standard library only)."""

import itertools
from collections.abc import Mapping
from typing import Any

AXES = ("task", "partition", "attack", "ratio", "defense", "seed")

UNATTACKED = "unattacked"

SCREENING = ("trained", "detection", "after_round")
"""What tells the screenings of a poisoned data set apart."""

UNFINISHED = "unfinished"
"""Key of a grid that lists, by their values on the axes, scenarios to leave out: they failed, or
wait for something that did."""

CLEAN_MODEL = "clean-model"
"""In place of a defense: its model is the undefended one of the unattacked run."""


def scenarios(*grids: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List each scenario of the grids once, in the order of the grids and of their lists.

    Those that a grid calls ``UNFINISHED`` are left out.

    Returns:
        One dict per scenario with a value for each axis. ``ratio`` is text as in paths ("0.5"),
        and "0" for every scenario without an attack.
    """
    found = [
        _scenario(values)
        for grid in grids
        for values in itertools.product(*(grid[axis] for axis in AXES))
        if list(_scenario(values)) not in grid.get(UNFINISHED, [])
    ]
    return [dict(zip(AXES, values, strict=True)) for values in dict.fromkeys(found)]


def screenings(grid: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List each screening of saved models that a grid asks for (``screen``), if it does.

    Returns:
        One dict per screening: the axes but ``defense``, and ``trained``, the defense whose model
        judges, ``detection`` and ``after_round``.
    """
    wanted = grid.get("screen", {"models": [], "detections": [], "after_rounds": []})
    whole = {**grid, UNFINISHED: []}
    named = dict.fromkeys(
        tuple(s[axis] for axis in AXES if axis != "defense") for s in scenarios(whole)
    )
    rest = itertools.product(wanted["models"], wanted["detections"], wanted["after_rounds"])
    axes = [axis for axis in AXES if axis != "defense"]
    return [
        dict(zip([*axes, *SCREENING], [*values, *more], strict=True))
        for values, more in itertools.product(named, rest)
        if [*values, *more] not in wanted.get(UNFINISHED, [])
    ]


def _scenario(values: tuple[Any, ...]) -> tuple[Any, ...]:
    task, partition, attack, ratio, defense, seed = values
    ratio = 0 if attack == UNATTACKED else ratio
    return task, partition, attack, format(ratio, "g"), defense, seed
