"""Share the training set out among the clients."""

from pathlib import Path
from typing import Any

import numpy as np

from fedsieve import registry
from fedsieve.artifacts import read_data, write_partition
from fedsieve.checks import check_assignment
from fedsieve.records import Partition
from fedsieve.rng import stream


def partition(
    *, data: Path, partition: dict[str, Any], n_clients: int, seed: int, clients: Path
) -> None:
    """Write the client of each training sample.

    Args:
        data: The data set.
        partition: Plug-in and parameters (config ``partitions``).
        n_clients: Number of clients N.
        seed: Seed of the run.
        clients: Written: client of each sample.
    """
    train, _ = read_data(data)
    assign = registry.bind(
        "partitions", partition, "assign", rng=stream(seed, "partition"), n_clients=n_clients
    )
    client = assign(train.labels)
    where = registry.file_of("partitions", partition)
    check_assignment(where, client, len(train.labels), n_clients)
    write_partition(clients, Partition(client, n_clients))
    print("samples per client:", *np.bincount(client, minlength=n_clients))
