"""One client's own decision which of its samples to train on."""

from pathlib import Path
from typing import Any

from fedsieve.artifacts import read_message, read_view, write_arrays
from fedsieve.exchanges import bound


def keep_client(
    *,
    view: Path,
    broadcast: Path,
    memory: Path,
    sanitizer: dict[str, Any],
    client: int,
    keep: Path,
) -> None:
    """Write the client's keep mask over its own samples.

    Args:
        view: The client's features and labels.
        broadcast: The server's last answer.
        memory: What the client remembers of the last exchange.
        sanitizer: Plug-in and parameters (config ``sanitizers``).
        client: Client id.
        keep: Written: True for each of its samples to train on.
    """
    mask = bound("keep", sanitizer)(
        read_view(view, client), read_message(broadcast), read_message(memory)
    )
    write_arrays(keep, {"keep": mask})
    print(f"client {client} keeps {mask.sum()} of {len(mask)} samples")
