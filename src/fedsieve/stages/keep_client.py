"""One client's own decision which of its samples to train on."""

from pathlib import Path
from typing import Any

from fedsieve.artifacts import read_message, read_view, write_verdict
from fedsieve.exchanges import decide


def keep_client(
    *,
    view: list[Path],
    layers: list[str],
    broadcast: Path,
    memory: Path,
    sanitizer: dict[str, Any],
    client: int,
    keep: Path,
) -> None:
    """Write the client's verdict on its own samples.

    Args:
        view: The client's features and labels, a file per layer.
        layers: Names of these layers.
        broadcast: The server's last answer.
        memory: What the client remembers of the last exchange.
        sanitizer: Plug-in and parameters (config ``sanitizers``).
        client: Client id.
        keep: Written: which of its samples to keep, and the labels repaired.
    """
    own = read_view(dict(zip(layers, view, strict=True)), client)
    verdict = decide(sanitizer, own, read_message(broadcast), read_message(memory))
    write_verdict(keep, verdict)
    print(f"client {client} keeps {verdict.keep.sum()} of {len(verdict.keep)} samples")
