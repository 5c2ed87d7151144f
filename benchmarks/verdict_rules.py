"""How often each rule calls a number reproduced: one that is false, and one that is true.

Usage: python -m benchmarks.verdict_rules [--draws N] [--seed SEED]

Runs are drawn from truths of three shapes. A false number is drawn evenly from 0 to 100 % and lies
farther than the margin from the truth; a true one is the truth's mean, or the mode that most runs
of a bimodal truth have. The rule before asked whether a number lies in the 95 % t-interval or
within a point of the mean (fedsieve 0.1.0); docs/verdicts.md has the rule now.
"""

import argparse
from collections.abc import Callable

import numpy as np
from tabulate import tabulate

from fedsieve import inference

MARGIN = 0.05
SPREAD = 0.02
"""Standard deviation of what has one mode."""

COUNTS = (3, 5, 10, 20)

Truth = tuple[Callable[[int], np.ndarray], float, float]
"""What draws so many runs, their mean, and the number that is true of them."""


def normal(rng: np.random.Generator) -> Truth:
    """Runs that spread evenly about their mean."""
    mean = rng.uniform(0.1, 0.9)
    return lambda n: rng.normal(mean, SPREAD, n), mean, mean


def skewed(rng: np.random.Generator) -> Truth:
    """Runs with a long tail, on either side."""
    mean, side = rng.uniform(0.2, 0.8), rng.choice([-1, 1])
    return lambda n: mean + side * SPREAD * (rng.exponential(size=n) - 1), mean, mean


def bimodal(rng: np.random.Generator) -> Truth:
    """Runs in which an attack gets through, or does not."""
    low, high, share = rng.uniform(0, 0.3), rng.uniform(0.6, 1), rng.uniform(0.1, 0.9)

    def draw(n: int) -> np.ndarray:
        modes = np.where(rng.random(n) < share, high, low)
        return np.clip(modes + rng.normal(0, 0.01, n), 0, 1)

    return draw, share * high + (1 - share) * low, high if share > 0.5 else low


SHAPES = {"normal": normal, "skewed": skewed, "bimodal": bimodal}


def before(values: np.ndarray, number: float) -> str:
    """What the rule of fedsieve 0.1.0 says of a number."""
    low, high = inference.interval(values)
    return "in" if low <= number <= high or abs(values.mean() - number) <= 0.01 else "out"


def now(values: np.ndarray, number: float) -> str:
    """What the rule says of a number."""
    return inference.place(values, number - MARGIN, number + MARGIN).where


def false_number(rng: np.random.Generator, mean: float) -> float:
    """A number from 0 to 1 that is farther than the margin from the mean."""
    while abs((number := rng.random()) - mean) <= MARGIN:
        pass
    return number


def said(
    rule: Callable[[np.ndarray, float], str],
    shape: Callable[[np.random.Generator], Truth],
    n: int,
    draws: int,
    seed: int,
) -> dict[str, list[str]]:
    """What a rule says of false and of true numbers, each of a truth of its own."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[str]] = {"false": [], "true": []}
    for _ in range(draws):
        draw, mean, number = shape(rng)
        values = draw(n)
        found["false"].append(rule(values, false_number(rng, mean)))
        found["true"].append(rule(values, number))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    head = ["runs", "truth"]
    head += [
        f"{rule}: {what} reproduced" for rule in ("before", "now") for what in ("false", "true")
    ]
    rows = []
    for n in COUNTS:
        for name, shape in SHAPES.items():
            row = [str(n), name]
            for rule in (before, now):
                found = said(rule, shape, n, given.draws, given.seed)
                row += [f"{100 * np.mean(np.array(found[k]) == 'in'):.1f} %" for k in found]
            open_ = np.mean(np.array(found["true"]) == "open")
            rows.append([*row, f"{100 * open_:.1f} %"])
    print(tabulate(rows, [*head, "now: true inconclusive"], "pipe"))
    print(f"\n{given.draws} truths in each row, margin {100 * MARGIN:g} points.")


if __name__ == "__main__":
    main()
