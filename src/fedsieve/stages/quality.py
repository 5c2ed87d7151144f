"""Draw a detector's scores of all clients, as it saw them in a round of training."""

from pathlib import Path
from typing import Any

import pandas as pd

from fedsieve import look
from fedsieve import quality as draw
from fedsieve.artifacts import read_poisoning
from fedsieve.rng import stream
from fedsieve.tidy import labeled, read_table

EARLIEST = 20
"""First round that may be drawn, as in MCDFL's figures, unless a run has no later screening."""


def quality(
    *,
    grid: dict[str, Any],
    logs: str,
    poisonings: str,
    order: list[str],
    score: str,
    figures: list[Path],
) -> None:
    """Write a figure of all clients' scores before a round drawn at random, one per scenario.

    Args:
        grid: Lists of labels (config ``grids``): one task, partition and seed, and one
            defense, with a detector.
        logs: Path of a scenario's log of clients, with a field in braces for each axis of the grid.
        poisonings: The same, of what was poisoned.
        order: Attacks in the order of lines.
        score: What the detector's scores are.
        figures: Written: the same figure in each format that the endings name.

    Source: MCDFL, Figures 4, 7 and 8 ("randomly selected from R = [20, 200]").
    """
    parts, drawn = [], []
    for labels, path, poisoning in labeled(grid, logs, poisonings):
        log = read_table(path)
        number = _round(log, labels)
        if number is None:
            continue
        rows = log[log["round"] == number]
        malicious = rows["client"].isin(read_poisoning(poisoning).malicious)
        shown = pd.DataFrame(
            {
                "client": rows["client"],
                "score": rows["score"],
                "malicious": malicious,
                "flagged": rows["benign"] == 0,
            }
        )
        parts.append(shown.assign(**labels))
        drawn.append(number)
    named = ", ".join([*(str(grid[axis][0]) for axis in ("task", "partition")), *grid["defense"]])
    title = f"{named}, seed {grid['seed'][0]}, before {_when(drawn)}"
    clients = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    look.draw(lambda: draw.quality(clients, order, title, score), *figures)


def _when(drawn: list[int]) -> str:
    low, high = min(drawn, default=0), max(drawn, default=0)
    return f"round {low}" if low == high else f"rounds {low} to {high}"


def _round(log: pd.DataFrame, labels: dict[str, Any]) -> int | None:
    """One of the rounds before which clients were screened, the same whenever it is asked for.

    None where they were screened before none.
    """
    screened = log.loc[log["screened"], "round"].unique()
    if not len(screened):
        return None
    late = screened[screened >= EARLIEST]
    choice = late if len(late) else screened[-1:]
    rng = stream(labels["seed"], "figure", labels["attack"], str(labels["ratio"]))
    return int(rng.choice(choice))
