"""Clients' own decisions which of their samples to train on, one client after another."""

from pathlib import Path
from typing import Any

from fedsieve import blocks
from fedsieve.artifacts import read_message, read_view, write_verdict
from fedsieve.exchanges import decide


def keep_client(
    *,
    view: list[Path],
    layers: list[str],
    broadcast: Path,
    memory: list[Path],
    sanitizer: dict[str, Any],
    client: list[int],
    keep: list[Path],
) -> None:
    """Write each client's verdict on its own samples.

    Args:
        view: The clients' features and labels: of each client, a file per layer.
        layers: Names of these layers.
        broadcast: The server's last answer.
        memory: What each client remembers of the last exchange.
        sanitizer: Plug-in and parameters (config ``sanitizers``).
        client: Client ids.
        keep: Written, a file per client: which of its samples to keep, and the labels repaired.
    """
    own = blocks.deal(view, len(layers))
    for number, files, last, path in zip(client, own, memory, keep, strict=True):
        seen = read_view(dict(zip(layers, files, strict=True)), number)
        # the broadcast is read anew, or a client could hand something on in it
        verdict = decide(sanitizer, seen, read_message(broadcast), read_message(last))
        write_verdict(path, verdict)
        print(f"client {number} keeps {verdict.keep.sum()} of {len(verdict.keep)} samples")
