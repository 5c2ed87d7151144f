"""Names of recorded arrays, such as ``round3.server.raw:excess``, written and read.

A name goes from the whole to the part: the round, then what recorded it, joined by dots; last comes
the array's own name, behind a colon where it is of one layer of features alone. Standard library
only: whoever reads a record needs no more.
"""

import re
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")

_IN_ROUND = re.compile(r"round(\d+)\.(.*)", re.DOTALL)


def put_under(part: str, arrays: Mapping[str, T]) -> dict[str, T]:
    """Name arrays as those of a part of a record: ``server.counts``."""
    return {f"{part}.{name}": array for name, array in arrays.items()}


def take_under(part: str, arrays: Mapping[str, T]) -> dict[str, T]:
    """Arrays of one part of a record, as they were named before ``put_under``."""
    prefix = f"{part}."
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def put_in_round(number: int, arrays: Mapping[str, T]) -> dict[str, T]:
    """Name arrays as those of a round: ``round3.counts``."""
    return put_under(f"round{number}", arrays)


def split_rounds(arrays: Mapping[str, T]) -> dict[int, dict[str, T]]:
    """Arrays of each round, as they were named before ``put_in_round``; rounds ascend.

    What is of no round is left out.
    """
    found: dict[int, dict[str, T]] = {}
    for name, array in arrays.items():
        if match := _IN_ROUND.fullmatch(name):
            found.setdefault(int(match[1]), {})[match[2]] = array
    return dict(sorted(found.items()))


def put_in_layer(layer: str, arrays: Mapping[str, T]) -> dict[str, T]:
    """Name arrays as those of a layer of features: ``raw:counts``."""
    return {f"{layer}:{name}": array for name, array in arrays.items()}


def split_layers(arrays: Mapping[str, T]) -> dict[str, dict[str, T]]:
    """Arrays of each layer, as they were named before ``put_in_layer``.

    What is of no layer stands under an empty name.
    """
    found: dict[str, dict[str, T]] = {}
    for name, array in arrays.items():
        layer, _, own = name.rpartition(":")
        found.setdefault(layer, {})[own] = array
    return found


def own_name(name: str) -> str:
    """An array's own name, without its round, part and layer."""
    return re.split("[.:]", name)[-1]


def find_all(own: str, arrays: Mapping[str, T]) -> list[T]:
    """Arrays of this own name, whatever round, part and layer they are of."""
    return [array for name, array in arrays.items() if own_name(name) == own]
