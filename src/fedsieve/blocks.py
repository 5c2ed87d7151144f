"""Blocks of clients that one job takes, one client after another (standard library only)."""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

LARGEST = 50
"""Most clients of a block."""


def split(n_clients: int) -> list[range]:
    """Split clients into as few blocks as can be, evenly filled: sizes differ by one at most.

    By their number alone: were it by the cores of a machine, another machine would run all again.
    """
    n_blocks = -(-n_clients // LARGEST)
    bounds = [n_clients * i // n_blocks for i in range(n_blocks + 1)]
    return [range(*pair) for pair in itertools.pairwise(bounds)]


def name(rule: str, block: range, n_clients: int) -> str:
    """Name of a rule on a block, such as ``features_0_to_9_of_10``."""
    return f"{rule}_{block[0]}_to_{block[-1]}_of_{n_clients}"


def base(name: str) -> str:
    """Name of a rule without the block that it is on."""
    return re.sub(r"_\d+_to_\d+_of_\d+$", "", name)


def deal(paths: Sequence[Path], n: int) -> list[Sequence[Path]]:
    """The files of each client, where ``paths`` has ``n`` of one client after those of another."""
    return [paths[i : i + n] for i in range(0, len(paths), n)]
