"""Join the clients' keep masks into one over the training set."""

from pathlib import Path

import numpy as np

from fedsieve.artifacts import read_keep, read_partition, write_arrays
from fedsieve.errors import InputError


def keep(*, clients: Path, masks: list[Path], keep: Path) -> None:
    """Write the keep mask of the whole training set.

    Args:
        clients: Who holds which sample.
        masks: Each client's mask over its own samples, in order of client id.
        keep: Written: True for each sample to train on.
    """
    held = read_partition(clients)
    if len(masks) != held.n_clients:
        raise InputError(f"{len(masks)} keep masks for the {held.n_clients} clients of {clients}")
    joined = np.zeros(len(held.client), bool)
    for client, path in enumerate(masks):
        rows = held.rows(client)
        joined[rows] = read_keep(path, len(rows))
    write_arrays(keep, {"keep": joined})
