"""How near federated rounds come to what the machine can do on the same networks.

The limit L is the best centralised training found in the same run: large batches, every core, both
memory layouts, no federation. A pass over all clients' data is set against the best plain pass.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from benchmarks.jobs import ROOT
from benchmarks.ratios import Ratio, in_turns, ratio, seconds
from torch import nn
from torch.nn import functional as F

from fedsieve import rounds
from fedsieve.configfiles import read_configuration
from fedsieve.engine import federation
from fedsieve.engine.holdings import Holdings
from fedsieve.engine.models import initial_model
from fedsieve.features import precision, scores
from fedsieve.records import Dataset, keeping
from fedsieve.rounds import Defense, Federation, Sampling
from fedsieve.screening import screen
from fedsieve.settings import with_common

TABLE_V = {"use": "cnn_bn", "blocks": [[32, 32], [64, 64], [128, 128]], "kernel": 3}
TABLE_V |= {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
NETS: dict[str, dict[str, Any]] = {
    "mnist": {
        "model": {"use": "cnn2", "channels": [32, 64], "hidden": 0},
        "shape": (1, 28, 28),
        "cohort": 8,
        "steps": 8,
        "batch": 64,
    },
    "fashion": {
        "model": {"use": "cnn_bn"},
        "shape": (1, 28, 28),
        "cohort": 10,
        "steps": 25,
        "batch": 32,
    },
    "cifar": {"model": TABLE_V, "shape": (3, 32, 32), "cohort": 10, "steps": 5, "batch": 32},
    "resnet18": {
        "model": {"use": "resnet18"},
        "shape": (1, 28, 28),
        "cohort": 4,
        "steps": 16,
        "batch": 64,
    },
}
"""Networks of the two papers with rounds such as theirs, though shorter where clients hold much."""

CLASSES = tuple("0123456789")
LARGE_BATCHES = (512, 1024)
PASS_CHUNKS = (64, 128, 256)


def random_data(shape: tuple[int, ...], n: int) -> Dataset:
    """Images of noise."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
    return Dataset(images, rng.integers(0, len(CLASSES), n), CLASSES)


def random_federation(
    net: dict[str, Any], clients: int, per_client: int, workers: int
) -> Federation:
    """A federation on random data."""
    data = random_data(net["shape"], clients * per_client)
    rows = np.array_split(np.arange(len(data.labels)), clients)
    local = {"epochs": 1, "steps": net["steps"], "batch_size": net["batch"], "lr": 0.01}
    return federation.build(
        Holdings(data, data, rows, frozenset()),
        {"model": net["model"], "local": local},
        Defense({"use": "fedavg"}),
        Sampling(cohort=net["cohort"]),
        seed=0,
        device=torch.device("cpu"),
        workers=workers,
    )


def federated(net: dict[str, Any], workers: int) -> Callable[[], float]:
    """Function that trains a round and returns images per second."""
    fed = random_federation(net, net["cohort"], net["steps"] * net["batch"], workers)
    state = rounds.start(fed, keeping(np.ones(len(fed.data.labels), bool)))

    def run() -> float:
        images = net["cohort"] * net["steps"] * net["batch"]
        return images / seconds(rounds.federated_round, fed, state)

    run()
    return run


def centralised(
    net: dict[str, Any], batch: int, layout: torch.memory_format
) -> Callable[[], float]:
    """Function that trains a few large batches on every core and returns images per second."""
    data = random_data(net["shape"], batch)
    model = initial_model(net["model"], data, 0).to(memory_format=layout)
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    parameters = list(model.parameters())
    steps = max(2, net["cohort"] * net["steps"] * net["batch"] // batch)

    def run() -> float:
        begun = time.perf_counter()
        for _ in range(steps):
            pixels = images.float().div_(127.5).sub_(1).contiguous(memory_format=layout)
            with precision(model, pixels.device):
                logits = model(pixels)
            gradients = torch.autograd.grad(F.cross_entropy(logits.float(), labels), parameters)
            with torch.no_grad():
                torch._foreach_add_(parameters, gradients, alpha=-0.01)
        return steps * batch / (time.perf_counter() - begun)

    model.train()
    return run


def engine(turns: int, cores: int, *, bf16: bool, names: list[str]) -> list[Ratio]:
    """Federated rounds over the limit L, for each network."""
    found = []
    for name in names:
        net = NETS[name] | {"model": NETS[name]["model"] | {"bf16": bf16}}
        torch.set_num_threads(cores)
        layouts = (torch.contiguous_format, torch.channels_last)
        large = [centralised(net, batch, layout) for batch in LARGE_BATCHES for layout in layouts]
        ours, *others = in_turns(turns, federated(net, cores), *large)
        limits = [max(rates) for rates in zip(*others, strict=True)]
        ratios = [a / b for a, b in zip(ours, limits, strict=True)]
        bound = 0.85 if bf16 else 0.75 if name == "resnet18" else 0.9
        note = f"{np.median(ours):.0f} of {np.median(limits):.0f} images/s"
        title = f"{name}{', bf16' if bf16 else ''}: federated round / L"
        found.append(ratio(title, ratios, f">= {bound}", note))
    return found


def passes(turns: int, name: str, clients: int, per_client: int) -> Ratio:
    """Data quality of all clients over the best plain pass over the same images."""
    torch.set_num_threads(1)
    fed = random_federation(NETS[name], clients, per_client, 1)
    spec = {"use": "mcdfl"} if name == "fashion" else {"use": "mcdfl", "hidden": 512}
    from_start = rounds.start(fed, keeping(np.ones(len(fed.data.labels), bool)))
    state = rounds.fresh(spec, fed.model, clients, 0)

    asked = spec, fed.model, from_start.values, state, fed.data, fed.rows, len(CLASSES)
    screened = partial(seconds, screen, *asked)
    plain = [partial(seconds, _plain, fed.model, fed.data.images, n) for n in PASS_CHUNKS]
    scores(fed.model, fed.data.images[:500])
    ours, *others = in_turns(turns, screened, *plain)
    best = [min(seconds) for seconds in zip(*others, strict=True)]
    ratios = [a / b for a, b in zip(ours, best, strict=True)]
    note = f"{np.median(ours):.2f} s and {np.median(best):.2f} s, {len(fed.data.labels)} images"
    return ratio(
        f"{name}: data quality of {clients} clients / a plain pass", ratios, "<= 1.15", note
    )


def schedules(turns: int) -> list[Ratio]:
    """Runs that screen all clients before some rounds over runs that never do.

    The limit is for the paper's 200 rounds.
    """
    plans = {}
    common = read_configuration(ROOT / "config/common.yaml")
    limits = (("mcdfl", "mcdfl-plus-200", "<= 1.3"), ("mcdfl-quick", "mcdfl-plus", ""))
    for name, label, limit in limits:
        config = with_common(read_configuration(ROOT / f"config/{name}.yaml"), common)
        spec = config["defenses"][label]["detect"]
        times = len(spec.pop("before_rounds"))
        plans[times, next(iter(config["tasks"].values()))["rounds"]] = limit
    fed = random_federation(NETS["fashion"], 100, 600, 1)
    state = rounds.start(fed, keeping(np.ones(len(fed.data.labels), bool)))
    memory = rounds.fresh(spec, fed.model, 100, 0)

    asked = spec, fed.model, state.values.clone(), memory, fed.data, fed.rows, len(CLASSES)
    rounds.federated_round(fed, state)
    training = partial(seconds, rounds.federated_round, fed, state)
    a, b = in_turns(turns, training, partial(seconds, screen, *asked))
    note = f"a round {np.median(a):.2f} s, a screening {np.median(b):.2f} s, one worker"
    found = []
    for (times, n), limit in plans.items():
        ratios = [1 + times * y / (n * x) for x, y in zip(a, b, strict=True)]
        title = f"mcdfl_plus, {times} screenings in {n} rounds / FedAvg"
        found.append(ratio(title, ratios, limit, note))
    return found


def _plain(model: nn.Module, images: torch.Tensor, chunk: int) -> None:
    """A forward pass and nothing else."""
    model.eval()
    with torch.inference_mode():
        for part in images.split(chunk):
            model(part.float().div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last))


def workers_agree(cores: tuple[int, ...] = (1, 2, 4)) -> bool:
    """Whether a round gives the same bytes for any number of workers."""
    results = []
    for workers in cores:
        fed = random_federation(NETS["fashion"] | {"steps": 2}, 10, 64, workers)
        state = rounds.start(fed, keeping(np.ones(len(fed.data.labels), bool)))
        results.append(rounds.federated_round(fed, state)[0].values)
    return all(torch.equal(results[0], other) for other in results)
