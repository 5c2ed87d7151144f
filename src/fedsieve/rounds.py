"""The federated round, and the loop over rounds; knows the three contracts, no member of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from fedsieve import registry
from fedsieve.exchanges import judge
from fedsieve.features import extract
from fedsieve.local import LocalLoss, Sgd, TrainingData, Workers, batches
from fedsieve.records import View
from fedsieve.rng import stream
from fedsieve.vectors import State, bind, flatten, layout


@dataclass(frozen=True)
class Sampling:
    """How the server draws a round's cohort.

    ``malicious`` and ``n_malicious`` serve stratified sampling alone, which fixes the number of
    malicious clients in every cohort: a setting of the experiment, unknown to every defense.
    """

    cohort: int
    stratified: bool = False
    malicious: frozenset[int] = frozenset()
    n_malicious: int = 0

    def draw(
        self, eligible: Bool[np.ndarray, " clients"], rng: np.random.Generator
    ) -> Int64[np.ndarray, " cohort"]:
        """Draw a cohort among the eligible clients; all of them where they are too few."""
        ids = np.flatnonzero(eligible)
        bad = np.isin(ids, list(self.malicious))
        groups = [(ids, self.cohort)]
        if self.stratified:
            groups = [(ids[bad], self.n_malicious), (ids[~bad], self.cohort - self.n_malicious)]
        drawn = [rng.choice(group, min(n, len(group)), replace=False) for group, n in groups]
        return np.sort(np.concatenate(drawn))


@dataclass(frozen=True)
class Defense:
    """What a run puts between the clients' data and the global model, as specs with ``use:``.

    ``layer`` and ``before_rounds`` say on which features, and before which rounds, the sanitizer
    judges all clients' data again.
    """

    aggregate: Mapping[str, Any]
    detect: Mapping[str, Any] | None = None
    sanitize: Mapping[str, Any] | None = None
    layer: str = "raw"
    before_rounds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Federation:
    """All that stays the same over the rounds of a run."""

    data: TrainingData
    rows: list[Int64[np.ndarray, " _"]]
    sampling: Sampling
    sgd: Sgd
    defense: Defense
    seed: int
    workers: Workers
    model: nn.Module
    n_classes: int
    values: Tensor = field(repr=False)
    """The flat vector that ``model`` is bound to."""


@dataclass(frozen=True)
class ServerState:
    """Where a run stands after ``round`` rounds."""

    round: int
    values: Float[Tensor, " values"]
    keep: Bool[np.ndarray, " samples"]
    aggregator: State
    detector: State


@dataclass(frozen=True)
class Record:
    """What happened in a round. ``n_samples`` are those a client trained on, 0 if none was left."""

    cohort: Int64[np.ndarray, " cohort"]
    n_samples: Int64[np.ndarray, " cohort"]
    weights: Float[np.ndarray, " cohort"]
    losses: Float[np.ndarray, " cohort"]
    scores: Float[np.ndarray, " clients"] | None
    benign: Bool[np.ndarray, " clients"]
    bytes_exchanged: int
    """Bytes between clients and server for sanitizing in this round."""


def federation(
    build: Callable[[], nn.Module],
    data: TrainingData,
    rows: list[np.ndarray],
    *,
    sampling: Sampling,
    sgd: Sgd,
    defense: Defense,
    seed: int,
    workers: int,
    n_classes: int,
) -> Federation:
    """Put a run together; every model replica starts from the same weights."""
    device = data.images.device
    replicas = [build().to(device) for _ in range(workers)]
    model = build().to(device)
    values, _ = bind(model)
    return Federation(
        data, rows, sampling, sgd, defense, seed, Workers(replicas), model, n_classes, values
    )


def start(fed: Federation, keep: Bool[np.ndarray, " samples"]) -> ServerState:
    """State before round one."""
    init = registry.bind("aggregators", fed.defense.aggregate, "init")
    detector = _detector(fed, "init", rng=stream(fed.seed, "detector"))
    return ServerState(
        round=0,
        values=flatten(fed.model),
        keep=keep,
        aggregator=init(len(fed.rows), layout(fed.model)),
        detector=detector(len(fed.rows), layout(fed.model)) if detector else {},
    )


def run(fed: Federation, state: ServerState, rounds: int) -> Iterator[tuple[ServerState, Record]]:
    """Yield state and record after each round up to ``rounds``, from wherever the state stands."""
    while state.round < rounds:
        state, record = federated_round(fed, state)
        yield state, record


def federated_round(fed: Federation, state: ServerState) -> tuple[ServerState, Record]:
    """One round: judge samples, screen clients, draw a cohort, train, aggregate, learn."""
    number = state.round + 1
    fed.values.copy_(state.values)
    keep, sent = _judge(fed, state.keep, number)
    scores, benign = _screen(fed, state, number)
    drawn = fed.sampling.draw(benign, stream(fed.seed, "cohort", number))
    kept = {int(client): fed.rows[client][keep[fed.rows[client]]] for client in drawn}
    cohort = [client for client, rows in kept.items() if len(rows)]
    steps = [
        batches(kept[client], fed.sgd, stream(fed.seed, "batches", number, client))
        for client in cohort
    ]
    trained, losses = fed.workers.train(
        state.values, fed.data, steps, fed.sgd, _local_loss(fed, state)
    )
    n_samples = torch.tensor([len(kept[client]) for client in cohort], dtype=torch.int64)
    values, weights, aggregator = _aggregate(fed, state, trained, cohort, n_samples)
    fed.values.copy_(values)
    learn = _detector(fed, "learn", rng=stream(fed.seed, "learn", number))
    place = np.searchsorted(drawn, cohort)
    record = Record(
        cohort=drawn,
        n_samples=_spread(n_samples.numpy(), place, len(drawn)),
        weights=_spread(weights, place, len(drawn)),
        losses=_spread(np.array(losses), place, len(drawn)),
        scores=scores,
        benign=benign,
        bytes_exchanged=sent,
    )
    after = ServerState(
        round=number,
        values=values,
        keep=keep,
        aggregator=aggregator,
        detector=learn(fed.model, state.detector) if learn else state.detector,
    )
    return after, record


def _judge(fed: Federation, keep: np.ndarray, number: int) -> tuple[np.ndarray, int]:
    """Let the sanitizer judge all samples anew if this is one of its rounds."""
    if fed.defense.sanitize is None or number not in fed.defense.before_rounds:
        return keep, 0
    features = extract(fed.model, fed.data.images, fed.defense.layer)
    labels = fed.data.labels.cpu().numpy()
    views = [View(i, features[own], labels[own], fed.n_classes) for i, own in enumerate(fed.rows)]
    masks, sent = judge(fed.defense.sanitize, views, seed=fed.seed, before_round=number)
    keep = keep.copy()
    for own, mask in zip(fed.rows, masks, strict=True):
        keep[own] = mask
    return keep, sent


def _screen(
    fed: Federation, state: ServerState, number: int
) -> tuple[np.ndarray | None, Bool[np.ndarray, " clients"]]:
    """Score all clients and tell the benign ones; everybody is benign without a detector."""
    score = _detector(fed, "score", rng=stream(fed.seed, "score", number))
    flag = _detector(fed, "flag")
    if score is None or flag is None:
        return None, np.ones(len(fed.rows), bool)
    scores = score(fed.model, fed.data, fed.rows, state.detector)
    return scores, flag(scores)


def _local_loss(fed: Federation, state: ServerState) -> LocalLoss | None:
    loss = _detector(fed, "local_loss")
    return (lambda model: loss(model, state.detector)) if loss else None


def _detector(fed: Federation, function: str, **supplied: Any) -> Callable[..., Any] | None:
    """A function of the run's detector, or None where there is no detector or no such function."""
    if fed.defense.detect is None:
        return None
    return registry.bind("detectors", fed.defense.detect, function, optional=True, **supplied)


def _aggregate(
    fed: Federation,
    state: ServerState,
    trained: Float[Tensor, "clients values"],
    cohort: list[int],
    n_samples: Int64[Tensor, " clients"],
) -> tuple[Float[Tensor, " values"], Float[np.ndarray, " clients"], State]:
    """Apply the aggregator to the updates; buffers are averaged by the weights that it gave."""
    if not cohort:
        return state.values, np.zeros(0), state.aggregator
    rng = stream(fed.seed, "aggregate", state.round + 1)
    aggregate = registry.bind("aggregators", fed.defense.aggregate, "aggregate", rng=rng)
    n = layout(fed.model).n_params
    device = state.values.device
    found, memory = aggregate(
        trained[:, :n] - state.values[:n],
        torch.tensor(cohort, device=device),
        n_samples.to(device),
        state.aggregator,
    )
    values = state.values.clone()
    values[:n] += found.update
    if (total := found.weights.sum()) > 0:
        values[n:] = (found.weights / total) @ trained[:, n:]
    return values, found.weights.cpu().numpy(), memory


def _spread(numbers: np.ndarray, place: np.ndarray, length: int) -> np.ndarray:
    """Put the trained clients' numbers in their places of the drawn cohort, 0 elsewhere."""
    spread = np.zeros(length, numbers.dtype)
    spread[place] = numbers
    return spread
