"""Krum: follow the one client whose update lies closest to its nearest others."""

from typing import Annotated

from jaxtyping import Float, Int64
from torch import Tensor

from fedsieve.distances import krum_ranking
from fedsieve.errors import check_count
from fedsieve.ranges import OneOf, Whole
from fedsieve.vectors import Aggregate, Layout, State

EXAMPLE = {"n_malicious": 2}
"""A valid spec, for the documentation and the contract tests."""


def init(n_clients: int, layout: Layout) -> State:
    """Krum keeps nothing between rounds."""
    return {}


def aggregate(
    updates: Float[Tensor, "clients params"],
    cohort: Int64[Tensor, " clients"],
    n_samples: Int64[Tensor, " clients"],
    state: State,
    *,
    n_malicious: Whole,
    neighbors: Annotated[str, OneOf("n-f-2", "n-f-1")] = "n-f-2",
    squared: bool = True,
) -> tuple[Aggregate, State]:
    """Return the update with the smallest sum of squared distances to its nearest others.

    Numbers of samples are ignored: a malicious client may report any. The cohort (n) is in the
    domain from ``2 * n_malicious + 3`` clients on; below, the rule stays the same, with at
    least one nearest other counted.

    Args:
        n_malicious: f in the paper, the number of malicious clients in a cohort to withstand, 0 or
            more, and fewer than the cohort.
        neighbors: How many nearest others count: ``n-f-2`` as in the paper, or ``n-f-1``.
        squared: Whether to sum squared distances, as in the paper, or plain ones.

    Returns:
        The chosen update, and weights that are 1 for its client and 0 for all others.

    Raises:
        InputError: unless n_malicious is a whole number and neighbors one of the two.

    Source: Blanchard et al., NeurIPS 2017, section 4.
    ASSUME: ties go to the lowest client id; the paper allows any.
    """
    check_count("krum: n_malicious", n_malicious, 0)
    best = krum_ranking(
        updates, cohort, n_malicious=n_malicious, neighbors=neighbors, squared=squared
    )[0]
    weights = updates.new_zeros(len(updates))
    weights[best] = 1
    in_domain = len(updates) >= 2 * n_malicious + 3
    return Aggregate(updates[best].clone(), weights, in_domain), state
