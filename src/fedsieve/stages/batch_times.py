"""Draw and tabulate the time that training takes per batch under each defense, by part."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int64

from fedsieve import look, timing
from fedsieve.artifacts import read_json, write_text
from fedsieve.tidy import labeled, read_table


def batch_times(
    *,
    grid: dict[str, Any],
    clients_logs: str,
    records: str,
    order: list[str],
    table: Path,
    figures: list[Path],
) -> None:
    """Write the seconds per batch of each defense: a run's seconds over its batches.

    They are those of the rounds: local training, aggregation, and what a defense does between
    rounds. What happens before training is in no round.

    Args:
        grid: Lists of labels (config ``grids``).
        clients_logs: Path of a scenario's clients.csv, with a field in braces for each axis of
            the grid.
        records: The same, of its run.json.
        order: Defenses from top to bottom.
        table: Written: n, mean, standard deviation and extremes over scenarios and seeds, of each
            defense and part, and of all parts together.
        figures: Written: the same figure in each format that the endings name.
    """
    seconds = pd.DataFrame(
        [
            {"defense": labels["defense"], "part": part, "seconds": value}
            for labels, log, record in labeled(grid, clients_logs, records)
            for part, value in per_batch(read_table(log), read_json(record)).items()
        ]
    )
    groups = seconds.groupby(["defense", "part"], sort=False)["seconds"]
    times = groups.agg(n="count", mean="mean", sd="std", min="min", max="max").reset_index()
    write_text(table, times.to_csv(index=False))
    look.draw(lambda: timing.batch_times(times, order, _title(grid, times)), *figures)


def per_batch(log: pd.DataFrame, record: dict[str, Any]) -> dict[str, float]:
    """Seconds per batch of each part of a run's rounds, and of all; NaN if there was no batch."""
    local = record["settings"]["task"]["local"]
    n_samples = log["n_samples"].to_numpy()
    total = n_batches(n_samples, local["epochs"], local["batch_size"], local.get("steps")).sum()
    parts = pd.DataFrame(record["seconds_of_parts"]).sum()
    found = {str(part): value / total if total else np.nan for part, value in parts.items()}
    return found | {"all": sum(found.values())}


def n_batches(
    n_samples: Int64[np.ndarray, " rows"], epochs: int, batch_size: int, steps: int | None = None
) -> Int64[np.ndarray, " rows"]:
    """Number of SGD steps of clients that train on so many samples, as ``local.batches`` makes.

    A last batch of a single sample is left out, unless every batch has one.
    """
    if steps is not None:
        return np.where(n_samples >= min(2, batch_size), steps, 0)
    full, rest = np.divmod(n_samples, batch_size)
    return epochs * (full + (rest >= min(2, batch_size)))


def _title(grid: dict[str, Any], times: pd.DataFrame) -> str:
    """Say what is drawn."""
    low, high = times["n"].min(), times["n"].max()
    n = f"{low}" if low == high else f"{low} to {high}"
    spread = ", mean and standard deviation" if high > 1 else ""
    return f"{', '.join(grid['task'])}{spread} over {n} run{'s' if high > 1 else ''}"
