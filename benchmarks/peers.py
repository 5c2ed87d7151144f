"""Run the same federated work in FedSieve, pfl-research and Flower, and print peer / FedSieve.

Usage: python -m benchmarks.peers --install DIR
       python -m benchmarks.peers --pfl VENV --flower VENV [--rounds 5] [--turns 2] [--json FILE]

The work: noise of Fashion-MNIST's shape, 100 clients of 600 images, 10 a round, 25 steps of 32
images at learning rate 0.01, the network of MCDFL's Table III, in float32; averages weighted by
samples, no evaluation. FedSieve's program is its rounds, without the workflow around them. Peers
come twice: as they are by default, and with a client per core, by the means that they document.
Each has an environment of its own, made by --install. Memory is PSS, summed over the processes of
a run (Linux).
"""

import argparse
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path

from benchmarks.peer_runs import Program, Run, RunError, run
from benchmarks.peer_work import Work
from benchmarks.ratios import Ratio, ratio, record, table

OURS = "FedSieve"
PINS = {"pfl": "pfl[pytorch]==0.6.0", "flower": "flwr[simulation]==1.41.0"}
LIMITS = {
    "steady": {"pfl": ">= 1.5", "Flower": ">= 3"},
    "wall": {"pfl": ">= 2", "Flower": ">= 2"},
    "memory": {"pfl": ">= 1", "Flower": ">= 1"},
}
"""Of the ratios peer / FedSieve. What holds for every peer, and every way to run it, holds for the
best."""

TITLES = {"steady": "a steady round, s", "wall": "the whole run, s", "memory": "peak memory, MB"}


def programs(pfl: Path | None, flower: Path | None, cores: int) -> list[Program]:
    """FedSieve and the peers that have an environment."""
    found = [Program(OURS, OURS, sys.executable, "benchmarks.peer_fedsieve")]
    if pfl:
        means = ("pfl", str(pfl / "bin/python"), "benchmarks.peer_pfl")
        found.append(Program("pfl", *means))
        found.append(Program("pfl, a process per core", *means, (), cores, ranks(cores)))
    if flower:
        means = ("Flower", str(flower / "bin/python"), "benchmarks.peer_flower")
        found.append(Program("Flower", *means))
        found.append(Program("Flower, a client per core", *means, ("1",)))
    return found


def ranks(processes: int) -> Callable[[int], dict[str, str]]:
    """How pfl's processes find each other: at the address of the first, the others only count."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    shared = {"PFL_WORKER_ADDRESSES": ",".join([address] * processes), "OMP_NUM_THREADS": "1"}
    return lambda number: shared | {"PFL_WORKER_RANK": str(number)}


def in_turns(
    wanted: Sequence[Program], turns: int, measure: Callable[[Program], Run]
) -> tuple[dict[str, list[Run]], dict[str, str]]:
    """Run every program in each turn, so that a machine that slows down slows all.

    Returns:
        Runs of the programs that worked in every turn, and why the others did not.
    """
    runs: dict[str, list[Run]] = {program.name: [] for program in wanted}
    unable: dict[str, str] = {}
    for turn in range(1, turns + 1):
        for name, program in ((p.name, p) for p in wanted if p.name not in unable):
            print(f"turn {turn}: {name} ...", flush=True)
            try:
                runs[name].append(measure(program))
            except RunError as why:
                unable[name] = str(why)
    return {name: done for name, done in runs.items() if name not in unable}, unable


def unlike(runs: Mapping[str, Sequence[Run]]) -> dict[str, list[int]]:
    """Images a round of the programs that did not train on as many as FedSieve."""
    wanted = runs[OURS][0].images
    return {n: r.images for n, done in runs.items() for r in done if r.images != wanted}


def figures(peers: Mapping[str, str], runs: Mapping[str, Sequence[Run]]) -> list[Ratio]:
    """Ratios peer / FedSieve of each turn, against the limits.

    Args:
        peers: Of each program, the peer that it runs.
    """
    found = []
    for what, limits in LIMITS.items():
        ours = [getattr(done, what) for done in runs[OURS]]
        for name in (name for name in runs if name != OURS):
            theirs = [getattr(done, what) for done in runs[name]]
            ratios = [a / b for a, b in zip(theirs, ours, strict=True)]
            note = f"{statistics.median(theirs):.3g} and {statistics.median(ours):.3g}"
            title = f"{TITLES[what]}: {name} / {OURS}"
            found.append(ratio(title, ratios, limits[peers[name]], note))
    return found


def install(folder: Path) -> None:
    """Make an environment per peer, with FedSieve's version of torch; leave those that exist."""
    torch = f"torch=={version('torch').partition('+')[0]}"
    for name, pin in PINS.items():
        at = (folder / name).absolute()
        if at.exists():
            print(f"{at} exists; delete it to make it anew")
            continue
        venv.create(at, with_pip=True)
        made = subprocess.run([at / "bin/python", "-m", "pip", "install", "--quiet", pin, torch])
        if made.returncode:
            shutil.rmtree(at)
            print(f"{pin} cannot be installed here")
        else:
            print(f"made for --{name} {at}")


def compare(wanted: Sequence[Program], work: Work, turns: int, limit: float) -> dict[str, object]:
    """Run all, print the table, and return what to record."""
    runs, unable = in_turns(wanted, turns, partial(run, work=work, limit=limit))
    for name, why in unable.items():
        print(f"left out: {name}: {why}")
    if OURS in unable:
        sys.exit("nothing to compare with")
    if odd := unlike(runs):
        sys.exit(f"images a round: {runs[OURS][0].images} in {OURS}, but {odd}")
    found = figures({program.name: program.peer for program in wanted}, runs)
    print(f"\n{table(found)}\n\nimages a round, in all of them: {runs[OURS][0].images[0]}")
    for name, done in runs.items():
        print(f"{name}: {', '.join(f'{k} {v}' for k, v in done[0].versions.items())}")
    print(f"{platform.machine()}, {os.cpu_count()} cores")
    return {
        "figures": record(found),
        "left_out": unable,
        "runs": {name: [asdict(one) for one in done] for name, done in runs.items()},
        "work": asdict(work),
        "cores": os.cpu_count(),
    }


def main() -> None:
    """Make environments, or compare."""
    reading = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    reading.add_argument("--install", type=Path, metavar="DIR", help="make the environments")
    reading.add_argument("--pfl", type=Path, help="environment with pfl")
    reading.add_argument("--flower", type=Path, help="environment with flwr[simulation]")
    reading.add_argument("--rounds", type=int, default=5, help="2 or more; the first is warm-up")
    reading.add_argument("--quick", dest="rounds", action="store_const", const=2, help="2 rounds")
    reading.add_argument("--turns", type=int, default=2, help="runs of each program")
    reading.add_argument("--limit", type=float, default=1800, help="seconds that a run may take")
    reading.add_argument("--json", type=Path, help="file to write the figures to")
    asked = reading.parse_args()
    if asked.install:
        install(asked.install)
        return
    if not (asked.pfl or asked.flower) or asked.rounds < 2 or asked.turns < 1:
        reading.error("name --pfl or --flower (--install makes them), 2 rounds and a turn or more")
    wanted = programs(asked.pfl, asked.flower, os.cpu_count() or 1)
    found = compare(wanted, Work(rounds=asked.rounds), asked.turns, asked.limit)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
