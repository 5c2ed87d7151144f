"""Find clients whose table of labels differs from the others' in one cell, and then in its row.

A cell, say (label y, predicted p), is first looked at alone: two binomial rates against one. The
best cell that passes the gate names a row, whose counts over all categories then divide the
clients by two multinomial distributions.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int32, Int64
from scipy.special import expit

from fedsieve.excess import gate
from fedsieve.margins import pairs
from fedsieve.mixtures import Groups, apart, at, best, outliers, top

SHARES = (0.05, 0.2, 0.4)
"""Shares of clients that may belong to the others at the start, of the highest rates."""

STEPS = 30

LEAST = 5
"""Samples that a cell must have in all to be looked at."""

Counts = Int32[np.ndarray, "clients classes classes"]


@dataclass(frozen=True)
class Odd:
    """Who is odd in one cell's row, and by how much its rates gain over one (dBIC)."""

    flagged: Bool[np.ndarray, " clients"]
    log_odds: Float[np.ndarray, " clients"]
    gain: float
    cell: tuple[int, int]


def tally(
    logits: Float[np.ndarray, "samples classes"],
    labels: Int64[np.ndarray, " samples"],
    n_classes: int,
) -> Int32[np.ndarray, "classes classes"]:
    """Count one client's samples by label (axis 0) and predicted class (axis 1)."""
    cells = labels * n_classes + logits.argmax(axis=1)
    counts = np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)
    return counts.astype(np.int32)


def by_prediction(counts: Counts, cut: float) -> Odd:
    """Divide the clients by what is predicted for one label, a cell for each other class."""
    cells = pairs(counts.shape[1])
    rows = counts[:, cells[:, 0]].transpose(1, 0, 2).astype(np.int64)
    k = counts[:, cells[:, 0], cells[:, 1]].T.astype(np.int64)
    return _odd(k, rows.sum(axis=2), rows, counts.shape[1], cut)


def by_label(counts: Int64[np.ndarray, "clients classes"], cut: float) -> Odd:
    """Divide the clients by their label counts; a cell (s, t) is the share of t in s and t.

    Nothing that a network says is used.
    """
    cells = pairs(counts.shape[1])
    source, target = counts[:, cells[:, 0]].T, counts[:, cells[:, 1]].T
    rows = np.broadcast_to(counts, (len(cells), *counts.shape))
    return _odd(target, source + target, rows, counts.shape[1], cut)


def two_rates(
    k: Int64[np.ndarray, "cells clients"], n: Int64[np.ndarray, "cells clients"]
) -> Groups:
    """Two binomial rates for each cell; bin 0 is what is counted.

    The others' is the higher, and they are at most half of the clients; where no start leads to
    such groups, the gain is -inf.
    """
    counts = np.stack([k, n - k], axis=-1).astype(float)
    rates = np.where(n > 0, k / np.maximum(n, 1), -np.inf)
    found = best([_minority(apart(counts, top(rates, share), STEPS)) for share in SHARES])
    seen = np.isfinite(found.objective) & (k.sum(axis=1) >= LEAST)
    return replace(found, gain=np.where(seen, found.gain, -np.inf))


def _minority(groups: Groups) -> Groups:
    """Give up a start whose others have come to have the lower rate, or to be most clients."""
    rises = groups.other[:, 0] > groups.base[:, 0]
    few = (groups.log_odds > 0).mean(axis=1) <= 0.5
    return replace(groups, objective=np.where(rises & few, groups.objective, -np.inf))


def _odd(
    k: Int64[np.ndarray, "cells clients"],
    n: Int64[np.ndarray, "cells clients"],
    rows: Int64[np.ndarray, "cells clients categories"],
    n_classes: int,
    cut: float,
) -> Odd:
    """Find the best cell, and divide the clients by its row.

    Where its row would have more than half flagged, those decide who are likelier than not to
    have the cell's higher rate.
    """
    rates = two_rates(k, n)
    first = int(rates.gain.argmax())
    alone = at(rates, first)
    whole = apart(rows[first].astype(float), expit(alone.log_odds), STEPS)
    many = (whole.log_odds > cut).sum() > len(whole.log_odds) / 2
    flagged = outliers(alone.log_odds, 0.0) if many else outliers(whole.log_odds, cut)
    log_odds = alone.log_odds if many else whole.log_odds
    if not np.isfinite(alone.gain):
        log_odds = np.full(len(log_odds), np.nan)
    seen = alone.gain >= gate(n_classes)
    source, target = pairs(n_classes)[first].tolist()
    return Odd(flagged & seen, log_odds, float(alone.gain), (source, target))
