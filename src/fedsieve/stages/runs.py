"""Tabulate every run of a grid: what was kept, whom the defense turned down, time and memory."""

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int64

from fedsieve.artifacts import read_arrays, read_json, write_text
from fedsieve.record_keys import find_all
from fedsieve.statistics import LABELS, over_seeds
from fedsieve.tidy import labeled, read_rounds, read_table
from fedsieve.trust import ignored

UNSANITIZED = dict.fromkeys(("poisoned_kept", "poisoned_removed", "clean_kept", "clean_removed"))
"""Counts of a run whose defense removes no samples: none."""

_TRUTH = {"malicious": ("i", 1), "samples": ("i", 1)}


def runs(
    *,
    grid: dict[str, Any],
    rounds: str,
    clients_logs: str,
    kept: str,
    poisonings: str,
    records: str,
    table: Path,
    curves: Path,
) -> None:
    """Write a row per run of a grid, and its curves over seeds.

    Args:
        grid: Lists of labels (config ``grids``).
        rounds: Path of a scenario's rounds.csv, with a field in braces for each axis of the grid.
        clients_logs, kept, poisonings, records: The same, of its clients.csv, kept.npz,
            poisoning.npz and run.json.
        table: Written: samples kept and removed, clean and poisoned, for the defenses that remove
            samples; malicious clients and the mistrusted, whom a sanitizer accuses, a detector bans
            or an aggregator gives little weight; seconds of training, peak memory,
            device, versions and the digest of the training's code.
        curves: Written: each rate after each round over seeds (``statistics.over_seeds``).
    """
    files = (clients_logs, kept, poisonings, records)
    rows = [labels | _run(*paths) for labels, *paths in labeled(grid, *files)]
    counted = dict.fromkeys(UNSANITIZED, "Int64")
    write_text(table, pd.DataFrame(rows).astype(counted).to_csv(index=False))
    write_text(curves, over_rounds(read_rounds(grid, rounds)).to_csv(index=False))


def over_rounds(rounds: pd.DataFrame) -> pd.DataFrame:
    """Summarize each rate of each round over seeds; rates that are defined nowhere are left out."""
    long = rounds.melt([*LABELS, "seed", "round"], var_name="metric").dropna(subset="value")
    return over_seeds(long.groupby([*LABELS, "round", "metric"], sort=False)["value"]).reset_index()


def confusion(
    keep: Bool[np.ndarray, " samples"], poisoned: Int64[np.ndarray, " poisoned"]
) -> dict[str, int]:
    """Count kept and removed samples, given the rows of the poisoned ones."""
    n_poisoned, caught = len(poisoned), int(np.sum(~keep[poisoned]))
    lost = int(np.sum(~keep)) - caught
    return {
        "poisoned_kept": n_poisoned - caught,
        "poisoned_removed": caught,
        "clean_kept": len(keep) - n_poisoned - lost,
        "clean_removed": lost,
    }


def accused(judgements: Iterable[np.ndarray]) -> list[int]:
    """Clients with an excess rate above 0 in any judgement (arrays [clients, classes, classes])."""
    found = {client for rates in judgements for client in np.argwhere(rates > 0)[:, 0].tolist()}
    return sorted(found)


def turned_down(log: pd.DataFrame) -> list[int]:
    """Clients that a detector bans at the end, or ignored in half of their rounds or more."""
    last = log[log["round"] == log["round"].max()]
    banned = last.loc[~last["benign"].astype(bool), "client"]
    trained = log["n_samples"] > 0
    share = ignored(log)[trained].groupby(log["client"]).mean()
    return sorted({*banned.tolist(), *share.index[share >= 0.5].tolist()})


def _run(log: Path, kept: Path, poisoning: Path, record: Path) -> dict[str, Any]:
    """All columns of a run but its labels."""
    truth = _truth(poisoning)
    verdict = read_arrays(kept, None, finite=False)
    excess = find_all("excess", verdict)
    found = accused(excess) if excess else turned_down(read_table(log))
    counts = confusion(verdict["keep"], truth["samples"]) if verdict["sanitized"] else UNSANITIZED
    return {
        **counts,
        "malicious": _clients(truth["malicious"].tolist()),
        "mistrusted": _clients(found),
        **_cost(read_json(record)),
    }


@functools.cache  # the same for every defense of a seed
def _truth(poisoning: Path) -> dict[str, np.ndarray]:
    """Malicious clients and poisoned samples, without their images."""
    return read_arrays(poisoning, _TRUTH)


def _cost(record: dict[str, Any]) -> dict[str, Any]:
    """What a run took, and on what."""
    environment = record["environment"]
    return {
        "seconds": round(sum(record["seconds_per_round"]), 1),
        "peak_memory_mb": record["peak_memory_mb"],
        "device": record["device"],
        "python": environment["python"],
        **{name: environment["packages"].get(name, "") for name in ("fedsieve", "torch", "numpy")},
        "code": record["settings"]["code"],
    }


def _clients(numbers: list[int]) -> str:
    """List clients in a cell of a CSV."""
    return " ".join(map(str, numbers))
