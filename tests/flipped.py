"""Clients that flip labels, and what a network of a given quality says of their samples."""

import numpy as np
from scipy.stats import norm

from fedsieve import margins, rowmix
from fedsieve.records import View

EVEN = np.full(4, 0.25)
RARE = np.array([0.1, 0.1, 0.8])
"""Two classes as rare as if there were ten; flipping touches no other."""


def flip(source, target, fraction=1.0):
    """An attacker's labels."""
    return lambda true, rng: np.where(
        (true == source) & (rng.random(len(true)) < fraction), target, true
    )


def swap(one, other):
    """An attacker's labels that leave label counts as they are."""
    return lambda true, _: np.where(true == one, other, np.where(true == other, one, true))


def samples(seed, attacks, *, n_clients=40, n=200, shares=EVEN, auc=0.9):
    """Logits and labels of each client; ``attacks``: client -> its labels from the true ones.

    Logits are normal and that of the true class is higher, so that the margin of each two
    classes tells them apart with the given area under its curve.
    """
    rng = np.random.default_rng(seed)
    found = []
    for client in range(n_clients):
        own = shares[client] if np.ndim(shares) == 2 else shares
        true = rng.choice(len(own), size=n, p=own)
        logits = rng.normal(size=(n, len(own)))
        logits[np.arange(n), true] += norm.ppf(auc)
        labels = attacks[client](true, rng) if client in attacks else true
        found.append((logits.astype(np.float32), labels))
    return found


def group(n_malicious, attack):
    """The first clients attack alike."""
    return dict.fromkeys(range(n_malicious), attack)


def uneven(seed, n_clients=40, n_classes=4):
    """Shares of labels, each client's drawn from a flat Dirichlet distribution."""
    return np.random.default_rng(seed).dirichlet(np.ones(n_classes), n_clients)


def counted(found):
    """Margins that the clients report."""
    return np.stack([margins.histograms(z, y, z.shape[1]) for z, y in found])


def tallied(found):
    """Labels and predictions that the clients count."""
    return np.stack([rowmix.tally(z, y, z.shape[1]) for z, y in found])


def views(found):
    """What a detector's ``report`` sees of each client."""
    return [View(i, {"logits": z}, y, z.shape[1]) for i, (z, y) in enumerate(found)]


def f1(flagged, n_malicious):
    """F1 score where the first clients are malicious."""
    return 2 * flagged[:n_malicious].sum() / (flagged.sum() + n_malicious)
