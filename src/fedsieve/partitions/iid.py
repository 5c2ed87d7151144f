"""IID: the training set is dealt out at random, the same number of samples to each client."""

import numpy as np
from jaxtyping import Int64

from fedsieve.errors import InputError
from fedsieve.records import Labels

EXAMPLE: dict[str, object] = {}
"""A valid spec, for the documentation and the contract tests."""


def assign(
    labels: Labels, *, n_clients: int, rng: np.random.Generator
) -> Int64[np.ndarray, " samples"]:
    """Return the client of each sample; the clients' sizes differ by at most one.

    Raises:
        InputError: where there are more clients than samples, or none.

    Source: MCDFL, section V-A ("randomly assigned to each client", "evenly distributed").
    ASSUME: FDSD does not say how its data are spread over the clients; this is its default here.
    """
    if not 1 <= n_clients <= len(labels):
        raise InputError(
            f"n_clients: {n_clients} clients cannot share {len(labels)} samples; "
            f"choose from 1 to {len(labels)}"
        )
    return rng.permutation(np.arange(len(labels)) % n_clients)
