"""FoolsGold: the more a client's past updates resemble another's, the less it counts."""

from typing import Annotated

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from fedsieve.errors import InputError
from fedsieve.ranges import OneOf, Positive
from fedsieve.vectors import Aggregate, Layout, State

Similarity = Float[Tensor, "clients clients"]

COLUMNS = 2**20
"""Parameters that are multiplied at a time: float64 copies of a whole history may not fit."""

SAME = 1e-9
"""Clients whose cosine is this near to 1 are the same client but for rounding."""


def init(
    n_clients: int,
    layout: Layout,
    *,
    features: Annotated[str, OneOf("output_layer", "all")] = "output_layer",
) -> State:
    """Start every client's history, the sum of all its updates, at zero.

    Args:
        features: Parameters to compare clients by: ``output_layer`` (``predictor``), as the paper
            wants of deep networks and the authors' code does for them, or ``all``, as it does for
            a model that is one layer; a model without a predictor is compared by all.

    Returns:
        history [clients, features] by client id, float32.

    Raises:
        InputError: unless features is one of the two.

    ASSUME: all features count alike; the paper weights those of the output layer by the
    magnitude of the global model's weights.
    """
    compared = layout.compared(features)
    return {"history": torch.zeros(n_clients, compared.stop - compared.start)}


def aggregate(
    updates: Float[Tensor, "clients params"],
    cohort: Int64[Tensor, " clients"],
    n_samples: Int64[Tensor, " clients"],
    state: State,
    *,
    confidence: Positive = 1.0,
    combine: Annotated[str, OneOf("mean", "sum")] = "mean",
    clip_norm: bool = False,
) -> tuple[Aggregate, State]:
    """Weight each client by how little its history resembles another's of the cohort.

    The history is never decayed and grows in rounds that a client takes part in. Numbers of
    samples are ignored. FoolsGold takes honest clients to differ and sybils to be alike: where
    all clients of a cohort are alike it cannot tell them apart, and where there is one it has
    nothing to compare; both are outside its domain, and all clients get the same weight.

    Args:
        confidence: kappa in the paper, above 0: how sharply the logit divides clients; 1 in its
            code.
        combine: ``mean``, the weighted mean of the updates; ``sum``, the weighted sum of the paper
            and its code, which sends single gradient steps: with the updates of FedAvg the step
            would be as many times too long as there are honest clients.
        clip_norm: Whether to scale an update down to norm 1 if it is longer, as the authors' code
            does and the paper does not.

    Returns:
        The combined update, and the weights in it: alpha for ``sum``, alpha / sum(alpha) for
        ``mean``.

    Raises:
        InputError: unless confidence is positive, and combine one of the two.

    Source: Fung, Yoon and Beschastnikh, RAID 2020, Algorithm 1, and the authors' code.
    ASSUME: combine: mean, clip_norm: false and confidence: 1; FDSD gives no parameters.
    """
    _check(confidence, combine)
    steps = updates
    if clip_norm:
        steps = updates / updates.norm(dim=1, keepdim=True).clamp_min(1)
    history = state["history"].to(updates.device)
    history = history.index_add(0, cohort, steps[:, steps.shape[1] - history.shape[1] :])
    different = differences(similarity(history[cohort]))
    alike = bool(different.max() <= SAME)
    alpha = torch.ones_like(different) if alike else credit(different, confidence)
    weights = (alpha / alpha.sum() if combine == "mean" else alpha).to(updates.dtype)
    in_domain = len(updates) > 1 and not alike
    return Aggregate(weights @ steps, weights, in_domain), {"history": history}


def similarity(histories: Float[Tensor, "clients features"]) -> Similarity:
    """Cosine of each two histories in float64; 0 for one that is zero, and on the diagonal."""
    wide = (part.double() for part in histories.split(COLUMNS, dim=1))
    products = torch.stack([part @ part.T for part in wide]).sum(dim=0)
    norms = products.diagonal().sqrt()
    lengths = norms[:, None] * norms
    cosines = torch.where(lengths > 0, products / lengths, 0.0)
    return cosines.fill_diagonal_(0)


def differences(cosines: Similarity) -> Float[Tensor, " clients"]:
    """1 - the greatest cosine of each client, after pardoning; in [0, 1].

    Pardoning: v_i is the greatest cosine of client i; where v_i < v_j, cosine ij counts v_i / v_j
    of itself for i, lest an honest client suffer for resembling a sybil.

    ASSUME: all v are fixed before any cosine is pardoned, and none is negative, as in the
    authors' code.
    """
    greatest = cosines.amax(dim=1)
    pardon = (greatest[:, None] / greatest).nan_to_num(1).clamp(max=1)
    return (1 - (cosines * pardon).amax(dim=1)).clamp(0, 1)


def credit(different: Float[Tensor, " clients"], confidence: float) -> Float[Tensor, " clients"]:
    """alpha: the differences in units of the greatest, spread by a logit and clipped to [0, 1].

    kappa (ln(alpha / (1 - alpha)) + 0.5) in the paper; 1 and 0 stay what they are.
    """
    relative = different / different.max()
    return (confidence * (relative.logit() + 0.5)).clamp(0, 1)


def _check(confidence: float, combine: str) -> None:
    if not isinstance(confidence, int | float) or not 0 < confidence < float("inf"):
        raise InputError(f"foolsgold: confidence: {confidence!r} is not a positive number")
    if combine not in ("mean", "sum"):
        raise InputError(f"foolsgold: combine: {combine!r} is neither mean nor sum")
