"""How long jobs will take and what they will store: by those done before, else by calibration."""

import json
import re
import resource
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from snakemake.persistence import MetadataRecord

from fedsieve import ancestry, blocks, costs, registry
from fedsieve.ancestry import Job
from fedsieve.artifacts import read_data
from fedsieve.costs import Size
from fedsieve.features import MAX_FEATURES
from fedsieve.settings import plugin_spec

START = {
    "train": 1.15,
    "warmup": 1.15,
    "features": 1.15,
    "screen": 1.15,
    "floor": 1.2,
    "sanitize_client": 0.9,
    "sanitize_server": 0.9,
    "table": 0.8,
    "evaluate": 0.3,
    "poison": 0.15,
    "partition": 0.13,
    "oracle": 0.13,
    "keep": 0.12,
    "keep_client": 0.12,
}
"""What a job of a rule takes with next to no data, in imports of torch (measured on the demo)."""

DRAWING = 1.6
"""The same of the other rules, most of which draw."""

OVERHEAD = 0.07
"""What Snakemake itself does for each job, in imports of torch (measured on the demo)."""

FREE = {"seed", "ratio", "attack", "code", "after-round"}
"""Settings that a job's time hardly depends on."""

MODEL_RULES = ("train", "warmup", "screen", "client_times")
"""Rules whose time depends on their settings."""

SMALL = 30_000
"""Bytes that a job of another rule writes, for each of its clients; see ``written``."""

Key = tuple[str, ...]


@dataclass(frozen=True)
class Past:
    """Seconds and bytes of jobs that have run in this folder, by what makes jobs alike."""

    seconds: Mapping[Key, list[float]]
    sizes: Mapping[Key, list[float]]


def past(records: Iterable[MetadataRecord], folder: Path = Path()) -> Past:
    """Sort what is known of finished jobs."""
    seconds, sizes = defaultdict[Key, list[float]](list), defaultdict[Key, list[float]](list)
    for record in records:
        rule = blocks.base(record.rule or "")
        for key in likeness(rule, ancestry.settings(record), record.shellcmd or ""):
            seconds[key].append((record.endtime or 0) - (record.starttime or 0))
            sizes[key].append(_written(record, folder))
    return Past(seconds, sizes)


def likeness(rule: str, settings: Mapping[str, str], command: str) -> list[Key]:
    """Keys under which a job is like others, the closest first.

    Jobs that compute with a model for long are alike only with the same settings, on the same
    data; of others any of the same rule will do where there is none closer.
    """
    place = re.search(r"results/([^/ ]+)/", command)
    task = place[1] if place else ""
    rest = json.dumps({k: v for k, v in settings.items() if k not in FREE}, sort_keys=True)
    keys = [(rule, task, rest), (rule, task), (rule,)]
    return keys[:1] if rule in MODEL_RULES else keys


def known(found: Mapping[Key, list[float]], job: Job) -> float | None:
    """Median of the jobs that are most like this one."""
    keys = likeness(job.rule, ancestry.settings(job), job.command)
    return next((statistics.median(found[key]) for key in keys if key in found), None)


def seconds(job: Job, size: Size | None, unit: float, device: torch.device) -> float:
    """Seconds of a job that nothing is known of, by its rule and what it computes.

    Args:
        job: As planned.
        size: Of its data; None for a job that works on none.
        unit: Seconds that ``import torch`` takes on this machine.
        device: Where models are.
    """
    start = unit * START.get(job.rule, DRAWING)
    work = _WORK.get(job.rule)
    return start + (work(job, size, device) if work and size else 0.0)


def written(job: Job, size: Size | None) -> float:
    """Bytes that a job will write that nothing is known of."""
    if size is None or job.rule not in ("data", "features", "train"):
        return SMALL * _n_clients(job)
    pixels = float(torch.Size(size.shape).numel())
    if job.rule == "data":
        return (size.train + size.test) * pixels
    if job.rule == "features":
        return size.train / size.clients * MAX_FEATURES * 4 * _n_clients(job)
    task = _flag(job, "task")
    tests = task["rounds"] // task.get("tested_every", 1) + 1
    weights = _weights(json.dumps(task["model"]), size.shape, size.classes)
    kept = size.train * 2
    return weights * (1 + len(task.get("snapshots", []))) + tests * size.test + kept


def startup() -> float:
    """Seconds of processor time that a fresh interpreter takes to import torch.

    Processor time, since other work on the machine does not lengthen it; the better of two.
    """
    taken = []
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", "import torch"], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(taken)


@cache
def size(data: Path, attack: str, clients: int) -> Size:
    """Read how much data a scenario has; ``attack`` is its spec as JSON."""
    train, test = read_data(data)
    probes = registry.bind("attacks", json.loads(attack), "probe")(test)
    probed = sum(len(probe.images) for probe in probes.values())
    return Size(
        train=len(train.labels),
        test=len(test.labels) + probed,
        shape=train.images.shape[1:],
        classes=train.classes,
        multi_label=train.multi_label,
        clients=clients,
    )


def _train(job: Job, size: Size, device: torch.device) -> float:
    task, defense = _flag(job, "task"), _flag(job, "defense")
    defense = {key: defense[key] for key in ("aggregate", "detect") if key in defense}
    return _training(_text([task, defense, _flag(job, "sanitizer")]), size, device)


def _warmup(job: Job, size: Size, device: torch.device) -> float:
    task = _flag(job, "task")
    local = {**task["local"], "steps": task["warmup"]["steps"]}
    rounds = {"rounds": task["warmup"]["rounds"], "cohort": size.clients, "local": local}
    plain = {"aggregate": {"use": "fedavg"}}
    untested = {**task, **rounds, "tested_every": rounds["rounds"] + 1}
    return _training(_text([untested, plain, {}]), size, device)


def _screen(job: Job, size: Size, device: torch.device) -> float:
    local = {"epochs": 1, "batch_size": 32, "lr": 0.0}
    task = {"model": _flag(job, "model"), "cohort": 1, "rounds": 0, "local": local}
    detect = {**_flag(job, "detector"), "before_rounds": [1]}
    defense = {"aggregate": {"use": "fedavg"}, "detect": detect}
    return _training(_text([task, defense, {}]), size, device)


_WORK: dict[str, Callable[[Job, Size, torch.device], float]] = {
    "train": _train,
    "warmup": _warmup,
    "screen": _screen,
}


@cache
def _training(parts: str, size: Size, device: torch.device) -> float:
    """Time a training once for all jobs like it; task, defense and sanitizer are JSON."""
    task, defense, sanitizer = json.loads(parts)
    return costs.training(task, defense, sanitizer, size, device)


@cache
def _weights(model: str, shape: tuple[int, ...], classes: tuple[str, ...]) -> int:
    """Bytes of a model's weights."""
    spec = plugin_spec("models", json.loads(model))
    built = registry.bind("models", spec, "build")(shape, len(classes))
    return sum(4 * tensor.numel() for tensor in built.state_dict().values())


def _flag(job: Job, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ancestry.settings(job)[name])
    return found


def _n_clients(job: Job) -> int:
    """Clients that a job writes files of; one where it has no block of them."""
    return len(ancestry.settings(job).get("client", "0").split())


def _text(content: list[Any]) -> str:
    return json.dumps(content, sort_keys=True)


def _written(record: MetadataRecord, folder: Path) -> float:
    """Bytes of the files that a job's command names and did not read."""
    words = set(re.findall(r"results/\S+", record.shellcmd or "")) - set(record.input or [])
    return sum(path.stat().st_size for word in words if (path := folder / word).is_file())
