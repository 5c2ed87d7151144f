"""Tie the samples that a label has too many to those that another label has too few.

The F samples of class s among a client's label t are missing from its label s. How many samples
of a label a client may hold is learned from the others: sharply where clients are alike, hardly
at all where labels are spread unevenly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64
from scipy.special import expit, gammaln, logit, logsumexp, softmax

from fedsieve.mixtures import SHARES, Groups, distribution, weight

FRACTIONS = np.array([0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99])
"""Grid of the fraction of class s that an attacker has relabeled."""

STARTS = (0.99, 0.7, 0.5, 0.3, 0.15)
"""Fractions to start from."""

STEPS, SETTLED = 20, 6
"""Steps of EM, and how many of them pass until the fraction may move."""

LEAST_SPREAD = 0.002
"""Least correlation of two labels of one client. Counts so decide nothing finer than that."""

Clients = Float[np.ndarray, " clients"]
PerShare = Float[np.ndarray, "clients shares"]
Coins = Float[np.ndarray, "fractions clients shares"]


@dataclass(frozen=True)
class Evidence:
    """What is known of each client for one pair (s, t) of classes.

    ``rows`` are the margins of its label t, ``foreign`` is how those of label s are distributed
    over all clients; ``source`` and ``target`` are how many samples carry labels s and t, and
    ``n`` how many it has.
    """

    rows: Float[np.ndarray, "clients bins"]
    foreign: Float[np.ndarray, " bins"]
    source: Int64[np.ndarray, " clients"]
    target: Int64[np.ndarray, " clients"]
    n: Int64[np.ndarray, " clients"]

    @property
    def moved(self) -> PerShare:
        """F, how many samples of label t are of class s, for each share of the grid."""
        return self.target[:, None] * SHARES


@dataclass(frozen=True)
class Joint:
    """Log-odds of being malicious by margins and counts, and J.

    ``gain`` (J) is twice the log-likelihood ratio to nobody being malicious, less 3 ln(clients):
    the price of their share, their fraction, and each one's own share of foreign samples.
    """

    log_odds: Clients
    gain: float


def joint(evidence: Evidence, starts: Sequence[Groups]) -> Joint:
    """Divide the clients by margins and label counts; the best of all starts, by EM.

    Args:
        starts: Groups that margins alone have found; each is tried with several fractions.
    """
    coins = coin_flips(evidence)
    tries = [_climb(evidence, coins, groups, f) for groups in starts for f in STARTS]
    log_odds, total = max(tries, key=lambda found: found[1])
    n_clients = len(evidence.n)
    base = distribution(evidence.rows.sum(axis=0))
    nobody, _ = likelihoods(evidence, base, np.zeros(n_clients))
    return Joint(log_odds, float(2 * (total - nobody.sum()) - 3 * np.log(n_clients)))


def prior(k: np.ndarray, n: np.ndarray, weights: Clients) -> tuple[float, float]:
    """Fit a beta-binomial distribution by its moments: alpha and beta.

    The correlation of two trials of one client, 1 / (alpha + beta + 1), is by how much squared
    residuals exceed the binomial's; it is held above LEAST_SPREAD.
    """
    p = ((weights * k).sum() + 0.5) / ((weights * n).sum() + 1)
    beyond = (weights * ((k - n * p) ** 2 - n * p * (1 - p))).sum()
    room = p * (1 - p) * (weights * n * (n - 1)).sum()
    spread = float(np.clip(beyond / max(room, np.finfo(float).tiny), LEAST_SPREAD, 0.9))
    return p * (1 / spread - 1), (1 - p) * (1 / spread - 1)


def beta_binomial(k: np.ndarray, n: np.ndarray, alpha: float, beta: float) -> np.ndarray:
    """Log-probability of k of n, also between whole numbers."""
    ways = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    given = gammaln(k + alpha) + gammaln(n - k + beta) - gammaln(n + alpha + beta)
    return ways + given + gammaln(alpha + beta) - gammaln(alpha) - gammaln(beta)


def _climb(
    evidence: Evidence, coins: Coins, start: Groups, fraction: float
) -> tuple[Clients, float]:
    """Log-odds and total log-likelihood after EM from one start."""
    rows, foreign = evidence.rows, evidence.foreign
    z, base = expit(start.log_odds), start.base
    f = int(np.searchsorted(FRACTIONS, fraction))
    for step in range(STEPS + 1):
        honest, flipped = likelihoods(evidence, base, z)
        if step > SETTLED:
            f = int((logsumexp(flipped + coins, axis=2) @ z).argmax())
        given, w = flipped + coins[f], weight(z)
        log_odds = logit(w) + logsumexp(given, axis=1) - honest
        z = expit(log_odds)
        total = (honest + np.log1p(-w) + np.logaddexp(0, log_odds)).sum()
        share = SHARES[:, None] * foreign / _others(base, foreign)
        alien = ((softmax(given, axis=1).T * z) @ rows * share).sum(axis=0)
        base = distribution(rows.sum(axis=0) - alien)
    return log_odds, float(total)


def likelihoods(
    evidence: Evidence, base: Float[np.ndarray, " bins"], z: Clients
) -> tuple[Clients, PerShare]:
    """Log-likelihood of each client if honest, and if F of its samples are foreign.

    F is summed over a grid, whose points stand for the n_t + 1 whole numbers that it may be.
    """
    e, moved = evidence, evidence.moved
    source, target = e.source[:, None], e.target[:, None]
    flipped = e.rows @ np.log(_others(base, e.foreign)).T + np.log((target + 1) / len(SHARES))
    priors = [prior(k, e.n, 1 - z) for k in (e.source, e.target)]
    for k, own in zip((source + moved, target - moved), priors, strict=True):
        flipped = flipped + beta_binomial(k, e.n[:, None], *own)
    honest = e.rows @ np.log(base)
    for k, own in zip((e.source, e.target), priors, strict=True):
        honest = honest + beta_binomial(k, e.n, *own)
    return honest, flipped


def coin_flips(evidence: Evidence) -> Coins:
    """Log-probability that F of the N_s + F samples of class s were relabeled, per fraction."""
    moved, kept, f = evidence.moved, evidence.source[:, None], FRACTIONS[:, None, None]
    ways = gammaln(kept + moved + 1) - gammaln(moved + 1) - gammaln(kept + 1)
    return ways + moved * np.log(f) + kept * np.log1p(-f)


def _others(
    base: Float[np.ndarray, " bins"], foreign: Float[np.ndarray, " bins"]
) -> Float[np.ndarray, "shares bins"]:
    """Distribution of a row for each share of foreign samples."""
    return (1 - SHARES[:, None]) * base + SHARES[:, None] * foreign
