"""Reference sanitizers that read the poison mask: the ceiling and the floor of every table.

They are no defenses: with the metrics they are the only code that may know what was poisoned.
"""

import numpy as np
from jaxtyping import Bool

from fedsieve.records import Poisoning


def perfect(
    poisoning: Poisoning, n_samples: int, rng: np.random.Generator
) -> Bool[np.ndarray, " samples"]:
    """Keep everything but the poison; nothing is left to chance."""
    return ~poisoning.mask(n_samples)


def random(
    poisoning: Poisoning, n_samples: int, rng: np.random.Generator
) -> Bool[np.ndarray, " samples"]:
    """Drop as many samples as are poisoned, at random over the whole training set."""
    keep = np.ones(n_samples, bool)
    keep[rng.choice(n_samples, len(poisoning.samples), replace=False)] = False
    return keep
