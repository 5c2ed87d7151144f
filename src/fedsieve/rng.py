"""Independent random streams: a new draw for one purpose never shifts another."""

import hashlib

import numpy as np


def stream(seed: int, *purpose: str | int) -> np.random.Generator:
    """Return the generator of one purpose, e.g. ``stream(seed, "batches", round, client)``.

    The purpose is hashed together with the seed, so that streams are independent of each other
    and of the order in which they are asked for.
    """
    words = hashlib.sha256(repr((seed, *map(_plain, purpose))).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(words)))


def _plain(word: str | int) -> str | int:
    """A word of a purpose, NumPy's integers as Python's."""
    return word if isinstance(word, str) else int(word)
