"""Measure CUDA graphs on this machine's card: a round's local training with and without them.

Usage: python -m benchmarks.graphs [--turns 5] [--only mnist fashion cifar resnet18] [--dry-run]

Each client's last batch is smaller than the others, so that the step beside the graph runs, too.
The weights of both are compared, and plain training with itself: a card that does not repeat its
own bytes says nothing about graphs. A dry run goes the same way on the CPU without capturing.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from benchmarks.engine import NETS, random_data
from benchmarks.ratios import Ratio, in_turns, ratio, table
from torch import Tensor

from fedsieve import device as devices
from fedsieve import graphs
from fedsieve.engine.models import initial_model
from fedsieve.local import Sgd, Train, TrainingData, Workers, batches, train_client
from fedsieve.vectors import flatten


def training(net: dict[str, Any], device: torch.device, train: Train) -> Callable[[], Tensor]:
    """Function that trains a cohort on images of noise and returns the clients' weights."""
    per_client = net["steps"] * net["batch"] + net["batch"] // 2
    data = random_data(net["shape"], net["cohort"] * per_client)
    model = initial_model(net["model"], data, 0).to(device)
    starts = flatten(model).expand(net["cohort"], -1)
    rows = np.split(np.arange(len(data.labels)), net["cohort"])
    held, workers = TrainingData.of(data, device), Workers([model], train)
    sgd = Sgd(epochs=1, batch_size=net["batch"], lr=0.01, momentum=0.9)

    def run() -> Tensor:
        steps = [batches(own, sgd, np.random.default_rng(c)) for c, own in enumerate(rows)]
        return workers.train(starts, held, steps, sgd)[0]

    return run


def taken(run: Callable[[], Tensor], device: torch.device) -> float:
    """Seconds until the weights are there."""
    begun = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begun


def compared(
    name: str, net: dict[str, Any], device: torch.device, capture: graphs.Capture, turns: int
) -> Ratio:
    """How many times as fast graphs are on a network, and whether the weights are the same."""
    plain, graphed = (
        training(net, device, train) for train in (train_client, graphs.recorder(capture))
    )
    wanted, found = plain(), graphed()
    repeats = "yes" if torch.equal(wanted, plain()) else "NO"
    same = "yes" if torch.equal(wanted, found) else f"NO, {(wanted - found).abs().max():.1e} off"
    times = in_turns(turns, partial(taken, plain, device), partial(taken, graphed, device))
    n = net["cohort"] * (net["steps"] + 1)
    without, with_them = (f"{1000 * statistics.median(each) / n:.2f}" for each in times)
    note = f"{without} and {with_them} ms a step; the same bytes: {same}; plain repeats: {repeats}"
    ratios = [a / b for a, b in zip(*times, strict=True)]
    return ratio(f"{name}: plain / by graphs", ratios, note=note)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line a network."""
    reading = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    reading.add_argument("--turns", type=int, default=5)
    reading.add_argument("--only", nargs="*", choices=list(NETS), default=list(NETS))
    reading.add_argument("--dry-run", action="store_true", help="two short clients on the CPU")
    asked = reading.parse_args(arguments)
    device = devices.choose("cpu" if asked.dry_run else "auto")
    if device.type == "cpu" and not asked.dry_run:
        print("no card: nothing to measure; --dry-run goes through the motions on the CPU")
        return
    smaller = {"cohort": 2, "steps": 2, "batch": 8} if asked.dry_run else {}
    capture = (lambda step, _: step) if asked.dry_run else graphs.captured
    nets = {name: NETS[name] | smaller for name in asked.only}
    print(table([compared(k, net, device, capture, asked.turns) for k, net in nets.items()]))
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else "dry run on the CPU"
    print(f"\n{where}; torch {torch.__version__}, CUDA {torch.version.cuda}")


if __name__ == "__main__":
    main()
