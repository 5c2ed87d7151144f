"""Gather the results of a grid's scenarios into one tidy frame."""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from fedsieve.artifacts import UNREADABLE, broken, check_seal, read_json
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
    frames = [read_table(path).assign(**labels) for labels, path in labeled(grid, files)]
    return pd.concat(frames, ignore_index=True)


def read_table(path: Path, **reading: Any) -> pd.DataFrame:
    """Read a CSV file.

    Args:
        reading: What pandas' ``read_csv`` shall know.

    Raises:
        InputError: where it is unreadable, empty, or ends within a line.
    """
    check_seal(path)
    try:
        text = path.read_text(encoding="utf-8")
        if not text.endswith("\n"):
            raise ValueError("its last line is not whole")
        return pd.read_csv(io.StringIO(text), **reading)
    except UNREADABLE as error:
        raise broken(path, str(error)) from error


def labeled(grid: Mapping[str, Any], *files: str) -> Iterable[tuple[Any, ...]]:
    """Yield the labels of each scenario of a grid, and its file of each of these patterns."""
    for labels in scenarios(grid):
        paths = (Path(pattern.format(**labels)) for pattern in files)
        yield labels | {"ratio": float(labels["ratio"])}, *paths
