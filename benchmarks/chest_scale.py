"""Time the workflow's jobs on an archive of ChestMNIST's size, and measure their memory (Linux).

Usage: python benchmarks/chest_scale.py [--labels FILE] [--multi]

The images are noise with a pattern for each label, so the numbers need no download and say nothing
about accuracy. The jobs are those of a scenario of config/chest.yaml, one after another on one
thread, each by the command that the workflow runs; training stops after one round.
"""

import argparse
import json
import multiprocessing
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SIZES = {"train": 78_468, "val": 11_219, "test": 22_433}
FREQUENCIES = [0.102, 0.025, 0.118, 0.177, 0.051, 0.056, 0.012]
FREQUENCIES += [0.047, 0.042, 0.022, 0.023, 0.015, 0.029, 0.002]
"""Shares of ChestMNIST's training images that show each of the 14 findings."""

SPECS = {
    "single": {"use": "npz", "file": "chest.npz", "labels": "single", "first_labels": 8},
    "multi": {"use": "npz", "file": "chest.npz", "labels": "multi"},
    "iid": {"use": "iid"},
    "attack": {"use": "hybrid", "source": 4, "target": 5, "backdoor_target": 0},
    "model": {"use": "resnet18"},
    "sanitizer": {"use": "cluster_majority", "n_clusters": 8, "vote": "global"},
    "none": {"aggregate": {"use": "fedavg"}},
    "task": {
        "model": {"use": "resnet18"},
        "local": {"epochs": 1, "batch_size": 32, "lr": 0.05, "momentum": 0.5, "weight_decay": 0},
        "warmup": {"rounds": 1, "steps": 20},
        "rounds": 1,
        "cohort": 8,
        "sampling": "stratified",
    },
}
SOURCE = "--dataset {dataset} --root . --receipt source.json"
HELD = "--data data.npz --clients clients.npz"
POISONED = f"{HELD} --poisoning poisoning.npz"
JOBS = {
    "fetch": SOURCE,
    "data": f"{SOURCE} --data data.npz",
    "partition": f"{HELD} --partition {{iid}} --n-clients 10 --seed 1",
    "poison": f"{POISONED} --attack {{attack}} --ratio 0.25 --seed 1",
    "warmup": f"{POISONED} --task {{task}} --seed 1 --encoder encoder --device cpu",
    "features": f"{POISONED} --encoder encoder --model {{model}} --layer layer1 --client 0"
    " --view view.npz --device cpu",
    "sanitize_client": "--view view.npz --layers layer1 --sanitizer {sanitizer} --client 0"
    " --exchange 0 --seed 1 --message message.npz --memory memory.npz --broadcast --remembered",
    "train": f"{POISONED} --keep --task {{task}} --attack {{attack}} --defense {{none}}"
    " --sanitizer '{{}}' --ratio 0.25 --seed 1 --code '' --model model --kept kept.npz"
    " --predictions predictions.npz --clients-log clients.csv --screened screened.npz"
    " --snapshots snapshots.safetensors --record run.json --device cpu",
}
SINGLE_LABEL = {"features", "sanitize_client"}
"""Jobs that multi-label data do not have: FDSD needs one label per image."""


def write_archive(path: Path, labels: Path | None, frequencies: list[float]) -> None:
    """Write images [samples, 28, 28] and 0/1 labels, given or drawn, in MedMNIST's layout."""
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    for split, size in SIZES.items():
        table = rng.random((size, len(frequencies))) < frequencies
        if labels:
            table = np.load(labels)[f"{split}_labels"] == 1
        images = rng.integers(0, 128, (len(table), 28, 28), np.uint8)
        for label, has in enumerate(table.T):
            images[has] += np.random.default_rng(label).integers(0, 32, (28, 28), np.uint8)
        arrays |= {f"{split}_images": images, f"{split}_labels": table.astype(np.uint8)}
    np.savez(path, **arrays)  # type: ignore[arg-type]


def measure(folder: Path, stage: str, flags: list[str]) -> tuple[float, float, float]:
    """Run a stage; return its wall seconds, its CPU seconds and its peak memory in MB."""
    command = [sys.executable, "-m", "fedsieve", stage, *flags]
    started = time.monotonic()
    job = subprocess.Popen(command, cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"})
    _, status, usage = os.wait4(job.pid, 0)
    if status:
        raise SystemExit(f"{stage} failed")
    seconds = time.monotonic() - started
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--labels", type=Path, help="npz with {train,val,test}_labels, 0 or 1")
    parser.add_argument("--frequencies", type=float, nargs="+", help="of labels that are drawn")
    parser.add_argument("--multi", action="store_true", help="all images and labels, no sanitizer")
    given = parser.parse_args()
    specs = SPECS | {"dataset": SPECS["multi" if given.multi else "single"]}
    quoted = {name: shlex.quote(json.dumps(spec)) for name, spec in specs.items()}
    rows = {}
    with tempfile.TemporaryDirectory() as name:
        archive = (Path(name) / "chest.npz", given.labels, given.frequencies or FREQUENCIES)
        # elsewhere, since a job's peak memory counts from that of its parent when it starts
        maker = multiprocessing.Process(target=write_archive, args=archive)
        maker.start()
        maker.join()
        for stage, flags in JOBS.items():
            if not (given.multi and stage in SINGLE_LABEL):
                rows[stage] = measure(Path(name), stage, shlex.split(flags.format(**quoted)))
    print("\n| job | wall s | CPU s | peak MB |\n| --- | ---: | ---: | ---: |")
    for stage, (wall, cpu, memory) in rows.items():
        print(f"| {stage} | {wall:.1f} | {cpu:.1f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
