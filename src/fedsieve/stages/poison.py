"""Choose the malicious clients and poison their data, once, before any training."""

from pathlib import Path
from typing import Any

import numpy as np

from fedsieve import registry
from fedsieve.artifacts import read_data, read_partition, write_poisoning
from fedsieve.grids import n_malicious
from fedsieve.poisonings import empty, merge
from fedsieve.rng import stream


def poison(
    *, data: Path, clients: Path, attack: dict[str, Any], ratio: float, seed: int, poisoning: Path
) -> None:
    """Write what was poisoned, where and how: the ground truth.

    Args:
        data: The data set.
        clients: Who holds which sample.
        attack: Plug-in and parameters (config ``attacks``).
        ratio: Malicious clients / clients, rounded half up; who they are is drawn at random.
        seed: Seed of the run.
        poisoning: Written: malicious clients, changed samples, old and new labels, new images.
    """
    train, test = read_data(data)
    registry.bind("attacks", attack, "probe")(test)  # a class without test images fails here
    held = read_partition(clients)
    chosen = stream(seed, "malicious").permutation(held.n_clients)
    malicious = np.sort(chosen[: n_malicious(ratio, held.n_clients)])
    parts = [
        registry.bind("attacks", attack, "poison", rng=stream(seed, "poison", client))(
            train, held.rows(client)
        )
        for client in malicious.tolist()
    ]
    merged = merge(malicious, [empty(train), *parts])
    write_poisoning(poisoning, merged)
    print("malicious clients:", *malicious)
    print("poisoned samples:", dict(zip(*np.unique(merged.kind, return_counts=True), strict=True)))
