"""FedAvg: the mean of the cohort's updates, weighted by their numbers of samples."""

from jaxtyping import Float, Int64
from torch import Tensor

from fedsieve.vectors import Aggregate, Layout, State


def init(n_clients: int, layout: Layout) -> State:
    """FedAvg keeps nothing between rounds."""
    return {}


def aggregate(
    updates: Float[Tensor, "clients params"],
    cohort: Int64[Tensor, " clients"],
    n_samples: Int64[Tensor, " clients"],
    state: State,
) -> tuple[Aggregate, State]:
    """Average the updates by sample count; weights sum to 1.

    Source: FDSD eq. 5.
    ASSUME: eta = N / |S_t|, which makes eq. 5 the mean over the cohort; taken literally (eta = 1)
    it would shrink every step by |S_t| / N = 0.8.
    """
    weights = n_samples.to(updates.dtype)
    weights = weights / weights.sum()
    return Aggregate(weights @ updates, weights), state
