"""Ways to damage an artifact, for each format: name -> function of its bytes and a generator."""

import io
import json
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import load, save

Damage = Callable[[bytes, Random], bytes | None]
"""None where the content has nothing that could be damaged so."""

Arrays = dict[str, np.ndarray]


def truncated(content: bytes, rng: Random) -> bytes:
    """Cut off somewhere."""
    return content[: rng.randrange(1, len(content))]


def emptied(content: bytes, rng: Random) -> bytes:
    """Nothing is left."""
    return b""


def flipped(content: bytes, rng: Random) -> bytes:
    """Flip one bit anywhere."""
    bit = rng.randrange(8 * len(content))
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def flipped_payload(content: bytes, rng: Random) -> bytes:
    """Flip one bit of the numbers in safetensors, which lie behind a header and its length."""
    header = 8 + int.from_bytes(content[:8], "little")
    return content[:header] + flipped(content[header:], rng) if content[header:] else content


def shorter(arrays: Arrays, rng: Random) -> Arrays | None:
    """One array lacks its last row."""
    return _one(arrays, rng, lambda a: a.ndim > 0 and len(a) > 0, lambda a: a[:-1])


def other_type(arrays: Arrays, rng: Random) -> Arrays | None:
    """One array of numbers is of half precision, or if it was of whole numbers, of floats."""
    return _one(arrays, rng, lambda a: a.dtype.kind in "iuf", _retyped)


def not_a_number(arrays: Arrays, rng: Random) -> Arrays | None:
    """One float is NaN."""

    def spoil(array: np.ndarray) -> np.ndarray:
        spoiled = array.copy()
        spoiled.flat[rng.randrange(array.size)] = np.nan
        return spoiled

    return _one(arrays, rng, lambda a: a.dtype.kind == "f" and a.size > 0, spoil)


def in_npz(change: Callable[[Arrays, Random], Arrays | None]) -> Damage:
    """Damage the arrays of a sound npz archive."""

    def damage(content: bytes, rng: Random) -> bytes | None:
        with np.load(io.BytesIO(content)) as archive:
            changed = change(dict(archive), rng)
        if changed is None:
            return None
        written = io.BytesIO()
        np.savez(written, allow_pickle=False, **changed)
        return written.getvalue()

    return damage


def in_safetensors(change: Callable[[Arrays, Random], Arrays | None]) -> Damage:
    """Damage the tensors of a sound safetensors file."""

    def damage(content: bytes, rng: Random) -> bytes | None:
        changed = change(load(content), rng)
        return None if changed is None else save(changed, _metadata(content))

    return damage


def cut_at_a_line(content: bytes, rng: Random) -> bytes | None:
    """A table ends early, but with a whole line."""
    lines = content.splitlines(keepends=True)
    return b"".join(lines[: rng.randrange(1, len(lines))]) if len(lines) > 2 else None


def in_csv(change: Callable[[pd.DataFrame, int, str], None]) -> Damage:
    """Damage a cell of a column of numbers in a sound table."""

    def damage(content: bytes, rng: Random) -> bytes | None:
        frame = pd.read_csv(io.BytesIO(content))
        numbers = list(frame.select_dtypes("number").dropna(axis="columns").columns)
        if frame.empty or not numbers:
            return None
        change(frame := frame.astype(object), rng.randrange(len(frame)), rng.choice(numbers))
        return frame.to_csv(index=False).encode()

    return damage


def without_column(frame: pd.DataFrame, row: int, column: str) -> None:
    """A column is missing."""
    frame.drop(columns=column, inplace=True)


def with_text(frame: pd.DataFrame, row: int, column: str) -> None:
    """A number is a word."""
    frame.loc[row, column] = "x7"


def with_gap(frame: pd.DataFrame, row: int, column: str) -> None:
    """A number is missing, which pandas reads as NaN."""
    frame.loc[row, column] = None


def in_json(change: Callable[[dict[str, Any], str], Any]) -> Damage:
    """Damage an entry of a sound JSON object."""

    def damage(content: bytes, rng: Random) -> bytes | None:
        found = json.loads(content)
        return json.dumps(change(found, rng.choice(sorted(found)))).encode()

    return damage


SAME = {"truncated": truncated, "empty": emptied, "bit flipped": flipped}

DAMAGES: dict[str, dict[str, Damage]] = {
    ".npz": SAME
    | {
        "shape": in_npz(shorter),
        "type": in_npz(other_type),
        "NaN": in_npz(not_a_number),
    },
    ".safetensors": SAME
    | {
        "bit of a weight flipped": flipped_payload,
        "shape": in_safetensors(shorter),
        "type": in_safetensors(other_type),
        "NaN": in_safetensors(not_a_number),
    },
    ".csv": SAME
    | {
        "cut at a line": cut_at_a_line,
        "shape": in_csv(without_column),
        "type": in_csv(with_text),
        "NaN": in_csv(with_gap),
    },
    ".json": SAME
    | {
        "shape": in_json(lambda found, key: {k: v for k, v in found.items() if k != key}),
        "type": in_json(lambda found, key: found | {key: [str(found[key])]}),
        "NaN": in_json(lambda found, key: found | {key: float("nan")}),
    },
}
DAMAGES[".checkpoint"] = DAMAGES[".safetensors"]


def _one(
    arrays: Arrays,
    rng: Random,
    fits: Callable[[np.ndarray], bool],
    change: Callable[[np.ndarray], np.ndarray],
) -> Arrays | None:
    names = sorted(name for name, array in arrays.items() if fits(array))
    if not names:
        return None
    name = rng.choice(names)
    return arrays | {name: np.ascontiguousarray(change(arrays[name]))}


def _retyped(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float16 if array.dtype.kind == "f" else np.float64)


def _metadata(content: bytes) -> dict[str, str]:
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return dict(header.get("__metadata__", {}))
