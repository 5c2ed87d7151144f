"""The federated round, and the loop over rounds; knows the three contracts, no member of them."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from fedsieve import registry
from fedsieve.aggregates import check_aggregate, check_state
from fedsieve.exchanges import judge
from fedsieve.features import extract
from fedsieve.local import LocalLoss, Sgd, Train, TrainingData, Workers, batches, train_client
from fedsieve.ratios import ORACLE
from fedsieve.record_keys import put_under
from fedsieve.records import Message, Screening, Verdict, View
from fedsieve.rng import stream
from fedsieve.screening import fresh, function, screen
from fedsieve.vectors import Aggregate, State, Trained, bind, flatten, layout

PARTS = ("judge", "screen", "train", "aggregate", "learn")
"""Parts of a round whose time is recorded."""


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
        """Draw a cohort among the eligible clients; all of them where they are too few.

        Where a detector has left too few clients of one kind, others take their places.
        """
        ids = np.flatnonzero(eligible)
        bad = np.isin(ids, list(self.malicious))
        groups = [(ids, self.cohort)]
        if self.stratified:
            groups = [(ids[bad], self.n_malicious), (ids[~bad], self.cohort - self.n_malicious)]
        drawn = np.concatenate(
            [rng.choice(group, min(n, len(group)), replace=False) for group, n in groups]
        )
        if missing := min(self.cohort, len(ids)) - len(drawn):
            others = np.setdiff1d(ids, drawn)
            drawn = np.concatenate([drawn, rng.choice(others, missing, replace=False)])
        return np.sort(drawn)


@dataclass(frozen=True)
class Defense:
    """What a run puts between the clients' data and the global model, as specs with ``use:``.

    ``judgements`` are the rounds before which the sanitizer judges all clients' data anew, each
    with the layers whose features it sees. ``screenings`` are those before which the detector
    screens all clients, None for every round; its flags hold until the next.
    """

    aggregate: Mapping[str, Any]
    detect: Mapping[str, Any] | None = None
    sanitize: Mapping[str, Any] | None = None
    judgements: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    screenings: frozenset[int] | None = None


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
    verdict: Verdict
    benign: Bool[np.ndarray, " clients"]
    aggregator: State
    detector: State


@dataclass(frozen=True)
class Record:
    """What happened in a round. ``n_samples`` are those a client trained on, 0 if none was left."""

    cohort: Int64[np.ndarray, " cohort"]
    n_samples: Int64[np.ndarray, " cohort"]
    weights: Float[np.ndarray, " cohort"]
    losses: Float[np.ndarray, " cohort"]
    trained: Float[Tensor, "trained values"]
    """Weights with which those of the cohort that trained came back."""
    scores: Float[np.ndarray, " clients"] | None
    """The detector's, where it screened the clients before this round."""
    benign: Bool[np.ndarray, " clients"]
    screened: Message
    """What else the detector found then."""
    in_domain: bool
    """Whether the aggregator's conditions held."""
    judged: dict[str, np.ndarray]
    """A judgement before this round: ``keep``, ``repaired``, ``bytes``, what the server knew."""
    seconds: dict[str, float]
    """Wall time of each of ``PARTS``."""


def assemble(
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
    train: Train = train_client,
) -> Federation:
    """Put a run together; every model replica starts from the same weights."""
    device = data.images.device
    replicas = [build().to(device) for _ in range(workers)]
    model = build().to(device).eval()  # it is never trained: clients have replicas
    values = bind(model)
    crew = Workers(replicas, train)
    return Federation(data, rows, sampling, sgd, defense, seed, crew, model, n_classes, values)


def start(fed: Federation, verdict: Verdict) -> ServerState:
    """State before round one."""
    detect = fed.defense.detect
    return ServerState(
        round=0,
        values=flatten(fed.model),
        verdict=verdict,
        benign=np.ones(len(fed.rows), bool),
        aggregator=_remembered(fed),
        detector=fresh(detect, fed.model, len(fed.rows), fed.seed) if detect else {},
    )


def _remembered(fed: Federation) -> State:
    """What the aggregator knows before round one, where the federation computes."""
    spec = fed.defense.aggregate
    state = registry.bind("aggregators", spec, "init")(len(fed.rows), layout(fed.model))
    check_state(registry.file_of("aggregators", spec), "init", state)
    return {name: tensor.to(fed.values.device) for name, tensor in state.items()}


def run(fed: Federation, state: ServerState, rounds: int) -> Iterator[tuple[ServerState, Record]]:
    """Yield state and record after each round up to ``rounds``, from wherever the state stands."""
    while state.round < rounds:
        state, record = federated_round(fed, state)
        yield state, record


def federated_round(fed: Federation, state: ServerState) -> tuple[ServerState, Record]:
    """One round: judge samples, screen clients, draw a cohort, train, aggregate, learn."""
    number = state.round + 1
    clock = [time.monotonic()]
    verdict, judged = judge_samples(fed, state, number)
    clock.append(time.monotonic())
    screened = screen_clients(fed, state, number)
    benign = screened.benign if screened else state.benign
    clock.append(time.monotonic())
    drawn = fed.sampling.draw(benign, stream(fed.seed, "cohort", number))
    held = {int(client): fed.rows[client][verdict.trained[fed.rows[client]]] for client in drawn}
    cohort = [client for client, rows in held.items() if len(rows)]
    steps = [
        batches(held[client], fed.sgd, stream(fed.seed, "batches", number, client))
        for client in cohort
    ]
    data = _repaired(fed.data, verdict)
    starts = _starts(fed, state, cohort)
    trained, losses = fed.workers.train(starts, data, steps, fed.sgd, _local_loss(fed, state))
    clock.append(time.monotonic())
    n_samples = torch.tensor([len(held[client]) for client in cohort], dtype=torch.int64)
    values, found, aggregator = _aggregate(fed, state, trained, cohort, n_samples)
    fed.values.copy_(values)
    clock.append(time.monotonic())
    detector = _learn(fed, state, Trained(cohort, state.values, trained), number)
    clock.append(time.monotonic())
    place = np.searchsorted(drawn, cohort)
    record = Record(
        cohort=drawn,
        n_samples=_spread(n_samples.numpy(), place, len(drawn)),
        weights=_spread(found.weights.cpu().numpy(), place, len(drawn)),
        losses=_spread(np.array(losses), place, len(drawn)),
        trained=trained,
        scores=screened.scores if screened else None,
        benign=benign,
        screened=screened.found if screened else {},
        in_domain=found.in_domain,
        judged=judged,
        seconds=dict(zip(PARTS, np.diff(clock).round(4).tolist(), strict=True)),
    )
    after = ServerState(
        round=number,
        values=values,
        verdict=verdict,
        benign=benign,
        aggregator=aggregator,
        detector=detector,
    )
    return after, record


def judge_samples(
    fed: Federation, state: ServerState, number: int
) -> tuple[Verdict, dict[str, np.ndarray]]:
    """Let the sanitizer judge all samples anew if it does so before round ``number``.

    Returns:
        The verdict from now on, and what to record of the judgement; nothing if there was none.
    """
    fed.values.copy_(state.values)
    if fed.defense.sanitize is None or number not in fed.defense.judgements:
        return state.verdict, {}
    found = judge(
        fed.defense.sanitize,
        _views(fed, state, number),
        seed=fed.seed,
        before_round=number,
        judgement=sorted(fed.defense.judgements).index(number),
    )
    verdict = Verdict(state.verdict.keep.copy(), state.verdict.repaired.copy())
    for own, part in zip(fed.rows, found.verdicts, strict=True):
        verdict.keep[own], verdict.repaired[own] = part.keep, part.repaired
    judged = {"keep": verdict.keep, "repaired": verdict.repaired, "bytes": np.array(found.sent)}
    return verdict, judged | put_under("server", found.state)


def _views(fed: Federation, state: ServerState, number: int) -> list[View]:
    """What each client sees of its samples before round ``number``."""
    seen = fed.defense.judgements[number]
    layers = {layer: extract(fed.model, fed.data.images, layer) for layer in seen}
    labels = fed.data.labels.cpu().numpy()
    return [
        View(
            client,
            {layer: features[own] for layer, features in layers.items()},
            labels[own],
            fed.n_classes,
            kept=state.verdict.keep[own],
        )
        for client, own in enumerate(fed.rows)
    ]


def _repaired(data: TrainingData, verdict: Verdict) -> TrainingData:
    """The training set with repaired labels in place of those that their clients hold."""
    rows = np.flatnonzero(verdict.repaired >= 0)
    if not len(rows):
        return data
    labels = data.labels.clone()
    labels[rows] = torch.from_numpy(verdict.repaired[rows]).to(labels)
    return replace(data, labels=labels)


def screen_clients(fed: Federation, state: ServerState, number: int) -> Screening | None:
    """Let the detector screen all clients if it does so before round ``number``."""
    wanted = fed.defense.screenings
    if fed.defense.detect is None or not (wanted is None or number in wanted):
        return None
    if function(fed.defense.detect, "flag") is None:
        return None
    fed.values.copy_(state.values)
    found, _ = screen(
        fed.defense.detect,
        fed.model,
        fed.values,
        state.detector,
        fed.data,
        fed.rows,
        fed.n_classes,
    )
    return found


def _starts(
    fed: Federation, state: ServerState, cohort: list[int]
) -> Float[Tensor, "clients values"]:
    """Weights that each client starts from: the global ones, in part its own if it keeps some."""
    personal = _detector(fed, "personal")
    if personal is None or not cohort:
        return state.values.expand(len(cohort), -1)
    return torch.stack([personal(state.values, client, state.detector) for client in cohort])


def _local_loss(fed: Federation, state: ServerState) -> LocalLoss | None:
    loss = _detector(fed, "local_loss")
    return (lambda model, labels: loss(model, labels, state.detector)) if loss else None


def _learn(fed: Federation, state: ServerState, trained: Trained, number: int) -> State:
    """What the detector remembers after a round; the model is the new global one."""
    learn = _detector(fed, "learn", rng=stream(fed.seed, "learn", number))
    if fed.defense.detect is None or learn is None:
        return state.detector
    where = registry.file_of("detectors", fed.defense.detect)
    return check_state(where, "learn", learn(fed.model, trained, state.detector))


def _detector(fed: Federation, name: str, **supplied: Any) -> Callable[..., Any] | None:
    """A function of the run's detector, or None where there is no detector or no such function."""
    if fed.defense.detect is None:
        return None
    return function(fed.defense.detect, name, **supplied)


def _aggregate(
    fed: Federation,
    state: ServerState,
    trained: Float[Tensor, "clients values"],
    cohort: list[int],
    n_samples: Int64[Tensor, " clients"],
) -> tuple[Float[Tensor, " values"], Aggregate, State]:
    """Apply the aggregator to the updates; buffers are averaged by the weights that it gave."""
    if not cohort:
        nothing = Aggregate(torch.zeros(0), torch.zeros(0))
        return state.values, nothing, state.aggregator
    rng = stream(fed.seed, "aggregate", state.round + 1)
    spec = _told(fed.defense.aggregate, fed.sampling.malicious, cohort)
    aggregate = registry.bind("aggregators", spec, "aggregate", rng=rng)
    n = layout(fed.model).n_params
    device = state.values.device
    updates = trained[:, :n] - state.values[:n]
    returned = aggregate(
        updates,
        torch.tensor(cohort, device=device),
        n_samples.to(device, copy=True),  # the record's own stays what it is
        state.aggregator,
    )
    where = registry.file_of("aggregators", spec)
    found, memory = check_aggregate(where, returned, updates, state.aggregator)
    values = state.values.clone()
    values[:n] += found.update
    if (total := found.weights.sum()) > 0:
        values[n:] = (found.weights / total) @ trained[:, n:]
    return values, found, memory


def _told(spec: Mapping[str, Any], malicious: frozenset[int], cohort: list[int]) -> dict[str, Any]:
    """The aggregator's spec, with the true number of malicious clients where it is to be told.

    No server knows that number: ``n_malicious: oracle`` gives a defense the best case, and the
    tables say so.
    """
    oracle = {"n_malicious": len(malicious & set(cohort))}
    return {**spec, **(oracle if spec.get("n_malicious") == ORACLE else {})}


def _spread(numbers: np.ndarray, place: np.ndarray, length: int) -> np.ndarray:
    """Put the trained clients' numbers in their places of the drawn cohort, 0 elsewhere."""
    spread = np.zeros(length, numbers.dtype)
    spread[place] = numbers
    return spread
