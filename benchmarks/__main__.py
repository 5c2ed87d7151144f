"""Measure FedSieve on this machine: ratios against stated limits, made in one run.

Usage: python -m benchmarks [--quick] [--only PART ...] [--json FILE]

The whole demo on one core and on all takes as long as the rest, and so do 2,000 tiny jobs; both run
only if asked for.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path

import torch
from benchmarks import engine, jobs, scaling
from benchmarks.ratios import Ratio, record, table

MODELS = ["mnist", "fashion", "cifar", "resnet18"]
DEFAULT = ("engine", "bf16", "passes", "starts", "grid", "scaling", "side", "clustering", "files")


def parts(*, quick: bool) -> dict[str, Callable[[], list[Ratio]]]:
    """What can be measured."""
    turns, cores = (2 if quick else 3), os.cpu_count() or 1
    models = MODELS[1:2] if quick else MODELS
    return {
        "engine": lambda: engine.engine(turns, cores, bf16=False, names=models),
        "bf16": lambda: engine.engine(turns, cores, bf16=True, names=models),
        "passes": lambda: [
            engine.passes(turns, "fashion", 100, 60 if quick else 200),
            *([] if quick else [engine.passes(3, "cifar", 100, 50)]),
            *engine.schedules(turns),
        ],
        "starts": lambda: jobs.starts(turns),
        "grid": lambda: [
            *jobs.grid(200, run=not quick),
            *jobs.grid(500, run=False),
            *jobs.grid(2000, run=False),
        ],
        "scaling": lambda: [] if quick else scaling.growth(),
        "side": lambda: [scaling.side_by_side(turns)],
        "clustering": lambda: scaling.clustering(turns),
        "files": lambda: scaling.files(turns),
        "jobs": lambda: jobs.grid(2000, run=True),
        "demo": lambda: [jobs.scaling()],
    }


def main() -> None:
    """Print the figures as they come, then all of them as a table; write JSON if asked."""
    reading = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    reading.add_argument("--quick", action="store_true", help="fewer turns and networks: a minute")
    reading.add_argument("--only", nargs="*", choices=list(parts(quick=True)), default=[])
    reading.add_argument("--json", type=Path, help="file to write the figures to")
    asked = reading.parse_args()
    found: list[Ratio] = []
    for name, measure in parts(quick=asked.quick).items():
        if name in (asked.only or DEFAULT):
            print(f"measuring {name} ...", flush=True)
            part = measure()
            print(table(part), flush=True)
            found += part
            if asked.json:
                asked.json.write_text(
                    json.dumps({"figures": record(found)}, indent=1), encoding="utf-8"
                )
    same = engine.workers_agree()
    print(f"\n{table(found)}\n\nthe same bytes for 1, 2 and 4 workers: {same}")
    print(f"torch {torch.__version__}, {platform.machine()}, {os.cpu_count()} cores")
    if asked.json:
        asked.json.write_text(
            json.dumps({"figures": record(found), "same_bytes": same}, indent=1), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
