"""Multi-Krum: the plain mean of the updates that Krum ranks best."""

from typing import Annotated

from jaxtyping import Float, Int64
from torch import Tensor

from fedsieve.distances import krum_ranking
from fedsieve.errors import check_count
from fedsieve.ranges import Count, OneOf, Whole
from fedsieve.vectors import Aggregate, Layout, State

EXAMPLE = {"n_malicious": 2}
"""A valid spec, for the documentation and the contract tests."""


def init(n_clients: int, layout: Layout) -> State:
    """Multi-Krum keeps nothing between rounds."""
    return {}


def aggregate(
    updates: Float[Tensor, "clients params"],
    cohort: Int64[Tensor, " clients"],
    n_samples: Int64[Tensor, " clients"],
    state: State,
    *,
    n_malicious: Whole,
    n_selected: Count | None = None,
    neighbors: Annotated[str, OneOf("n-f-2", "n-f-1")] = "n-f-2",
    squared: bool = True,
) -> tuple[Aggregate, State]:
    """Average the ``n_selected`` updates with the lowest Krum scores, each counting the same.

    Numbers of samples are ignored: a malicious client may report any. The cohort (n) is in the
    domain if it has at least ``2 * n_malicious + 3`` clients and no fewer than are to be
    selected. Outside, the rule stays the same: at least one nearest other counts, and at least
    one and at most all clients are selected.

    Args:
        n_malicious: f in the paper, the number of malicious clients in a cohort to withstand, 0 or
            more, and fewer than the cohort.
        n_selected: m in the paper, from 1 to the cohort; None for ``n - n_malicious``.
        neighbors: How many nearest others count: ``n-f-2`` as in the paper, or ``n-f-1``.
        squared: Whether to sum squared distances, as in the paper, or plain ones.

    Returns:
        The mean, and weights of 1/m for the selected clients and 0 for all others.

    Raises:
        InputError: unless n_malicious is a whole number, n_selected None or a positive one, and
            neighbors one of the two.

    Source: Blanchard et al., NeurIPS 2017, section 4 (Krum) and its extension Multi-Krum.
    ASSUME: m = n - f where the config gives none; the paper leaves m to the user.
    """
    check_count("multi_krum: n_malicious", n_malicious, 0)
    n = len(updates)
    wanted = max(1, n - n_malicious) if n_selected is None else n_selected
    check_count("multi_krum: n_selected", wanted, 1)
    selected = krum_ranking(
        updates, cohort, n_malicious=n_malicious, neighbors=neighbors, squared=squared
    )[:wanted]
    weights = updates.new_zeros(n)
    weights[selected] = 1 / len(selected)
    in_domain = n >= 2 * n_malicious + 3 and wanted <= n
    return Aggregate(updates[selected].mean(dim=0), weights, in_domain), state
