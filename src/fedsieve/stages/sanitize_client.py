"""Clients' parts of a sanitizer's exchange with the server, one client after another."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fedsieve import blocks
from fedsieve.artifacts import read_message, read_view, write_arrays
from fedsieve.exchanges import client_step, size


def sanitize_client(
    *,
    view: list[Path],
    layers: list[str],
    sanitizer: dict[str, Any],
    client: list[int],
    exchange: int,
    seed: int,
    message: list[Path],
    memory: list[Path],
    broadcast: list[Path],
    remembered: list[Path],
) -> None:
    """Write each client's message to the server, and what it keeps to itself.

    Args:
        view: The clients' features and labels: of each client, a file per layer.
        layers: Names of these layers.
        sanitizer: Plug-in and parameters (config ``sanitizers``).
        client: Client ids.
        exchange: Number of the exchange, from 0.
        seed: Seed of the run.
        message: Written, a file per client: what the server gets.
        memory: Written, a file per client: what stays with the client.
        broadcast: The server's answer to the exchange before, if there was one.
        remembered: The clients' memories of the exchange before, if there was one.
    """
    before: Sequence[Path | None] = remembered or [None] * len(client)
    own = blocks.deal(view, len(layers))
    for number, files, last, to_server, to_itself in zip(
        client, own, before, message, memory, strict=True
    ):
        sent, kept = client_step(
            sanitizer,
            read_view(dict(zip(layers, files, strict=True)), number),
            read_message(*broadcast),  # anew, or a client could hand something on in it
            read_message(last),
            seed=seed,
            before_round=1,
            exchange=exchange,
        )
        write_arrays(to_server, sent)
        write_arrays(to_itself, kept)
        print(f"client {number} sends {size(sent)} bytes")
        if "separation" in sent:
            print(f"separation (FDSD eq. 4): {sent['separation']:.3f}")
