"""Time what a client does in a round, with a detector and without: MCDFL's Table II."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tabulate import tabulate
from torch import Tensor, nn

from fedsieve import device as devices
from fedsieve import screening
from fedsieve.artifacts import read_data, read_partition, write_text
from fedsieve.engine.models import initial_model
from fedsieve.features import scores
from fedsieve.local import LocalLoss, Sgd, TrainingData, batches, train_client
from fedsieve.records import Partition, View
from fedsieve.rng import stream
from fedsieve.vectors import State, bind

BATCH_SIZES = (8, 16, 32, 64, 128)
"""Those of the paper."""

REPEATS = 10


@dataclass(frozen=True)
class Bench:
    """A model on its device, and the clients whose rounds are timed."""

    model: nn.Module
    values: Tensor
    begin: Tensor
    data: TrainingData
    held: Partition
    n_classes: int
    seed: int


def client_times(
    *,
    data: Path,
    clients: Path,
    task: dict[str, Any],
    detector: dict[str, Any],
    seed: int,
    csv: Path,
    md: Path,
    device: str = "auto",
) -> None:
    """Write seconds of a client's round by batch size: training alone, and with a detector.

    With the detector a client's training has the detector's extra loss, and it reports on its
    data. The parts are timed in turns, so that a machine that slows down slows all, after a first
    turn that does not count. Like all times these are the machine's and do not repeat.

    Args:
        data, clients: The data set, and who holds it.
        task: ``model`` and ``local`` SGD (config ``tasks``), but for the batch size.
        detector: Plug-in and parameters (config ``defenses.*.detect``).
        seed: Seed of the run.
        csv: Written: a row per batch size and part, with n, mean and standard deviation.
        md: Written: the same as a table.
        device: auto, cpu or cuda.
    """
    torch.set_num_threads(1)
    train, _ = read_data(data)
    model = initial_model(task["model"], train, seed).to(devices.choose(device)).eval()
    values = bind(model)
    images = TrainingData.of(train, values.device)
    held, n_classes = read_partition(clients), len(train.classes)
    bench = Bench(model, values, values.clone(), images, held, n_classes, seed)
    state = screening.fresh(detector, model, held.n_clients, seed)
    state = screening.taught(detector, model, values, state, seed, 1)  # all its parts now work
    rows = [
        {"batch_size": batch_size, "part": part, "seconds": seconds}
        for batch_size in BATCH_SIZES
        for turn in range(REPEATS + 1)
        for part, seconds in _turn(bench, detector, state, task, batch_size, turn).items()
        if turn
    ]
    groups = pd.DataFrame(rows).groupby(["batch_size", "part"], sort=False)["seconds"]
    table = groups.agg(n="count", mean="mean", sd="std").reset_index()
    write_text(csv, table.to_csv(index=False))
    write_text(md, _markdown(table))


def _turn(
    bench: Bench,
    detector: dict[str, Any],
    state: State,
    task: dict[str, Any],
    batch_size: int,
    turn: int,
) -> dict[str, float]:
    """Seconds of each part of one client's round."""
    client = turn % bench.held.n_clients
    sgd = replace(Sgd(**task["local"]), batch_size=batch_size)
    loss = screening.function(detector, "local_loss")
    extra = (lambda net, labels: loss(net, labels, state)) if loss else None
    found = {
        "training": _seconds(partial(_train, bench, client, sgd, None)),
        "training with detector": _seconds(partial(_train, bench, client, sgd, extra)),
        "report": _seconds(partial(_report, bench, client, detector, state)),
    }
    return found | {"all with detector": found["training with detector"] + found["report"]}


def _train(bench: Bench, client: int, sgd: Sgd, extra: LocalLoss | None) -> None:
    bench.values.copy_(bench.begin)
    steps = batches(bench.held.rows(client), sgd, stream(bench.seed, "batches", client))
    train_client(bench.model, bench.data, steps, sgd, extra)


def _report(bench: Bench, client: int, detector: dict[str, Any], state: State) -> None:
    report = screening.function(detector, "report", n_classes=bench.n_classes)
    teach = screening.function(detector, "broadcast", n_classes=bench.n_classes)
    if report is None:
        return
    with torch.inference_mode():
        sent = teach(bench.model, state) if teach else {}
    own = bench.held.rows(client)
    said = {"logits": scores(bench.model, bench.data.images[own])}
    report(View(client, said, bench.data.labels[own].cpu().numpy(), bench.n_classes), sent)


def _seconds(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _markdown(table: pd.DataFrame) -> str:
    cells = zip(table["mean"], table["sd"], strict=True)
    shown = table.assign(text=[f"{mean:.3f} ± {sd:.3f}" for mean, sd in cells])
    wide = shown.pivot_table(
        index="part", columns="batch_size", values="text", aggfunc="first", sort=False
    )
    rows = wide.reset_index().to_numpy().tolist()
    text = tabulate(rows, ["batch size", *map(str, wide)], "pipe")
    n = f"mean ± standard deviation over {table['n'].max()} turns"
    return f"{text}\n\nSeconds of a client's round, {n}. MCDFL: Table II.\n"
