"""Draw clients' updates in the plane in which a detector looked for two groups of them."""

from pathlib import Path
from typing import Any

import numpy as np

from fedsieve import look
from fedsieve import quality as draw
from fedsieve.artifacts import read_arrays, read_poisoning
from fedsieve.grids import UNATTACKED
from fedsieve.record_keys import split_rounds
from fedsieve.tidy import labeled
from fedsieve.wording import say_share


def updates(*, grid: dict[str, Any], files: str, poisonings: str, figures: list[Path]) -> None:
    """Write a figure of the updates that a detector knew at its last screening, a panel per run.

    Args:
        grid: Lists of labels (config ``grids``): one task, partition and seed, and one
            defense, whose detector records ``points``, ``clients`` and ``rounds``.
        files: Path of what a scenario's detector found, with a field in braces for each axis.
        poisonings: The same, of what was poisoned.
        figures: Written: the same figure in each format that the endings name.

    Source: MCDFL, Figure 3.
    """
    panels = []
    for labels, path, poisoning in labeled(grid, files, poisonings):
        found = _last(read_arrays(path, None, finite=False))
        if labels["attack"] == UNATTACKED or not np.isfinite(found.get("points", np.nan)).all():
            continue
        malicious = np.isin(found["clients"], read_poisoning(poisoning).malicious)
        title = f"{labels['attack']}, {say_share(labels['ratio'])}"
        panels.append(draw.Updates(title, found["points"], malicious))
    named = ", ".join([*(str(grid[axis][0]) for axis in ("task", "partition")), *grid["defense"]])
    look.draw(lambda: draw.updates(panels, f"{named}, seed {grid['seed'][0]}"), *figures)


def _last(recorded: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What was recorded of the last screening, if any, without the number of its round."""
    return next(reversed(split_rounds(recorded).values()), {})
