"""The server's part of a sanitizer's exchange with the clients."""

from pathlib import Path
from typing import Any

import numpy as np

from fedsieve.artifacts import read_message, write_arrays
from fedsieve.exchanges import exchanged, server_step, size


def sanitize_server(
    *,
    messages: list[Path],
    sanitizer: dict[str, Any],
    exchange: int,
    seed: int,
    broadcast: Path,
    state: Path,
    remembered: list[Path],
) -> None:
    """Write the server's answer to the clients' messages.

    Args:
        messages: One per client, in order of client id; all that the server ever sees.
        sanitizer: Plug-in and parameters (config ``sanitizers``).
        exchange: Number of the exchange, from 0.
        seed: Seed of the run.
        broadcast: Written: what every client gets.
        state: Written: what stays with the server, and the ``bytes`` sent up to here.
        remembered: The server's state after the exchange before, if there was one.
    """
    said, known = [read_message(path) for path in messages], read_message(*remembered)
    earlier = int(known.pop("bytes", 0))
    answer, kept = server_step(
        sanitizer,
        said,
        known,
        seed=seed,
        before_round=1,
        exchange=exchange,
    )
    write_arrays(broadcast, answer)
    write_arrays(state, {**kept, "bytes": np.array(earlier + exchanged(said, answer))})
    print(f"server sends {size(answer)} bytes to each of {len(messages)} clients")
