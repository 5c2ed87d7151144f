"""Compare two defenses over every scenario that both have run: differences paired by seed."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fedsieve import inference
from fedsieve.artifacts import read_json
from fedsieve.errors import InputError
from fedsieve.statistics import ENOUGH, SCENARIO

METRICS = Path("metrics.json")

VERDICTS = ("above", "below", "undecided", "few")

_PLACE = re.compile(
    r"(?P<task>[^/]+)/(?P<partition>[^/]+)/seed(?P<seed>\d+)"
    r"/(?P<attack>[^/]+)/ratio(?P<ratio>[\d.]+)/(?P<defense>[^/]+)"
)


def read(results: Path, first: str, second: str, metric: str) -> pd.DataFrame:
    """Read a metric of all scenarios that both defenses have run.

    Args:
        results: The folder that the workflow writes.
        first, second: Labels of the defenses.
        metric: A key of ``metrics.json``.

    Returns:
        A row per scenario and seed, with columns ``first`` and ``second``.

    Raises:
        InputError: where a defense has no results, no scenario has both, or none has the metric.
    """
    found = [_values(results, defense, metric) for defense in (first, second)]
    pairs = pd.concat(found, axis=1, keys=["first", "second"], join="inner")
    if pairs.empty:
        raise InputError(f"{results}: {first} and {second} have no scenario and seed in common")
    if pairs.isna().to_numpy().all():
        raise InputError(f"{results}: no scenario of {first} or {second} has a metric {metric!r}")
    return pairs.dropna().reset_index()


def differences(pairs: pd.DataFrame) -> pd.DataFrame:
    """Summarize first - second of each scenario over its seeds.

    Returns:
        A row per scenario: means of both; n, mean, least and greatest of the paired differences;
        low and high, the 95 % t-interval from ``ENOUGH`` seeds on, within -1 to 1, below
        that NaN; p of the two-sided sign-flip test, Holm's adjustment over scenarios made; verdict:
        above, below, undecided, or few where seeds are too few for any.
    """
    rows = [
        dict(zip(SCENARIO, labels, strict=True)) | _summary(group)
        for labels, group in pairs.groupby(SCENARIO)
    ]
    table = pd.DataFrame(rows)
    table["p"] = inference.holm(table["p"].to_numpy())
    return table.assign(verdict=[_verdict(row) for _, row in table.iterrows()]).drop(columns="few")


def _summary(group: pd.DataFrame) -> dict[str, Any]:
    """What ``differences`` says of one scenario, before Holm's adjustment."""
    found = (group["first"] - group["second"]).to_numpy(dtype=float)
    low, high = np.nan, np.nan
    if len(found) >= ENOUGH:
        ends = inference.interval(found)
        low, high = max(ends[0], -1.0), min(ends[1], 1.0)
    return {
        "first": group["first"].mean(),
        "second": group["second"].mean(),
        "n": len(found),
        "mean": found.mean(),
        "least": found.min(),
        "greatest": found.max(),
        "low": low,
        "high": high,
        "p": inference.differ(found),
        "few": len(found) < inference.fewest(found),
    }


def _verdict(row: pd.Series) -> str:
    if row["few"]:
        return "few"
    if row["p"] > inference.LEVEL:
        return "undecided"
    return "above" if row["mean"] > 0 else "below"


def tally(found: pd.DataFrame) -> dict[str, int]:
    """Count the scenarios of each verdict."""
    return {name: int((found["verdict"] == name).sum()) for name in VERDICTS}


def _values(results: Path, defense: str, metric: str) -> pd.Series:
    """The metric by task, partition, attack, ratio and seed; NaN where it is undefined."""
    files = results.glob(f"*/*/seed*/*/ratio*/{defense}/{METRICS}")
    places = ((_PLACE.fullmatch(str(p.parent.relative_to(results))), p) for p in sorted(files))
    rows = [
        place.groupdict() | {"value": read_json(path).get(metric, np.nan)}
        for place, path in places
        if place
    ]
    if not rows:
        ran = sorted({path.parent.name for path in results.glob(f"*/*/seed*/*/ratio*/*/{METRICS}")})
        raise InputError(
            f"{results}: nothing of defense {defense!r}; there is {', '.join(ran) or 'nothing'}"
        )
    frame = pd.DataFrame(rows).astype({"seed": int, "ratio": float, "value": float})
    return frame.set_index([*SCENARIO, "seed"])["value"]
