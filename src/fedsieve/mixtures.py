"""Two groups of clients whose counts are drawn from two distributions, found by EM.

Most clients draw from one distribution; the others from another, or from the same with a share
of something foreign mixed in. At most half of the clients are taken to belong to the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import expit, logit, logsumexp, softmax

SMOOTHING = 0.5
"""Counts added to each bin of a distribution."""

TINY = np.finfo(float).tiny

SHARES = np.linspace(0, 1, 41)
"""Grid of the share of foreign samples in a client's row, where every client has its own."""

Counts = Float[np.ndarray, "*cells clients bins"]
Bins = Float[np.ndarray, "*cells bins"]
Clients = Float[np.ndarray, "*cells clients"]


@dataclass(frozen=True)
class Groups:
    """Two groups of clients, for each cell.

    ``log_odds`` are those of belonging to the others, ``base`` what most draw from and ``other``
    what the others do. ``gain`` is by how much two groups explain the counts better than one:
    twice the log-likelihood ratio less 2 ln(clients). ``objective`` is what EM climbs: the
    log-likelihood and SMOOTHING times the logarithm of each smoothed bin.
    """

    log_odds: Clients
    base: Bins
    other: Bins
    gain: Float[np.ndarray, "*cells"]
    objective: Float[np.ndarray, "*cells"]


def apart(counts: Counts, z: Clients, steps: int) -> Groups:
    """Give each group a distribution of its own; start from the others' probabilities ``z``."""
    total = counts.sum(axis=-2)
    for _ in range(steps + 1):
        w, own = weight(z), pooled(counts, z)
        base, other = distribution(total - own), distribution(own)
        log_odds = logit(w)[..., None] + fit(counts, np.log(other / base))
        z = expit(log_odds)
    return _groups(counts, log_odds, base, other, w, smoothed=[base, other])


def mixed(counts: Counts, foreign: Bins, z: Clients, steps: int) -> Groups:
    """Let the others draw from (1 - a) base + a foreign, with one share a for all of them.

    The foreign distribution is known, so that this is a far weaker claim than a second
    distribution: clients differ in the one direction that an attack would move them.
    """
    total, w = counts.sum(axis=-2), weight(z)
    base, a = distribution(total - pooled(counts, z)), np.full((*z.shape[:-1], 1), 0.5)
    for step in range(steps + 1):
        other = (1 - a) * base + a * foreign
        log_odds = logit(w)[..., None] + fit(counts, np.log(other / base))
        if step < steps:
            z = expit(log_odds)
            w, own = weight(z), pooled(counts, z)
            alien = own * a * foreign / other
            a = alien.sum(-1, keepdims=True) / np.maximum(own.sum(-1, keepdims=True), TINY)
            base = distribution(total - alien)
    return _groups(counts, log_odds, base, other, w, smoothed=[base])


def varied(
    counts: Float[np.ndarray, "clients bins"],
    foreign: Float[np.ndarray, " bins"],
    start: Groups,
    steps: int = 20,
) -> Groups:
    """Let each of the others have its own share of foreign samples, any alike likely.

    ``other`` of what it returns is the mean over shares.
    """
    shares, total = SHARES[1:, None], counts.sum(axis=0)
    z, base = expit(start.log_odds), start.base
    w = weight(z)
    for step in range(steps + 1):
        others = (1 - shares) * base + shares * foreign
        fits = counts @ np.log(others / base).T
        log_odds = logit(w) + logsumexp(fits, axis=1) - np.log(len(shares))
        if step < steps:
            z = expit(log_odds)
            w, by_share = weight(z), softmax(fits, axis=1).T * z
            alien = (by_share @ counts * shares * foreign / others).sum(axis=0)
            base = distribution(total - alien)
    return _groups(counts, log_odds, base, others.mean(axis=0), w, smoothed=[base])


def best(tries: Sequence[Groups]) -> Groups:
    """Of several starts the one that climbed highest, for each cell."""
    first = np.argmax([t.objective for t in tries], axis=0)
    return Groups(
        **{f.name: _chosen([getattr(t, f.name) for t in tries], first) for f in fields(Groups)}
    )


def at(groups: Groups, cell: int) -> Groups:
    """The groups of one cell."""
    return Groups(**{f.name: getattr(groups, f.name)[cell, ...] for f in fields(Groups)})


def top(scores: Clients, share: float) -> Clients:
    """1 for the clients of the highest scores, 0 for others; of equals all or none.

    None where the share ends among equals, so that a few who stand out do so alone; all where
    nobody would be left.
    """
    order = np.sort(scores, axis=-1)[..., ::-1]
    n = max(1, round(share * scores.shape[-1]))
    last, next_ = order[..., n - 1, None], order[..., min(n, scores.shape[-1] - 1), None]
    above = scores > next_
    return np.where(above.any(axis=-1, keepdims=True), above, scores >= last).astype(float)


def outliers(log_odds: Float[np.ndarray, " clients"], cut: float) -> Bool[np.ndarray, " clients"]:
    """Clients above the cut; where these are more than half of all, the most suspect half."""
    half = np.sort(log_odds)[::-1][len(log_odds) // 2]
    return log_odds > (max(cut, half) if (log_odds > cut).sum() > len(log_odds) / 2 else cut)


def distribution(counts: Bins) -> Bins:
    """Smoothed and normalized counts."""
    smooth = counts + SMOOTHING
    return smooth / smooth.sum(axis=-1, keepdims=True)


def fit(counts: Counts, logs: Bins) -> Clients:
    """Log-likelihood (ratio) of each client's counts, whose coefficients cancel."""
    return np.einsum("...nb,...b->...n", counts, logs)


def pooled(counts: Counts, z: Clients) -> Bins:
    """Counts of all clients, weighted."""
    return np.einsum("...nb,...n->...b", counts, z)


def weight(z: Clients) -> Float[np.ndarray, "*cells"]:
    """Share of clients that are taken to belong to the others: at most half, and not none."""
    return np.asarray(np.clip(z.mean(axis=-1), 0.5 / z.shape[-1], 0.5))


def _groups(
    counts: Counts, log_odds: Clients, base: Bins, other: Bins, w: np.ndarray, smoothed: list[Bins]
) -> Groups:
    """Measure two groups against one."""
    honest = fit(counts, np.log(base)) + np.log1p(-w)[..., None]
    two = (honest + np.logaddexp(0, log_odds)).sum(axis=-1)
    one = fit(counts, np.log(distribution(counts.sum(axis=-2)))).sum(axis=-1)
    objective = two + SMOOTHING * sum(np.log(own).sum(axis=-1) for own in smoothed)
    gain = 2 * (two - one) - 2 * np.log(counts.shape[-2])
    return Groups(log_odds, base, other, np.asarray(gain), np.asarray(objective))


def _chosen(values: list[np.ndarray], first: np.ndarray) -> np.ndarray:
    """Take each cell from one of several arrays."""
    stacked = np.stack(values)
    index = np.expand_dims(first, tuple(range(first.ndim, stacked.ndim - 1)))[None]
    return np.take_along_axis(stacked, index, axis=0)[0]
