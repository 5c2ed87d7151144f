"""Run a sanitizer's exchanges between clients and server in one process."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedsieve import registry
from fedsieve.records import Message, Verdict, View, keeping
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
) -> tuple[Message, Message]:
    """One client's part of an exchange: its message to the server, and what it remembers."""
    rng = stream(seed, "sanitize", before_round, exchange, view.client)
    return _bound("client", spec, rng=rng, exchange=exchange)(view, broadcast, memory)


def server_step(
    spec: Mapping[str, Any],
    messages: list[Message],
    state: Message,
    *,
    seed: int,
    before_round: int,
    exchange: int,
) -> tuple[Message, Message]:
    """The server's part of an exchange: its broadcast, and what it remembers."""
    rng = stream(seed, "sanitize", before_round, exchange, "server")
    return _bound("server", spec, rng=rng, exchange=exchange)(messages, state)


def decide(spec: Mapping[str, Any], view: View, broadcast: Message, memory: Message) -> Verdict:
    """One client's verdict on its samples after the last exchange."""
    keep = _bound("keep", spec)(view, broadcast, memory)
    repair = _bound("repair", spec, optional=True)
    return Verdict(keep, repair(view, broadcast, memory)) if repair else keeping(keep)


def judge(spec: Mapping[str, Any], views: list[View], *, seed: int, before_round: int) -> Judgement:
    """Run all exchanges and let every client decide.

    The same steps run as one job per client and exchange when a sanitizer works before round
    one; here they run between rounds.
    """
    broadcast: Message = {}
    state: Message = {}
    memories: list[Message] = [{} for _ in views]
    sent = 0
    for exchange in range(registry.constant("sanitizers", spec["use"], "EXCHANGES")):
        at = {"seed": seed, "before_round": before_round, "exchange": exchange}
        steps = [
            client_step(spec, view, broadcast, memory, **at)
            for view, memory in zip(views, memories, strict=True)
        ]
        messages, memories = [m for m, _ in steps], [memory for _, memory in steps]
        broadcast, state = server_step(spec, messages, state, **at)
        sent += exchanged(messages, broadcast)
    verdicts = [
        decide(spec, view, broadcast, memory) for view, memory in zip(views, memories, strict=True)
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
