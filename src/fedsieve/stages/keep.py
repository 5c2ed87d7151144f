"""Join the clients' verdicts on their samples into one over the training set."""

from pathlib import Path

import numpy as np

from fedsieve.artifacts import read_arrays, read_partition, read_verdict, write_verdict
from fedsieve.errors import InputError
from fedsieve.records import DIVERGED, keeping


def keep(*, clients: Path, masks: list[Path], server: Path, keep: Path) -> None:
    """Write the verdict on the whole training set.

    Args:
        clients: Who holds which sample.
        masks: Each client's verdict on its own samples, in order of client id.
        server: What the server knew at the end.
        keep: Written: which samples to keep, the labels repaired, the bytes exchanged, and
            ``diverged`` where the network did, so that nothing was judged.
    """
    held = read_partition(clients)
    if len(masks) != held.n_clients:
        raise InputError(f"{len(masks)} keep masks for the {held.n_clients} clients of {clients}")
    joined = keeping(np.zeros(len(held.client), bool))
    for client, path in enumerate(masks):
        rows = held.rows(client)
        own = read_verdict(path, len(rows))
        joined.keep[rows], joined.repaired[rows] = own.keep, own.repaired
    known = read_arrays(server, None)
    found = {name: known[name] for name in ("bytes", DIVERGED) if name in known}
    write_verdict(keep, joined, **found)
