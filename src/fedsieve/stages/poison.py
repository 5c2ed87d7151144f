"""Choose the malicious clients and poison their data, once, before any training."""

from pathlib import Path
from typing import Any

import numpy as np

from fedsieve import registry
from fedsieve.artifacts import read_data, read_partition, write_poisoning
from fedsieve.notices import warn
from fedsieve.poisonings import (
    check_poisoning,
    empty,
    merge,
    probes,
    say_shortcomings,
    with_parts,
)
from fedsieve.ratios import n_malicious
from fedsieve.rng import stream


def poison(
    *, data: Path, clients: Path, attack: dict[str, Any], ratio: float, seed: int, poisoning: Path
) -> None:
    """Write what was poisoned, where and how: the ground truth.

    Says so where that is nothing, or less than the configuration asks for, or where no test image
    can show it.

    Args:
        data: The data set.
        clients: Who holds which sample.
        attack: Plug-in and parameters (config ``attacks``).
        ratio: Malicious clients / clients, rounded half up; who they are is drawn at random.
        seed: Seed of the run.
        poisoning: Written: malicious clients, changed samples, old and new labels, new images.
    """
    train, test = read_data(data)
    where = registry.file_of("attacks", attack)
    asked = probes(attack, test)
    probed = set(asked) if asked and not _has_untargeted_part(attack) else None
    held = read_partition(clients)
    chosen = stream(seed, "malicious").permutation(held.n_clients)
    malicious = np.sort(chosen[: n_malicious(ratio, held.n_clients)])
    parts = [empty(train)]
    for client in malicious.tolist():
        rows = held.rows(client)
        rng, common = stream(seed, "poison", client), stream(seed, "poison")
        found = registry.bind("attacks", attack, "poison", rng=rng, common=common)(train, rows)
        parts.append(check_poisoning(where, found, train, rows, probed))
    merged = merge(malicious, parts)
    write_poisoning(poisoning, merged)
    print("malicious clients:", *malicious)
    kinds, counts = np.unique(merged.kind, return_counts=True)
    print("poisoned samples:", dict(zip(kinds.tolist(), counts.tolist(), strict=True)))
    for text in say_shortcomings(merged, held, asked):
        warn(f"{poisoning.parent}: {text}")


def _has_untargeted_part(attack: dict[str, Any]) -> bool:
    _, *parts = with_parts(attack)
    return any(hasattr(registry.load("attacks", part["use"]), "UNTARGETED") for part in parts)
