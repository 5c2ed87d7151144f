"""Trimmed mean: average each coordinate without its lowest and highest values."""

from jaxtyping import Float, Int64
from torch import Tensor

from fedsieve import trimming
from fedsieve.errors import check_count
from fedsieve.ranges import Whole
from fedsieve.vectors import Aggregate, Layout, State

EXAMPLE = {"n_malicious": 2}
"""A valid spec, for the documentation and the contract tests."""


def init(n_clients: int, layout: Layout) -> State:
    """The trimmed mean keeps nothing between rounds."""
    return {}


def aggregate(
    updates: Float[Tensor, "clients params"],
    cohort: Int64[Tensor, " clients"],
    n_samples: Int64[Tensor, " clients"],
    state: State,
    *,
    n_malicious: Whole,
) -> tuple[Aggregate, State]:
    """Drop each coordinate's ``n_malicious`` lowest and highest values, average the others.

    Numbers of samples are ignored: a malicious client may report any. A cohort of n clients is
    in the domain if ``2 * n_malicious < n``; if not, as many are dropped as leave a value, which
    is the median.

    Args:
        n_malicious: b, the number of values to drop at either end, fewer than the cohort; 0 for the
            plain mean.

    Returns:
        The mean, and for each client the share that its values have among all that entered it.

    Raises:
        InputError: unless n_malicious is a whole number.

    Source: Yin et al., ICML 2018, definition 2, with the number b = beta n instead of beta.
    ASSUME: clients with the same value at the edge of what is kept share its places equally.
    """
    check_count("trimmed_mean: n_malicious", n_malicious, 0)
    most = (len(updates) - 1) // 2
    update, weights = trimming.trimmed_mean(updates, min(n_malicious, most))
    return Aggregate(update, weights, in_domain=n_malicious <= most), state
