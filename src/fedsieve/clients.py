"""Score and tabulate the detection of malicious clients: arrays in, tidy frames out."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Int64

from fedsieve import metrics
from fedsieve.record_keys import take_under
from fedsieve.statistics import n_seeds, positions
from fedsieve.tables import MARKS, UNDEFINED
from fedsieve.wording import say_share

FLAGS = "flags"
"""The decision of a detector's whole rule; its parts have the names that it records them by."""

YARDSTICK = "yardstick"
"""In place of a detector: finding just the clients that poisoned LEAST samples or more. Who has
fewer can hardly be told."""

LEAST = 4

NOBODY_TO_FIND = MARKS["no_attack"]


def scores(
    screened: Mapping[str, np.ndarray], malicious: Int64[np.ndarray, " malicious"]
) -> list[dict[str, object]]:
    """Score a detector's flags, and those of each part of its rule that it recorded.

    Args:
        screened: ``benign`` [clients], and ``found.*``, of which boolean arrays [clients] are
            flags of a part of the rule, True for the malicious.
        malicious: The truth.

    Returns:
        A row per part and metric: ``part``, ``metric`` and ``value``.
    """
    n_clients = len(screened["benign"])
    parts = {FLAGS: ~screened["benign"].astype(bool)} | {
        name: array
        for name, array in take_under("found", screened).items()
        if array.dtype == bool and array.shape == (n_clients,)
    }
    return [
        {"part": part, "metric": metric, "value": value}
        for part, flagged in parts.items()
        for metric, value in metrics.client_detection(
            np.flatnonzero(flagged), malicious, n_clients
        ).items()
    ]


def yardstick(
    malicious: Int64[np.ndarray, " malicious"], poisoned: Int64[np.ndarray, " clients"]
) -> list[dict[str, object]]:
    """Score finding just the clients with at least LEAST poisoned samples, as by ``scores``."""
    return scores({"benign": poisoned < LEAST}, malicious)


def table(frame: pd.DataFrame, order: Sequence[str]) -> pd.DataFrame:
    """Lay out F1 by the share of malicious clients: its mean over seeds, and the least.

    Where nobody is malicious, F1 is undefined: then the false positives, mean and most. Where a
    run has nobody to find though some clients are called malicious, a mark says so.

    Returns:
        Text cells; rows (attack, round, model, detector, part), below task and partition where
        there are several; a column per ratio.
    """
    peace = frame["ratio"] == 0
    wanted = np.where(peace, "false_positive_rate", "f1")
    shown = frame[frame["metric"] == wanted]
    shown = shown[~((shown["ratio"] == 0) & (shown["detection"] == YARDSTICK))]
    rows = ["task", "partition", "attack", "after_round", "trained", "detection", "part"]
    groups = shown.groupby([*rows, "ratio"], sort=False)["value"]
    cells = groups.agg(["mean", "min", "max", "count", "size"]).reset_index()
    cells["text"] = [_cell(row) for _, row in cells.iterrows()]
    kept = [r for r in rows if r not in ("task", "partition") or cells[r].nunique() > 1]
    ranks = positions(order, cells["attack"])
    cells = cells.sort_values("attack", key=lambda c: c.map(ranks), kind="stable")
    cells["m"] = [say_share(ratio) for ratio in cells["ratio"]]
    pivoted = cells.pivot_table(
        index=kept, columns="m", values="text", aggfunc="first", sort=False, fill_value=""
    )
    columns = [say_share(ratio) for ratio in sorted(cells["ratio"].unique())]
    named = {"after_round": "round", "trained": "model", "detection": "detector"}
    return pivoted[columns].rename_axis(index=lambda level: named.get(level, level))


def note(frame: pd.DataFrame) -> str:
    """Caption of ``table``."""
    labels = ["task", "partition", "attack", "ratio", "after_round", "trained", "detection", "part"]
    counted = frame[frame["metric"] == "false_positive_rate"].groupby(labels)["value"].count()
    return (
        f"F1 of telling malicious clients, mean over {n_seeds(counted)} (least in brackets), by "
        "their share; at 0 %, false positives (most in brackets). Model: whose model judges. Part: "
        "flags are the detector's decision, others what a part of its rule alone would decide. "
        "mcdfl_plus judges by an average of models only if it had a part in the run. "
        "mcdfl_plus, rowmix and label_histogram are told the clients' label counts. "
        f"Yardstick: finding just the clients with at least {LEAST} poisoned samples."
        + _unfound(frame)
    )


def _unfound(frame: pd.DataFrame) -> str:
    """What the mark means, where it is used."""
    f1 = frame[(frame["metric"] == "f1") & (frame["ratio"] > 0)]
    if not f1["value"].isna().any():
        return ""
    return (
        f" {NOBODY_TO_FIND}: in some run no malicious client poisoned anything, so that there was "
        "nobody to find."
    )


def _cell(row: pd.Series) -> str:
    extreme = row["max"] if row["ratio"] == 0 else row["min"]
    mark = NOBODY_TO_FIND * (row["count"] < row["size"])
    return f"{row['mean']:.3f}{mark} ({extreme:.2f})" if row["count"] else UNDEFINED + mark
