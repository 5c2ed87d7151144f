"""FedSieve's part of ``benchmarks.peers``: its rounds alone, nothing screened or written.

Usage: python -m benchmarks.peer_fedsieve WORK
"""

import os
import time
from dataclasses import asdict

import numpy as np
from benchmarks import engine
from benchmarks.peer_work import SHAPE, Work, asked, tell, tell_versions

from fedsieve import device, rounds
from fedsieve.local import batches
from fedsieve.records import keeping
from fedsieve.rng import stream
from fedsieve.rounds import Federation


def trained_on(fed: Federation, cohort: np.ndarray) -> int:
    """Images in the batches of these clients; how many does not depend on how they are drawn."""
    every = (batches(fed.rows[client], fed.sgd, stream(0, "count")) for client in cohort)
    return sum(len(rows) for steps in every for rows, _ in steps)


def main(work: Work) -> None:
    """Train and tell of each round."""
    device.choose("cpu")
    net = {"model": {"use": "cnn_bn"}, "shape": SHAPE} | asdict(work)
    fed = engine.random_federation(net, work.clients, work.per_client, os.cpu_count() or 1)
    state = rounds.start(fed, keeping(np.ones(work.clients * work.per_client, bool)))
    begun = time.perf_counter()
    for after, record in rounds.run(fed, state, work.rounds):
        seconds = time.perf_counter() - begun
        tell(after.round, seconds, trained_on(fed, record.cohort))
        begun = time.perf_counter()


if __name__ == "__main__":
    tell_versions()
    main(asked())
