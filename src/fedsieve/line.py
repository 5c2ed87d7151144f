"""Exact 2-means on a line: no random start, and no other answer on another day."""

import numpy as np
from jaxtyping import Bool, Float


def upper_cluster(values: Float[np.ndarray, " points"]) -> Bool[np.ndarray, " points"]:
    """Tell the upper of the two clusters with the least squares within; NaN is in neither.

    Two clusters on a line are a lower and an upper part of the sorted values, so the best of the
    cuts between different values is the answer; of equally good ones, the lowest. Nobody is in the
    upper cluster if all values are the same.
    """
    known = np.sort(values[np.isfinite(values)])
    cuts = np.flatnonzero(np.diff(known) > 0) + 1  # points below each cut
    if not len(cuts):
        return np.zeros(len(values), bool)
    below = known.cumsum()[cuts - 1]
    distance = (known.sum() - below) / (len(known) - cuts) - below / cuts
    best = cuts[(cuts * (len(known) - cuts) * distance**2).argmax()]
    return values >= known[best]
