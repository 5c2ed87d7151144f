"""Check what an aggregator returned, at the end of every round."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fedsieve.checks import described
from fedsieve.errors import wrong
from fedsieve.vectors import Aggregate, State


def check_state(where: object, function: str, state: Any) -> State:
    """Return what a method remembers if it is a dict of tensors, as checkpoints hold."""
    named = isinstance(state, dict) and all(isinstance(t, Tensor) for t in state.values())
    if not named:
        wanted = "a dict of named tensors, {} for nothing"
        raise wrong(where, f"{function}: state", described(state), wanted)
    return state


def check_aggregate(
    where: object, returned: Any, updates: Float[Tensor, "clients params"], state: State
) -> tuple[Aggregate, State]:
    """Return an aggregate of these updates, and the new state, if they are what they should be.

    As ``tests/contracts`` demands: an update and weights of the updates' type, a value for each
    parameter and for each client; weights not negative; both finite. Weights may all be zero, as
    of a method that turns a whole cohort away.

    Raises:
        InputError: naming what was found and what was wanted.
    """
    pair = isinstance(returned, tuple) and len(returned) == 2
    if not pair or not isinstance(returned[0], Aggregate):
        wanted = "a pair, an Aggregate and the new state"
        raise wrong(where, "aggregate", described(returned), wanted)
    found, memory = returned
    clients, params = updates.shape
    kind = updates.dtype
    _check_vector(where, "update", found.update, kind, params, "one for each parameter")
    each = "one for each client that trained, 0 for one that is left out"
    _check_vector(where, "weights", found.weights, kind, clients, each)
    if (found.weights < 0).any():
        raise wrong(where, "aggregate: weights", "negative ones", "weights of at least 0")
    if not isinstance(found.in_domain, bool):
        raise wrong(where, "aggregate: in_domain", described(found.in_domain), "True or False")
    for key, vector in (("update", found.update), ("weights", found.weights)):
        if not _finite(vector) and _sound(updates, *state.values()):
            made = "NaN or infinity, made of finite updates"
            raise wrong(where, f"aggregate: {key}", made, "finite numbers")
    return found, check_state(where, "aggregate", memory)


def _check_vector(
    where: object, key: str, found: Any, kind: torch.dtype, length: int, each: str
) -> None:
    fits = isinstance(found, Tensor) and found.dtype == kind and found.shape == (length,)
    if not fits:
        raise wrong(where, f"aggregate: {key}", described(found), f"{kind} [{length}], {each}")


def _finite(vector: Tensor) -> bool:
    """Whether all values are finite; their sum, which mostly says so, is a fifth of the work."""
    return bool(vector.sum().isfinite()) or bool(vector.isfinite().all())


def _sound(*given: Tensor) -> bool:
    """Whether a method could compute with these; a run that diverges is a result, no mistake.

    Squares count, too: distances and norms overflow one round before the numbers themselves.
    """
    floats = (tensor for tensor in given if tensor.is_floating_point())
    return all(bool(tensor.square().sum().isfinite()) for tensor in floats)
