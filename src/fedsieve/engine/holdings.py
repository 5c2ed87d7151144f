"""What the clients hold: their samples, poison included, and the clean test set."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedsieve.artifacts import read_data, read_partition, read_poisoning
from fedsieve.records import Dataset


@dataclass(frozen=True)
class Holdings:
    """The clients' data as they hold them, poison included, and the clean test set."""

    train: Dataset
    test: Dataset
    rows: list[np.ndarray]
    malicious: frozenset[int]
    """Ground truth; for stratified sampling alone."""


def read_training(data: Path, clients: Path, poisoning: Path) -> Holdings:
    """Read the training set, poison it, and list each client's samples."""
    train, test = read_data(data)
    truth = read_poisoning(poisoning)
    held = read_partition(clients)
    rows = [held.rows(client) for client in range(held.n_clients)]
    return Holdings(truth.apply(train), test, rows, frozenset(truth.malicious.tolist()))
