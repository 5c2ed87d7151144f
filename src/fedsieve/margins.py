"""How clearly a network prefers one class to another, among the samples of each label.

Clients send histograms on a fixed grid; the server merges its bins to few that resolve where the
clients' samples lie.
"""

import numpy as np
from jaxtyping import Bool, Float, Int32, Int64

N_BINS = 64

EDGES = np.sinh(np.linspace(-5, 5, N_BINS - 1))
"""Inner edges of the grid, uniform in asinh(margin), symmetric; the outer bins are open.

Near 0 a bin is 0.16 wide, which resolves a network that has learned a little (margins of about
1); further out each is a sixth wider than the one before, and the last edge is 74: even the
margins of a saturated network (10 to 40) fall into several bins.
"""

Counts = Int32[np.ndarray, "clients classes classes bins"]


def histograms(
    logits: Float[np.ndarray, "samples classes"],
    labels: Int64[np.ndarray, " samples"],
    n_classes: int,
) -> Int32[np.ndarray, "classes classes bins"]:
    """Count one client's margins z_s - z_t of the samples labeled t, in entry [s, t] for s != t.

    The same margin among samples labeled s is ``mirrored``, so nothing else need be sent. Logits
    may be log-probabilities: differences are the same.
    """
    margins = logits - logits[np.arange(len(labels)), labels][:, None]
    bins = np.searchsorted(EDGES, margins, side="right")
    cells = (np.arange(n_classes) * n_classes + labels[:, None]) * N_BINS + bins
    counts = np.bincount(cells.ravel(), minlength=n_classes**2 * N_BINS)
    counts = counts.reshape(n_classes, n_classes, N_BINS)
    return (counts * _off_diagonal(n_classes)[:, :, None]).astype(np.int32)


def mirrored(counts: Counts) -> Counts:
    """Count the margin z_s - z_t among samples labeled s, in entry [s, t].

    It is minus the margin in entry [t, s]. Only a margin that is exactly an edge falls into the
    neighboring bin.
    """
    return counts.swapaxes(1, 2)[..., ::-1]


def label_counts(counts: Counts) -> Int64[np.ndarray, "clients classes"]:
    """Samples of each label; each is counted once for every other class."""
    return counts.sum(axis=(1, 3)) // (counts.shape[1] - 1)


def pairs(n_classes: int) -> Int64[np.ndarray, "pairs 2"]:
    """All pairs (s, t) of different classes, in the order that ``merged`` has."""
    return np.argwhere(_off_diagonal(n_classes))


def merged(
    counts: Counts, n_bins: int
) -> tuple[
    Float[np.ndarray, "pairs clients merged"],
    Float[np.ndarray, "pairs clients merged"],
]:
    """Merge the grid to quantiles of each pair's margins over all clients.

    Half the weight goes to row t and half to row s, however many samples each has; a row without
    samples leaves it to the other.

    Returns:
        Counts of z_s - z_t for each pair: in row t (the samples labeled t), and in row s.
    """
    off = _off_diagonal(counts.shape[1])
    rows = [part[:, off].transpose(1, 0, 2).astype(float) for part in (counts, mirrored(counts))]
    weight = sum(_shares(row.sum(axis=1)) for row in rows)
    share = _shares(np.asarray(weight))
    middle = share.cumsum(axis=1) - share / 2
    group = np.minimum((middle * n_bins).astype(int), n_bins - 1)
    into = (group[:, :, None] == np.arange(n_bins)).astype(float)
    return rows[0] @ into, rows[1] @ into


def _shares(counts: Float[np.ndarray, "pairs bins"]) -> Float[np.ndarray, "pairs bins"]:
    """Each pair's distribution over bins; 0 where there is nothing."""
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), np.finfo(float).tiny)


def _off_diagonal(n_classes: int) -> Bool[np.ndarray, "classes classes"]:
    return ~np.eye(n_classes, dtype=bool)
