"""Ratios of two measurements made in turns, and how they are shown and kept."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from tabulate import tabulate


@dataclass(frozen=True)
class Ratio:
    """One figure of a benchmark: what, its median and range over the turns, and its limit."""

    name: str
    median: float
    low: float
    high: float
    limit: str
    """Such as ``>= 0.9``; empty where none is set."""
    note: str
    """The measured values behind it."""

    @property
    def met(self) -> str:
        """Whether the median keeps the limit."""
        if not self.limit:
            return ""
        sign, bound = self.limit.split()
        kept = self.median >= float(bound) if sign == ">=" else self.median <= float(bound)
        return "yes" if kept else "NO"


def ratio(name: str, values: Sequence[float], limit: str = "", note: str = "") -> Ratio:
    """Sum up the values of a figure over its turns."""
    return Ratio(name, statistics.median(values), min(values), max(values), limit, note)


def seconds(run: Callable[..., object], *arguments: object) -> float:
    """Seconds of a call."""
    begun = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - begun


def in_turns(turns: int, *measure: Callable[[], float]) -> list[list[float]]:
    """Measure each in turn, so that a machine that slows down slows all; a row per measure."""
    rounds = [[one() for one in measure] for _ in range(turns)]
    return [list(column) for column in zip(*rounds, strict=True)]


def table(found: Sequence[Ratio]) -> str:
    """The figures in Markdown."""
    rows = [
        (r.name, f"{r.median:.3g}", f"{r.low:.3g} to {r.high:.3g}", r.limit, r.met, r.note)
        for r in found
    ]
    head = ["figure", "median", "range", "limit", "kept", "measured"]
    return tabulate(rows, head, tablefmt="pipe", disable_numparse=True)


def record(found: Sequence[Ratio]) -> list[dict[str, object]]:
    """The figures for JSON."""
    return [asdict(r) for r in found]
