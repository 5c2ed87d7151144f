"""Which clients a defense turns down by the weight that it gives to their updates."""

import numpy as np
import pandas as pd


def ignored(log: pd.DataFrame) -> pd.Series:
    """Whether each row's update got less than half of an even share, and of its share by samples.

    A client that a sanitizer left without samples is not ignored, nor is a small one whose update
    counts by its samples.

    Args:
        log: A row per round and client, with ``round``, ``weight`` and ``n_samples``.

    ASSUME: the papers score no aggregator as a detector. Half of its share tells those that a
    method turns down, but leaves out (Krum) or reduces (FoolsGold) by the same rule.
    """
    trained = log["n_samples"] > 0
    rounds = log[trained].groupby("round")
    even = rounds["weight"].mean().reindex(log["round"]).to_numpy()
    by_samples = (
        even * log["n_samples"] / rounds["n_samples"].mean().reindex(log["round"]).to_numpy()
    )
    return trained & (log["weight"] < np.minimum(even, by_samples) / 2)
