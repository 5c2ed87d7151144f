"""Unattacked: nobody poisons, so the run without an attack is a scenario like any other."""

import numpy as np
from jaxtyping import Int64

from fedsieve.poisonings import empty
from fedsieve.records import Dataset, Poisoning, Probe

EXAMPLE: dict[str, object] = {}
"""A valid spec, for the documentation and the contract tests."""

DETERMINISTIC = True
"""Nothing is drawn: the generator decides nothing."""


def poison(
    data: Dataset,
    rows: Int64[np.ndarray, " rows"],
    *,
    rng: np.random.Generator,
) -> Poisoning:
    """Poison nothing, even at a client that counts as malicious."""
    return empty(data)


def probe(test: Dataset) -> dict[str, Probe]:
    """Ask nothing; the floor of an attack's success is that attack's probe on this model."""
    return {}
