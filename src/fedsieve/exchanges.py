"""Run a sanitizer's exchanges between clients and server in one process."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool

from fedsieve import registry
from fedsieve.records import Message, View
from fedsieve.rng import stream


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
    return bound("client", spec, rng)(view, broadcast, memory)


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
    return bound("server", spec, rng)(messages, state)


def judge(
    spec: Mapping[str, Any], views: list[View], *, seed: int, before_round: int
) -> tuple[list[Bool[np.ndarray, " _"]], int]:
    """Run all exchanges and return each client's keep mask, and the bytes that were sent.

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
        sent += sum(map(size, messages)) + len(views) * size(broadcast)
    keep = bound("keep", spec)
    masks = [keep(view, broadcast, memory) for view, memory in zip(views, memories, strict=True)]
    return masks, sent


def size(message: Message) -> int:
    """Bytes of a message's arrays."""
    return sum(array.nbytes for array in message.values())


def bound(
    function: str, spec: Mapping[str, Any], rng: np.random.Generator | None = None
) -> Callable[..., Any]:
    """A sanitizer's function with the parameters of its spec, and the stream if it takes one."""
    return registry.bind("sanitizers", spec, function, rng=rng)
