"""Draw clients' updates in the plane in which a detector looked for two groups of them."""

from pathlib import Path
from typing import Any

import numpy as np

from fedsieve import look
from fedsieve import quality as draw
from fedsieve.artifacts import read_arrays, read_poisoning
from fedsieve.grids import UNATTACKED
from fedsieve.statistics import percent
from fedsieve.tidy import labeled


def updates(*, grid: dict[str, Any], files: str, poisonings: str, figures: list[Path]) -> None:
    """Write a figure of the updates that a detector knew at its last screening, a panel per run.

    Args:
        grid: Lists of labels (config ``grids``), of which the first task, partition and seed are
            drawn; one defense, whose detector records ``points``, ``clients`` and ``rounds``.
        files: Path of what a scenario's detector found, with a field in braces for each axis.
        poisonings: The same, of what was poisoned.
        figures: Written: the same figure in each format that the endings name.

    Source: MCDFL, Figure 3.
    """
    first = {axis: grid[axis][:1] for axis in ("task", "partition", "seed")}
    panels = []
    scenarios = zip(labeled(grid | first, files), labeled(grid | first, poisonings), strict=True)
    for (labels, path), (_, poisoning) in scenarios:
        found = _last(read_arrays(path, None))
        if labels["attack"] == UNATTACKED or not found:
            continue
        malicious = np.isin(found["clients"], read_poisoning(poisoning).malicious)
        title = f"{labels['attack']}, {percent(labels['ratio'])}"
        panels.append(draw.Updates(title, found["points"], malicious))
    named = ", ".join([*(str(first[axis][0]) for axis in ("task", "partition")), *grid["defense"]])
    look.save(draw.updates(panels, f"{named}, seed {first['seed'][0]}"), *figures)


def _last(recorded: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What was recorded of the last screening, without the number of its round."""
    rounds = [int(name.split(".")[0].removeprefix("round")) for name in recorded]
    prefix = f"round{max(rounds, default=0)}."
    return {k.removeprefix(prefix): v for k, v in recorded.items() if k.startswith(prefix)}
