"""Reference keep masks from the ground truth: perfect (the ceiling) and random (the floor)."""

from pathlib import Path

import numpy as np

from fedsieve import oracles
from fedsieve.artifacts import read_partition, read_poisoning, write_verdict
from fedsieve.records import keeping
from fedsieve.rng import stream


def oracle(*, clients: Path, poisoning: Path, oracle: str, seed: int, keep: Path) -> None:
    """Write the keep mask of a reference sanitizer, which no real defense could make.

    Args:
        clients: Who holds which sample.
        poisoning: The ground truth.
        oracle: "perfect" or "random" (config ``sanitizers.*.oracle``).
        seed: Seed of the run.
        keep: Written: True for each sample to train on.
    """
    choose = {"perfect": oracles.perfect, "random": oracles.random}[oracle]
    n_samples = len(read_partition(clients).client)
    mask = choose(read_poisoning(poisoning), n_samples, stream(seed, "oracle"))
    write_verdict(keep, keeping(mask), bytes=np.array(0))
