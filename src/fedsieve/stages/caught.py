"""Draw samples that sanitizers caught, let pass, and took for poison."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from fedsieve import look, samples
from fedsieve.artifacts import read_arrays, read_data, read_poisoning
from fedsieve.records import Dataset
from fedsieve.rng import stream
from fedsieve.samples import FATES, PER_FATE, Shown
from fedsieve.tidy import labeled
from fedsieve.wording import say_share

LONGEST = 8
"""Characters that fit below an image."""


def caught(
    *, grid: dict[str, Any], data: Path, kept: str, poisonings: str, figures: list[Path]
) -> None:
    """Write images of samples by what was made of them, a line for each run of the grid.

    Args:
        grid: Lists of labels (config ``grids``), of one task, partition and seed.
        data: The data set.
        kept: Path of a scenario's verdict, with a field in braces for each axis of the grid.
        poisonings: The same, of what was poisoned.
        figures: Written: the same figure in each format that the endings name.
    """
    clean, _ = read_data(data)
    lines = {}
    for labels, verdict, poisoning in labeled(grid, kept, poisonings):
        keep = read_arrays(verdict, {"keep": ("b", 1)})["keep"]
        truth = read_poisoning(poisoning)
        name = f"{labels['attack']}, {say_share(labels['ratio'])}\n{labels['defense']}"
        poisoned = truth.mask(len(keep))
        lines[name] = by_fate(clean, truth.apply(clean), keep, poisoned, int(labels["seed"]))
    first = ", ".join(grid[axis][0] for axis in ("task", "partition"))
    look.draw(lambda: samples.caught(lines, f"{first}, seed {grid['seed'][0]}"), *figures)


def by_fate(
    clean: Dataset,
    held: Dataset,
    keep: Bool[np.ndarray, " samples"],
    poisoned: Bool[np.ndarray, " samples"],
    seed: int,
) -> dict[str, Shown]:
    """Draw at random, for each of FATES, some samples as clients hold them.

    Args:
        clean, held: The training set before and after the attack.
    """
    chosen = zip(FATES, (poisoned & ~keep, poisoned & keep, ~poisoned & ~keep), strict=True)
    found = {}
    for fate, mask in chosen:
        rows = np.flatnonzero(mask)
        some = np.sort(stream(seed, "caught", fate).permutation(rows)[:PER_FATE])
        whole = poisoned if fate.startswith("poisoned") else ~poisoned
        labels = [_label(clean, held, row) for row in some.tolist()]
        found[fate] = Shown(held.images[some], labels, len(rows), int(whole.sum()))
    return found


def _label(clean: Dataset, held: Dataset, row: int) -> str:
    """Class of a sample, and the one that it carries, if it has one alone."""
    if clean.multi_label:
        return ""
    true, carried = (_short(data.classes[data.labels[row]]) for data in (clean, held))
    if true == carried:
        return true
    return f"{true} as {carried}" if len(true + carried) < LONGEST else f"{true}\nas {carried}"


def _short(name: str) -> str:
    """A class's name that fits below an image."""
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"
