"""Gather the results of a grid's scenarios into one tidy frame."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from fedsieve.artifacts import read_json
from fedsieve.grids import scenarios


def read_metrics(grid: Mapping[str, Any], files: str) -> pd.DataFrame:
    """Read the metrics of all scenarios: a row per scenario and metric, with its labels.

    Args:
        grid: Lists of labels (config ``grids``).
        files: Path of a scenario's file, with a field in braces for each axis of the grid.
    """
    return pd.DataFrame(
        [
            labels | {"metric": metric, "value": value}
            for labels, path in labeled(grid, files)
            for metric, value in read_json(path).items()
        ]
    ).astype({"value": float})


def read_rounds(grid: Mapping[str, Any], files: str) -> pd.DataFrame:
    """Read the rounds of all scenarios: a row per scenario and round, with its labels."""
    frames = [pd.read_csv(path).assign(**labels) for labels, path in labeled(grid, files)]
    return pd.concat(frames, ignore_index=True)


def labeled(grid: Mapping[str, Any], *files: str) -> Iterable[tuple[Any, ...]]:
    """Yield the labels of each scenario of a grid, and its file of each of these patterns."""
    for labels in scenarios(grid):
        paths = (Path(pattern.format(**labels)) for pattern in files)
        yield labels | {"ratio": float(labels["ratio"])}, *paths
