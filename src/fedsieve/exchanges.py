"""Run a sanitizer's exchanges between clients and server in one process."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedsieve import registry
from fedsieve.checks import check_array, check_exchange, check_repair
from fedsieve.records import DIVERGED, Message, Verdict, View, keeping
from fedsieve.rng import stream


@dataclass(frozen=True)
class Judgement:
    """Each client's verdict on its samples, what the server knows at the end, bytes sent."""

    verdicts: list[Verdict]
    state: Message
    sent: int


def client_step(
    spec: Mapping[str, Any],
    view: View,
    broadcast: Message,
    memory: Message,
    *,
    seed: int,
    before_round: int,
    exchange: int,
    judgement: int = 0,
) -> tuple[Message, Message]:
    """One client's part of an exchange: its message to the server, and what it remembers."""
    if DIVERGED in broadcast or not all(np.isfinite(a).all() for a in view.layers.values()):
        return {DIVERGED: np.array(1)}, {}
    rng = stream(seed, "sanitize", before_round, exchange, view.client)
    step = _bound("client", spec, rng=rng, exchange=exchange, judgement=judgement)
    where = registry.file_of("sanitizers", spec)
    return check_exchange(where, "client", step(view, broadcast, memory))


def server_step(
    spec: Mapping[str, Any],
    messages: list[Message],
    state: Message,
    *,
    seed: int,
    before_round: int,
    exchange: int,
    judgement: int = 0,
) -> tuple[Message, Message]:
    """The server's part of an exchange: its broadcast, and what it remembers."""
    if any(DIVERGED in message for message in messages):
        return {DIVERGED: np.array(1)}, {DIVERGED: np.array(1)}
    rng = stream(seed, "sanitize", before_round, exchange, "server")
    step = _bound("server", spec, rng=rng, exchange=exchange, judgement=judgement)
    return check_exchange(registry.file_of("sanitizers", spec), "server", step(messages, state))


def decide(
    spec: Mapping[str, Any],
    view: View,
    broadcast: Message,
    memory: Message,
    *,
    judgement: int = 0,
) -> Verdict:
    """One client's verdict on its samples after the last exchange."""
    if DIVERGED in broadcast:
        return keeping(np.ones(len(view.labels), bool))
    keep = _bound("keep", spec, judgement=judgement)(view, broadcast, memory)
    repair = _bound("repair", spec, optional=True, judgement=judgement)
    where = registry.file_of("sanitizers", spec)
    check_array(where, "keep", keep, np.bool_, (len(view.labels),))
    if repair is None:
        return keeping(keep)
    repaired = repair(view, broadcast, memory)
    check_repair(where, repaired, keep, view.n_classes)
    return Verdict(keep, repaired)


def judge(
    spec: Mapping[str, Any],
    views: list[View],
    *,
    seed: int,
    before_round: int,
    judgement: int = 0,
) -> Judgement:
    """Run all exchanges and let every client decide.

    The same steps run in jobs, one per block of clients and exchange, when a sanitizer works
    before round one; here they run between rounds. ``judgement`` counts the judgements of a run
    from 0.
    """
    broadcast: Message = {}
    state: Message = {}
    memories: list[Message] = [{} for _ in views]
    sent = 0
    for exchange in range(registry.constant("sanitizers", spec["use"], "EXCHANGES")):
        at = {"before_round": before_round, "exchange": exchange, "judgement": judgement}
        steps = [
            client_step(spec, view, broadcast, memory, seed=seed, **at)
            for view, memory in zip(views, memories, strict=True)
        ]
        messages, memories = [m for m, _ in steps], [memory for _, memory in steps]
        broadcast, state = server_step(spec, messages, state, seed=seed, **at)
        sent += exchanged(messages, broadcast)
    verdicts = [
        decide(spec, view, broadcast, memory, judgement=judgement)
        for view, memory in zip(views, memories, strict=True)
    ]
    return Judgement(verdicts, state, sent)


def exchanged(messages: list[Message], broadcast: Message) -> int:
    """Bytes of an exchange: each client's message, and the broadcast to each of them."""
    return sum(map(size, messages)) + len(messages) * size(broadcast)


def size(message: Message) -> int:
    """Bytes of a message's arrays."""
    return sum(array.nbytes for array in message.values())


def _bound(
    function: str, spec: Mapping[str, Any], *, optional: bool = False, **supplied: Any
) -> Any:
    """A sanitizer's function with the parameters of its spec, and what else of it it takes."""
    return registry.bind("sanitizers", spec, function, optional=optional, **supplied)
