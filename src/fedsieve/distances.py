"""Distances between updates, and Krum's ranking by them."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from fedsieve.errors import InputError

CHUNK = 2**16
"""Coordinates handled at a time, so that temporaries stay small whatever the model's size."""

NOT_COUNTED = {"n-f-2": 2, "n-f-1": 1}
"""Krum's conventions: how many of the n - f honest clients do not count towards a score."""


def squared_distances(
    vectors: Float[Tensor, "clients params"],
) -> Float[Tensor, "clients clients"]:
    """Squared Euclidean distances in float64.

    Made of differences: expanding the square would lose close pairs to rounding.
    """
    n = len(vectors)
    pairs = vectors.new_zeros(n * (n - 1) // 2, dtype=torch.float64)
    for part in vectors.split(CHUNK, dim=1):
        pairs += torch.pdist(part.double()).square()
    one, other = torch.triu_indices(n, n, 1, device=vectors.device)
    distances = pairs.new_zeros(n, n)
    distances[one, other] = distances[other, one] = pairs
    return distances


def krum_ranking(
    updates: Float[Tensor, "clients params"],
    cohort: Int64[Tensor, " clients"],
    *,
    n_malicious: int,
    neighbors: str,
    squared: bool,
) -> Int64[Tensor, " clients"]:
    """Rank the clients by Krum's score: their positions in the cohort, best first.

    A client's score is the sum of the distances to its nearest others; at least one other
    counts, where there is one. Ties go to the lower client id, and a client whose update is not
    finite comes last.

    Raises:
        InputError: for an unknown convention ``neighbors``.
    """
    if neighbors not in NOT_COUNTED:
        known = " nor ".join(NOT_COUNTED)
        raise InputError(f"krum, multi_krum: neighbors: {neighbors!r} is neither {known}")
    n_nearest = max(1, len(updates) - n_malicious - NOT_COUNTED[neighbors])
    distances = squared_distances(updates)
    if not squared:
        distances = distances.sqrt()
    distances.fill_diagonal_(-torch.inf)  # a client's own place comes first and is left out
    scores = distances.sort(dim=1).values[:, 1 : 1 + n_nearest].sum(dim=1)
    by_id = cohort.argsort()
    return by_id[scores[by_id].argsort(stable=True)]
