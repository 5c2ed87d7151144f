"""One client's part of a sanitizer's exchange with the server."""

from pathlib import Path
from typing import Any

from fedsieve.artifacts import read_message, read_view, write_arrays
from fedsieve.exchanges import client_step, size


def sanitize_client(
    *,
    view: list[Path],
    layers: list[str],
    sanitizer: dict[str, Any],
    client: int,
    exchange: int,
    seed: int,
    message: Path,
    memory: Path,
    broadcast: list[Path],
    remembered: list[Path],
) -> None:
    """Write the client's message to the server, and what it keeps to itself.

    Args:
        view: The client's features and labels, a file per layer.
        layers: Names of these layers.
        sanitizer: Plug-in and parameters (config ``sanitizers``).
        client: Client id.
        exchange: Number of the exchange, from 0.
        seed: Seed of the run.
        message: Written: what the server gets.
        memory: Written: what stays with the client.
        broadcast: The server's answer to the exchange before, if there was one.
        remembered: The client's memory of the exchange before, if there was one.
    """
    sent, kept = client_step(
        sanitizer,
        read_view(dict(zip(layers, view, strict=True)), client),
        read_message(*broadcast),
        read_message(*remembered),
        seed=seed,
        before_round=1,
        exchange=exchange,
    )
    write_arrays(message, sent)
    write_arrays(memory, kept)
    print(f"client {client} sends {size(sent)} bytes")
    if "separation" in sent:
        print(f"separation (FDSD eq. 4): {sent['separation']:.3f}")
