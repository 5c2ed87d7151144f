"""What a training job will cost: its parts timed for a moment, then counted.

Random images of the right shape go through the federation that the job would build, twice: with
few samples and SGD steps, and with more. From the two follow what a step, a sample screened or
judged and a test image cost, and what each part costs however little there is to do.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fedsieve import rounds
from fedsieve.engine import federation
from fedsieve.engine.holdings import Holdings
from fedsieve.features import CHUNK, predict
from fedsieve.records import Dataset, keeping
from fedsieve.rounds import Defense, Federation, Record, Sampling

STEPS = (1, 4)
"""SGD steps, and batches that a client holds, of the two runs."""

LEAST_SAMPLES = 10
"""A sanitizer cannot cluster fewer samples of a client."""


@dataclass(frozen=True)
class Size:
    """How much data a scenario has."""

    train: int
    test: int
    """Test images and those of the attack's probes: all that is predicted after a round."""
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    multi_label: bool
    clients: int


@dataclass(frozen=True)
class Line:
    """Seconds that grow with an amount: ``fixed + slope * amount``."""

    fixed: float
    slope: float

    @classmethod
    def through(cls, low: tuple[float, float], high: tuple[float, float]) -> "Line":
        """Fit two points (amount, seconds); noise must not make it fall, or start below zero."""
        slope = max((high[1] - low[1]) / (high[0] - low[0]), 0.0)
        return cls(max(low[1] - slope * low[0], 0.0), slope)

    def at(self, amount: float) -> float:
        """Seconds for an amount."""
        return self.fixed + self.slope * amount


@dataclass(frozen=True)
class Pace:
    """Seconds of the parts of a training job on this machine."""

    round: Line
    """By SGD steps of a client: the whole cohort's training, and the aggregation."""
    screen: Line
    """By samples of all clients: one screening by the detector."""
    judge: list[Line]
    """By samples of all clients: each judgement of the sanitizer."""
    image: float
    """One test image."""


def training(
    task: Mapping[str, Any],
    defense: Mapping[str, Any],
    sanitizer: Mapping[str, Any],
    size: Size,
    device: torch.device,
) -> float:
    """Seconds that a training job computes, start-up apart, with one worker.

    On a CPU these are seconds of a core that the job has for itself: other work on the machine
    while the parts are timed does not lengthen them.

    Args:
        task, defense, sanitizer: As ``fedsieve.stages.train`` takes them.
        size: Of the data.
        device: Where to time it.
    """
    local = task["local"]
    held = size.train / size.clients
    steps = local.get("steps") or local["epochs"] * -(-held // local["batch_size"])
    clock, processor = time.perf_counter(), time.process_time()
    found = pace(task, defense, sanitizer, size, device)
    own = (time.process_time() - processor) / (time.perf_counter() - clock)
    return total(task, defense, size, steps, found) * (min(own, 1.0) if device.type == "cpu" else 1)


def total(
    task: Mapping[str, Any],
    defense: Mapping[str, Any],
    size: Size,
    steps: float,
    found: Pace,
) -> float:
    """Count a job's parts by their pace; ``steps`` are those of a client in a round."""
    n = task["rounds"]
    tests = n // task.get("tested_every", 1) + (n % task.get("tested_every", 1) > 0)
    images = size.test
    if task.get("local_accuracy", False):
        images += task["cohort"] * (size.train + size.test) / size.clients
    wanted = defense["detect"].get("before_rounds", range(1, n + 1)) if "detect" in defense else []
    screenings = sum(number <= n + 1 for number in wanted)
    return (
        n * found.round.at(steps)
        + tests * images * found.image
        + screenings * found.screen.at(size.train)
        + sum(line.at(size.train) for line in found.judge)
    )


def pace(
    task: Mapping[str, Any],
    defense: Mapping[str, Any],
    sanitizer: Mapping[str, Any],
    size: Size,
    device: torch.device,
) -> Pace:
    """Time the parts of a training job."""
    views = [tuple(layers) for _, layers in sanitizer.get("judgements", [])]
    runs = [_timed(task, defense, sanitizer, size, views, steps, device) for steps in STEPS]
    amounts = [len(fed.data.labels) for fed, _ in runs]

    def line(part: str, at: int, by: Sequence[int]) -> Line:
        return Line.through(
            *((n, run[1][at].seconds[part]) for n, run in zip(by, runs, strict=True))
        )

    train = line("train", 1, STEPS)
    rest = min(sum(run[1][1].seconds[part] for part in ("aggregate", "learn")) for run in runs)
    return Pace(
        Line(train.fixed + rest, train.slope),
        line("screen", 1, amounts),
        [line("judge", at, amounts) for at in range(1, 1 + len(views))],
        _image(runs[-1][0], size.multi_label),
    )


def _timed(
    task: Mapping[str, Any],
    defense: Mapping[str, Any],
    sanitizer: Mapping[str, Any],
    size: Size,
    views: list[tuple[str, ...]],
    steps: int,
    device: torch.device,
) -> tuple[Federation, list[Record]]:
    """Records of a few rounds: the first does not count, each other one times a judgement."""
    local = {**task["local"], "steps": steps, "epochs": 1}
    data = _random(size, max(steps * local["batch_size"], LEAST_SAMPLES))
    rows = np.array_split(np.arange(len(data.labels)), size.clients)
    detect = {k: v for k, v in defense.get("detect", {}).items() if k != "before_rounds"}
    fed = federation.build(
        Holdings(data, data, rows, frozenset()),
        {**task, "local": local},
        Defense(
            aggregate=defense["aggregate"],
            detect=detect or None,
            sanitize=sanitizer.get("method"),
            judgements=dict(enumerate(views, 2)),
            screenings=frozenset({2}),
        ),
        Sampling(cohort=task["cohort"]),
        seed=0,
        device=device,
        workers=1,
    )
    state = rounds.start(fed, keeping(np.ones(len(data.labels), bool)))
    return fed, [record for _, record in rounds.run(fed, state, max(2, 1 + len(views)))]


def _random(size: Size, per_client: int) -> Dataset:
    rng = np.random.default_rng(0)
    n = per_client * size.clients
    images = rng.integers(0, 256, (n, *size.shape), dtype=np.uint8)
    labels = rng.integers(0, len(size.classes), n)
    coded = np.eye(len(size.classes), dtype=np.uint8)
    return Dataset(images, coded[labels] if size.multi_label else labels, size.classes)


def _image(fed: Federation, multi_label: bool) -> float:
    """Seconds of predicting one image, the better of three times."""
    images, seconds = fed.data.images[: 8 * CHUNK], []
    for _ in range(3):
        begun = time.perf_counter()
        predict(fed.model, images, multi_label=multi_label)
        seconds.append(time.perf_counter() - begun)
    return min(seconds) / len(images)
