"""Compare two defenses over every scenario that both have run: differences paired by seed."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from fedsieve.artifacts import read_json
from fedsieve.errors import InputError
from fedsieve.statistics import SCENARIO, over_seeds

METRICS = Path("metrics.json")

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
        A row per scenario: means of both, and n, mean, low, high (95 % t-interval) and sd of the
        paired differences.
    """
    groups = pairs.assign(difference=pairs["first"] - pairs["second"]).groupby(SCENARIO)
    return groups[["first", "second"]].mean().join(over_seeds(groups["difference"])).reset_index()


def tally(found: pd.DataFrame) -> dict[str, int]:
    """Count scenarios whose interval lies above 0, below 0, or holds it; ``lone``: one seed."""
    above, below = found["low"] > 0, found["high"] < 0
    lone = found["n"] < 2
    return {
        "above": int(above.sum()),
        "below": int(below.sum()),
        "undecided": int((~above & ~below & ~lone).sum()),
        "lone": int(lone.sum()),
    }


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
