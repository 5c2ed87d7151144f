"""Means of coordinates without their extremes."""

import torch
from jaxtyping import Float
from torch import Tensor

CHUNK = 2**16
"""Coordinates handled at a time, so that temporaries stay small whatever the model's size."""


def trimmed_mean(
    updates: Float[Tensor, "clients params"], n_trimmed: int
) -> tuple[Float[Tensor, " params"], Float[Tensor, " clients"]]:
    """Average each coordinate without its ``n_trimmed`` lowest and highest values.

    Returns:
        The mean, and the share that each client's values have among all that entered it; where
        clients have the same value, they share its places equally.
    """
    n_kept = len(updates) - 2 * n_trimmed
    means, places = [], updates.new_zeros(len(updates), dtype=torch.float64)
    for part in updates.split(CHUNK, dim=1):
        kept = part.sort(dim=0).values[n_trimmed : n_trimmed + n_kept]
        means.append(kept.mean(dim=0))
        places += _places(part, kept).sum(dim=1)
    shares = places / (n_kept * updates.shape[1])
    return torch.cat(means), shares.to(updates.dtype)


def _places(
    values: Float[Tensor, "clients params"], kept: Float[Tensor, "kept params"]
) -> Float[Tensor, "clients params"]:
    """How many of the kept places a value holds: 0 or 1, or less at an edge that others share."""
    low, high = kept[0], kept[-1]
    places = ((values > low) & (values < high)).to(values.dtype)
    for edge in (low, high):
        equal = values == edge
        places = torch.where(equal, (kept == edge).sum(dim=0) / equal.sum(dim=0), places)
    return places
