"""Draw and tabulate which clients a sanitizer flags, for which label on what looks like what."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fedsieve import heatmaps, look
from fedsieve.artifacts import read_arrays, read_poisoning, write_text
from fedsieve.errors import InputError
from fedsieve.grids import AXES
from fedsieve.heatmaps import Judged
from fedsieve.record_keys import split_layers, split_rounds, take_under
from fedsieve.statistics import UNATTACKED
from fedsieve.tidy import labeled
from fedsieve.wording import say_share

COLUMNS = ["round", "layer", "client", "looks_like", "label", "excess", "malicious", "attacked"]
"""Of the table, after the labels of the scenario."""


def flags(
    *,
    grid: dict[str, Any],
    kept: str,
    poisonings: str,
    sanitizer: str,
    table: Path,
    figures: list[Path],
) -> None:
    """Write every flagged client and cell of a grid, and draw one run of each attack.

    Drawn are, of the first task, partition, defense and seed, the runs at the middle ratio. A
    judgement that looks at several layers is drawn by the largest excess among them.

    Args:
        grid: Lists of labels (config ``grids``), of defenses those that use the sanitizer.
        kept: Path of a scenario's verdict, with a field in braces for each axis of the grid.
        poisonings: The same, of what was poisoned.
        sanitizer: Label of the sanitizer.
        table: Written: a row per scenario, judgement, layer, client and flagged cell, with
            whether the client is malicious and the attack fills that cell.
        figures: Written: the same figure in each format that the endings name.
    """
    parts, drawn = [], []
    for labels, path, poisoning in labeled(grid, kept, poisonings):
        truth = read_poisoning(poisoning)
        cells = zip(truth.labels_before.tolist(), truth.labels_after.tolist(), strict=True)
        attacked, malicious = frozenset(cells), frozenset(truth.malicious.tolist())
        recorded = excess(path)
        parts.append(_flagged(recorded, malicious, attacked).assign(**labels))
        if _is_drawn(labels, grid):
            drawn.append(Judged(_title(labels), _judgements(recorded), malicious, attacked))
    found = pd.concat(parts, ignore_index=True)[[*AXES, *COLUMNS]]
    write_text(table, found.to_csv(index=False))
    first = ", ".join(grid[axis][0] for axis in ("task", "partition"))
    title = f"{first}, {sanitizer}, seed {grid['seed'][0]}"
    look.draw(lambda: heatmaps.flags(drawn, title), *figures)


def excess(path: Path) -> dict[tuple[int, str], np.ndarray]:
    """Excess rates [clients, classes, classes] that a sanitizer recorded, by round and layer.

    Raises:
        InputError: if it recorded none.
    """
    found = {
        (number, layer): arrays["excess"]
        for number, recorded in split_rounds(read_arrays(path, None)).items()
        for layer, arrays in split_layers(take_under("server", recorded)).items()
        if "excess" in arrays
    }
    if not found:
        raise InputError(
            f"{path}: the sanitizer recorded no excess rates, so there are no flags to show; "
            "only sanitizers whose server keeps arrays named excess have them, such as sieve"
        )
    return found


def _flagged(
    recorded: dict[tuple[int, str], np.ndarray],
    malicious: frozenset[int],
    attacked: frozenset[tuple[int, int]],
) -> pd.DataFrame:
    """List what is flagged in one run, with the truth."""
    rows = [
        (number, layer, *place, rates[place], place[0] in malicious, place[1:] in attacked)
        for (number, layer), rates in recorded.items()
        for place in map(tuple, np.argwhere(rates > 0).tolist())
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _judgements(recorded: dict[tuple[int, str], np.ndarray]) -> dict[str, np.ndarray]:
    """Largest excess over the layers of each judgement, by the judgement's name."""
    numbers = dict.fromkeys(number for number, _ in recorded)
    layers = {number: {k: v for (n, k), v in recorded.items() if n == number} for number in numbers}
    return {
        f"before round {number}\n{', '.join(filter(None, rates))}": np.max(
            [*rates.values()], axis=0
        )
        for number, rates in layers.items()
    }


def _is_drawn(labels: dict[str, Any], grid: dict[str, Any]) -> bool:
    """Whether a scenario is the one of its attack to draw."""
    first = all(labels[axis] == grid[axis][0] for axis in ("task", "partition", "defense", "seed"))
    middle = grid["ratio"][len(grid["ratio"]) // 2]
    return first and (labels["ratio"] == middle or labels["attack"] == UNATTACKED)


def _title(labels: dict[str, Any]) -> str:
    if labels["attack"] == UNATTACKED:
        return UNATTACKED
    return f"{labels['attack']}, {say_share(labels['ratio'])}"
