"""Types whose names say a range, for the parameters of plug-ins: ``poison_fraction: Share``.

The annotations are read from a plug-in's source before the first job (``annotations``), and change
nothing when a function is called. A range of one's own is written out, its bounds as numbers:
``Annotated[float, Range(above=0, most=2)]``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True)
class Range:
    """Bounds of a number, of the entries of a list, or of the characters of a text."""

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None


class OneOf:
    """The only values that there are."""

    def __init__(self, *values: str | int):
        self.values = values


class Specs:
    """Plug-ins of a kind, in a list: each with ``use`` and its parameters, checked as elsewhere."""

    def __init__(self, kind: str):
        self.kind = kind


Share = Annotated[float, Range(least=0, most=1)]

Positive = Annotated[float, Range(above=0, most=1_000_000_000)]

NonNegative = Annotated[float, Range(least=0, most=1_000_000_000)]

Whole = Annotated[int, Range(least=0, most=1_000_000_000)]
"""A whole number, such as that of a class, where nothing is as large as the number."""

Count = Annotated[int, Range(least=1, most=1_000_000_000)]

Size = Annotated[int, Range(least=1, most=8192)]
"""A whole number of things that take memory or time each, such as units of a layer, or clusters."""

Text = Annotated[str, Range(least=1)]

PerJudgement = Sequence
"""``PerJudgement[Share]``: a value for each judgement of a sanitizer; the last one goes on."""
