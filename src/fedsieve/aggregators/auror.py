"""AUROR: split the clients in two by the parameters that divide them most, keep the majority."""

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from fedsieve.errors import InputError, check_count, check_share
from fedsieve.ranges import Count, NonNegative, OneOf, Share
from fedsieve.two_means import split_columns
from fedsieve.vectors import Aggregate, Layout, State

COLUMNS = 2**18
"""Parameters that are split at a time, since each takes several copies in float64."""

LLOYD_STEPS = 100
"""Far more than a cohort needs; float arithmetic could make two groupings take turns."""

Points = Float[Tensor, "clients coordinates"]
Kept = tuple[Bool[Tensor, " clients"], bool]
"""Clients to keep, and whether the vote was decided."""


@dataclass(frozen=True)
class Split:
    """The best 2-means of each coordinate."""

    upper: Bool[Tensor, "clients coordinates"]
    distance: Float[Tensor, " coordinates"]
    """Between the two centers."""
    spread: Float[Tensor, " coordinates"]
    """Pooled standard deviation within the two clusters, of clients - 2 degrees of freedom."""


def init(
    n_clients: int,
    layout: Layout,
    *,
    features: Annotated[str, OneOf("output_layer", "all")] = "output_layer",
) -> State:
    """Remember where the parameters to look at start; nothing else outlives a round.

    Args:
        features: ``output_layer`` (``predictor``), or ``all``; a model without a predictor is
            looked at as a whole.

    Raises:
        InputError: unless features is one of the two.

    ASSUME: the output layer, as the public implementation has it: FDSD says "identified
    informative features".
    """
    return {"first": torch.tensor(layout.compared(features).start)}


def aggregate(
    updates: Float[Tensor, "clients params"],
    cohort: Int64[Tensor, " clients"],
    n_samples: Int64[Tensor, " clients"],
    state: State,
    *,
    vote: Annotated[str, OneOf("joint", "per_feature")] = "joint",
    gap: NonNegative = 6.0,
    n_features: Count | None = None,
    threshold: Share = 0.5,
) -> tuple[Aggregate, State]:
    """Average the updates of the clients that the vote keeps, weighted by sample count.

    A parameter is indicative if the exact 2-means of its updates puts the centers at least
    ``gap`` spreads apart. Everybody is kept where no parameter is. A cohort of fewer than three
    clients has no majority, and a vote can be undecided (``by_majority``, ``by_feature``): both
    are outside the domain, and everybody is kept. 2-means always finds two clusters: of a cohort
    of honest clients AUROR drops up to half.

    Args:
        vote: ``joint``, one 2-means over all indicative parameters, of which the larger cluster is
            kept; ``per_feature``, an own 2-means for each, and a client is dropped that is in the
            smaller cluster too often.
        gap: Least distance of two centers, at least 0, in units of the root mean square, over the
            parameters looked at, of the spread within clusters. Scale-free: it does not depend on
            learning rate or model, as AUROR's alpha does. 6 is what about one in a hundred
            parameters reaches where eight clients differ by Gaussian noise alone.
        n_features: Most parameters to call indicative, 1 or more, those of the greatest distance;
            None for no limit. A vote per feature needs few: the strongest tell of the attack, most
            do not.
        threshold: tau, for per_feature alone, from 0 to 1: share of the indicative parameters in
            which a kept client may be in the smaller cluster.

    Returns:
        The mean, and weights that sum to 1, 0 for a client that was dropped.

    Raises:
        InputError: unless vote is one of the two, gap a number >= 0, n_features None or a
            positive whole number, and threshold a fraction.

    Source: Shen, Tople and Saxena, ACSAC 2016; vote: joint is FDSD's description of it, section
    IV-A, per_feature the original.
    ASSUME: indicative parameters are found anew in each round; AUROR finds them in its first
    rounds, FDSD is silent. A distance relative to the spread, since AUROR's alpha depends on the
    task and FDSD gives none. On a tie everybody is kept.
    """
    _check(vote, gap, n_features, threshold)
    order = cohort.argsort()  # whatever rounding decides is decided alike in any order of clients
    points = updates[order, int(state["first"]) :]
    kept, decided = _vote(points, vote, gap, n_features, threshold)
    weights = (n_samples * torch.zeros_like(kept).scatter(0, order, kept)).to(updates.dtype)
    weights = weights / weights.sum()
    return Aggregate(weights @ updates, weights, decided), state


def split(points: Points) -> Split:
    """Find the exact 2-means of each coordinate, all coordinates at once; from three clients on."""
    upper, distance = split_columns(points)
    within = torch.where(upper, points - _mean(points, upper), points - _mean(points, ~upper))
    spread = (within.square().sum(dim=0) / (len(points) - 2)).sqrt()
    return Split(upper, distance, spread)


def indicative(found: Split, gap: float, n_features: int | None) -> Int64[Tensor, " indicative"]:
    """Coordinates whose centers lie far apart, the farthest first; one that is constant never is.

    The typical spread leaves out constant coordinates, such as the weights of a unit that is
    never active.
    """
    typical = found.spread[found.distance > 0].square().mean().sqrt()
    far = torch.where(found.distance >= gap * typical, found.distance, 0.0)
    return far.argsort(descending=True, stable=True)[: int((far > 0).sum())][:n_features]


def two_groups(points: Points) -> Bool[Tensor, " clients"]:
    """Split the clients in two: Lloyd's algorithm from the best cut along the first main axis.

    Deterministic, and for any number of clients. Exact along the axis only; that suffices where
    the groups are apart.
    """
    centered = points - points.mean(dim=0)
    axis = torch.linalg.eigh(centered @ centered.T).eigenvectors[:, -1:]
    upper, _ = split_columns(axis)
    for _ in range(LLOYD_STEPS):
        to_upper, to_lower = (points - _mean(points, group) for group in (upper, ~upper))
        nearer = (to_upper.square().sum(dim=1) < to_lower.square().sum(dim=1))[:, None]
        if torch.equal(nearer, upper):
            break
        upper = nearer
    return upper[:, 0]


def by_majority(points: Points) -> Kept:
    """Keep the larger of two groups; everybody, undecided, where they are of the same size."""
    upper = two_groups(points)
    size = 2 * int(upper.sum())
    if size == len(points):
        return torch.ones_like(upper), False
    return (upper if size > len(points) else ~upper), True


def by_feature(upper: Bool[Tensor, "clients coordinates"], threshold: float) -> Kept:
    """Keep the clients that are in the smaller cluster of at most a share of the coordinates.

    Clusters of the same size suspect nobody. Everybody is kept, undecided, where all coordinates
    are of that kind, or where nobody would be left.
    """
    size = 2 * upper.sum(dim=0)
    unequal = size != len(upper)
    smaller = (upper ^ (size > len(upper))) & unequal
    kept = smaller.double().mean(dim=1) <= threshold
    decided = bool(unequal.any() and kept.any())
    return (kept if decided else torch.ones_like(kept)), decided


def _vote(points: Points, vote: str, gap: float, n_features: int | None, threshold: float) -> Kept:
    everybody = torch.ones(len(points), dtype=torch.bool, device=points.device)
    if len(points) < 3:
        return everybody, False
    found = _splits(points)
    chosen = indicative(found, gap, n_features)
    if len(chosen) == 0:
        return everybody, True
    if vote == "joint":
        return by_majority(points[:, chosen].double())
    return by_feature(found.upper[:, chosen], threshold)


def _splits(points: Points) -> Split:
    parts = [split(part.double()) for part in points.split(COLUMNS, dim=1)]
    return Split(
        upper=torch.cat([part.upper for part in parts], dim=1),
        distance=torch.cat([part.distance for part in parts]),
        spread=torch.cat([part.spread for part in parts]),
    )


def _mean(points: Points, members: Bool[Tensor, "clients _"]) -> Float[Tensor, " coordinates"]:
    """Mean of each coordinate over its members; NaN where it has none."""
    return (points * members).sum(dim=0) / members.sum(dim=0)


def _check(vote: str, gap: float, n_features: int | None, threshold: float) -> None:
    if vote not in ("joint", "per_feature"):
        raise InputError(f"auror: vote: {vote!r} is neither joint nor per_feature")
    if not isinstance(gap, int | float) or not gap >= 0:
        raise InputError(f"auror: gap: {gap!r} is no number of at least 0")
    if n_features is not None:
        check_count("auror: n_features", n_features, 1)
    check_share("auror: threshold", threshold)
