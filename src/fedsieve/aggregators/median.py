"""Median: the middle value of each coordinate."""

from jaxtyping import Float, Int64
from torch import Tensor

from fedsieve.trimming import trimmed_mean
from fedsieve.vectors import Aggregate, Layout, State


def init(n_clients: int, layout: Layout) -> State:
    """The median keeps nothing between rounds."""
    return {}


def aggregate(
    updates: Float[Tensor, "clients params"],
    cohort: Int64[Tensor, " clients"],
    n_samples: Int64[Tensor, " clients"],
    state: State,
) -> tuple[Aggregate, State]:
    """Take the median of each coordinate: the mean of the two middle values of an even cohort.

    Numbers of samples are ignored: a malicious client may report any. There is no condition on
    the cohort; the median withstands fewer than half malicious clients.

    Returns:
        The median, and for each client the share that its values have among the middle ones;
        clients with the same value share its places equally.

    Source: Yin et al., ICML 2018, definition 1.
    """
    update, weights = trimmed_mean(updates, (len(updates) - 1) // 2)
    return Aggregate(update, weights), state
