"""Gather every metric of every run of a grid: what paired tests and other statistics start from."""

from pathlib import Path
from typing import Any

import pandas as pd

from fedsieve.artifacts import read_json, write_text
from fedsieve.tidy import labeled


def values(*, grid: dict[str, Any], metrics: str, records: str, csv: Path) -> None:
    """Write the values of a grid, which ``fedsieve judge`` reads, too.

    Args:
        grid: Lists of labels (config ``grids``).
        metrics: Path of a run's metrics.json, with a field in braces for each axis of the grid.
        records: The same, of its run.json.
        csv: Written: a row per run and metric that is defined: task, partition, attack, ratio,
            defense, seed, metric, value, and the commit that the run was made at.
    """
    rows = [
        labels | {"metric": metric, "value": value, "commit": commit_of(read_json(record))}
        for labels, found, record in labeled(grid, metrics, records)
        for metric, value in read_json(found).items()
        if value is not None
    ]
    write_text(csv, pd.DataFrame(rows).to_csv(index=False))


def commit_of(record: dict[str, Any]) -> str:
    """The commit that a run was made at, ten digits, with ``+`` if its files were changed."""
    source = record["environment"].get("source") or {}
    return source.get("commit", "")[:10] + "+" * bool(source.get("modified"))
