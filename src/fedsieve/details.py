"""What a page shows of each scenario when it is opened: settings, metrics, runs."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from tabulate import tabulate

from fedsieve import look
from fedsieve.overview import ranked
from fedsieve.statistics import LABELS
from fedsieve.tidy import read_table

Config = Mapping[str, Any]

SHOWN = ["seed", "malicious", "mistrusted", "seconds", "peak_memory_mb", "device", "code"]
"""What is shown of each run, beside the samples removed."""


def scenarios(
    summary: pd.DataFrame, runs: pd.DataFrame, order: Sequence[str], config: Config, folder: str
) -> list[dict[str, Any]]:
    """Describe each scenario of a grid, and in it each defense.

    Args:
        summary: Every metric over seeds (``statistics.summarize``).
        runs: A row per run (``read_runs``).
        order: Attacks and defenses in their order.
        config: The sections that the grid's labels belong to.
        folder: Path of a scenario's files, with a field in braces for each axis of the grid.
    """
    names = look.names(look.scenarios(summary, order))
    metrics, own = dict(list(summary.groupby(LABELS))), dict(list(runs.groupby(LABELS)))
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for key in ranked(summary, order):
        scenario, defense = key[:4], key[4]
        ran = own.get(key, runs.iloc[:0])  # none where all failed
        described = {
            "title": ", ".join(names[scenario]) + " malicious",
            "settings": settings(config, scenario),
            "defenses": [],
        }
        found.setdefault(scenario, described)["defenses"].append(
            {
                "name": defense,
                "key": key,
                "settings": defense_settings(config, defense),
                "metrics": metric_lines(metrics[key]),
                "confusion": confusion(ran),
                "runs": ran[SHOWN].to_dict("records"),
                "folder": _folder(folder, key, ran["seed"].tolist()),
            }
        )
    return list(found.values())


def read_runs(path: Path) -> pd.DataFrame:
    """Read the table of a grid's runs (stage ``runs``); lists of clients are text."""
    lists = ["malicious", "mistrusted"]
    runs = read_table(path, dtype=dict.fromkeys(lists, str))
    return runs.assign(**runs[lists].fillna(""))


def settings(config: Config, scenario: tuple[Any, ...]) -> str:
    """What the configuration says of a task, a partition and an attack, as YAML."""
    task, partition, attack, _ = scenario
    parts = (("tasks", task), ("partitions", partition), ("attacks", attack))
    return _yaml({section: {name: config[section][name]} for section, name in parts})


def defense_settings(config: Config, defense: str) -> str:
    """What the configuration says of a defense and of the sanitizer that it names, as YAML."""
    found = config["defenses"][defense]
    said: dict[str, Any] = {"defenses": {defense: found}}
    if label := found.get("sanitize"):
        said["sanitizers"] = {label: config["sanitizers"][label]}
    return _yaml(said)


def metric_lines(rows: pd.DataFrame) -> str:
    """Every defined metric in aligned lines: mean, interval, runs and deviation, as in the CSV."""
    shown = rows.dropna(subset="mean").sort_values("metric")
    columns = ["metric", "mean", "low", "high", "least", "greatest", "sd", "n"]
    numbers = shown[columns].replace({np.nan: None})
    head = ["metric", "mean", "95 % from", "to", "least", "greatest", "sd", "n"]
    return tabulate(numbers.to_numpy().tolist(), head, "plain", floatfmt=".4f", missingval="")


def confusion(runs: pd.DataFrame) -> list[tuple[str, float, float, float]] | None:
    """Samples kept and removed, mean over runs, and the share removed; None if none can be.

    Returns:
        A row for poisoned and for clean samples; the share is NaN where there are none.
    """
    if runs["clean_kept"].isna().all():
        return None
    found = []
    for group in ("poisoned", "clean"):
        kept, removed = (float(runs[f"{group}_{fate}"].mean()) for fate in ("kept", "removed"))
        whole = kept + removed
        found.append((group, kept, removed, removed / whole if whole else float("nan")))
    return found


def _folder(pattern: str, key: tuple[Any, ...], seeds: Collection[int]) -> str:
    """Path of the files of a scenario and defense, with all their seeds in one field."""
    labels = dict(zip(LABELS, key, strict=True))
    several = ",".join(map(str, seeds))
    seed = f"{{{several}}}" if len(seeds) > 1 else several
    return pattern.format(**labels | {"ratio": f"{labels['ratio']:g}", "seed": seed})


def _yaml(content: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(content), sort_keys=False, default_flow_style=None, width=90)
