"""Exact 2-means on a line: no random start, and no other answer on another day.

Two clusters on a line are a lower and an upper part of the sorted values, so the best of the cuts
between them is the answer; of equally good ones, the lowest.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor


def split_line(values: Float[np.ndarray, " points"]) -> Bool[np.ndarray, " points"]:
    """Tell the upper of the two clusters with the least squares within; NaN is in neither.

    Nobody is in the upper cluster if all values are the same.
    """
    known = np.sort(values[np.isfinite(values)])
    sizes = np.flatnonzero(np.diff(known) > 0) + 1
    if not len(sizes):
        return np.zeros(len(values), bool)
    _, between = _compare_cuts(known.cumsum()[sizes - 1], known.sum(), sizes, len(known))
    return values >= known[sizes[between.argmax()]]


def split_columns(
    points: Float[Tensor, "points columns"],
) -> tuple[Bool[Tensor, "points columns"], Float[Tensor, " columns"]]:
    """Split the values of each column in two, all columns at once; from two points on.

    Returns:
        Which points are in the upper cluster of each column (none where all are the same), and
        the distance between the two centers.
    """
    n = len(points)
    ordered = points.sort(dim=0).values
    sums = ordered.cumsum(dim=0)
    sizes = torch.arange(1, n, device=points.device, dtype=points.dtype)[:, None]
    distance, between = _compare_cuts(sums[:-1], sums[-1], sizes, n)
    cut = between.argmax(dim=0, keepdim=True)
    return points > ordered.gather(0, cut), distance.gather(0, cut)[0]


def _compare_cuts(below: Any, total: Any, sizes: Any, n: int) -> tuple[Any, Any]:
    """Distance between the centers that each cut makes, and what it takes off the squares within.

    Args:
        below: Sum of the values below each cut.
        total: Sum of all values.
        sizes: Number of values below each cut.
        n: Number of all values.
    """
    distance = (total - below) / (n - sizes) - below / sizes
    return distance, sizes * (n - sizes) * distance**2  # n times what is taken off
