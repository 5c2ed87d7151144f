"""Dirichlet: each class is spread unevenly over the clients, the more so the smaller alpha."""

import math

import numpy as np
from jaxtyping import Int64

from fedsieve.errors import InputError
from fedsieve.ranges import Count, Positive
from fedsieve.records import Labels

EXAMPLE = {"alpha": 0.5, "min_samples": 2}
"""A valid spec, for the documentation and the contract tests."""

TRIES = 1000
"""Draws of all proportions before giving up; one takes some 0.1 ms."""


def assign(
    labels: Labels,
    *,
    n_clients: int,
    rng: np.random.Generator,
    alpha: Positive,
    min_samples: Count = 1,
) -> Int64[np.ndarray, " samples"]:
    """Return the client of each sample, the clients' shares of each class being Dirichlet.

    Args:
        labels: Of the training set.
        n_clients: Clients to serve.
        rng: Draws proportions and samples.
        alpha: Concentration, above 0: below 1 a class sits with few clients, above 100 it is near
            IID.
        min_samples: Proportions are drawn anew until every client holds that many samples, 1 or
            more.

    Raises:
        InputError: unless alpha is positive and ``min_samples`` can be met, at all or, after
            ``TRIES`` draws, in practice.

    Source: Yurochkin et al., ICML 2019, section 4.1; a least size as in Li et al., ICDE 2022.
    """
    if not 0 < alpha < math.inf:
        raise InputError(f"alpha: {alpha} is no concentration; give a positive number")
    if not 1 <= min_samples * n_clients <= len(labels):
        raise InputError(
            f"n_clients: {n_clients} clients with min_samples: {min_samples} each cannot share "
            f"{len(labels)} samples; give both at least 1 and their product at most {len(labels)}"
        )
    strata = _strata(labels)
    bounds = _bounds(np.bincount(strata), n_clients, alpha, min_samples, rng)
    client = np.empty(len(strata), np.int64)
    for stratum, ends in enumerate(bounds):
        members = rng.permutation(np.flatnonzero(strata == stratum))
        client[members] = np.searchsorted(ends, np.arange(len(members)), side="right")
    return client


def _strata(labels: Labels) -> Int64[np.ndarray, " samples"]:
    """Class that each sample is dealt by.

    ASSUME: of a multi-label sample it is the rarest of its labels, so that rare findings are
    spread as unevenly as common ones; samples without any label are a class of their own.
    """
    if labels.ndim == 1:
        return labels
    n_classes = labels.shape[1]
    frequency = np.append(labels.sum(axis=0, dtype=np.int64), len(labels) + 1)
    has = np.pad(labels, ((0, 0), (0, 1)), constant_values=1)
    by_rarity = np.argsort(frequency[:n_classes], kind="stable")
    order = np.append(by_rarity, n_classes)
    return order[np.argmax(has[:, order], axis=1)]


def _bounds(
    sizes: Int64[np.ndarray, " strata"],
    n_clients: int,
    alpha: float,
    min_samples: int,
    rng: np.random.Generator,
) -> Int64[np.ndarray, "strata ends"]:
    """Positions (one fewer than clients) at which each class passes to the next client."""
    for _ in range(TRIES):
        shares = rng.dirichlet(np.full(n_clients, alpha), len(sizes))
        bounds = np.rint(np.cumsum(shares, axis=1) * sizes[:, None]).astype(np.int64)[:, :-1]
        held = np.diff(bounds, axis=1, prepend=0, append=sizes[:, None]).sum(axis=0)
        if held.min() >= min_samples:
            return bounds
    raise InputError(
        f"alpha: in {TRIES} draws with alpha {alpha} some of n_clients: {n_clients} always held "
        f"fewer than min_samples: {min_samples} samples; raise alpha or lower one of the others"
    )
