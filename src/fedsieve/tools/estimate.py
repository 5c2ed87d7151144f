"""Say what a configuration still has to run: jobs, hours on this machine, disk, what is done."""

import os
import re
import shlex
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from fedsieve import ancestry, forecast
from fedsieve import device as devices
from fedsieve.ancestry import Job
from fedsieve.errors import InputError
from fedsieve.forecast import Size

UNATTACKED = '{"use": "unattacked"}'
"""What a job without an attack of its own predicts beside the test set: nothing."""

_DATA = re.compile(r"(^|/)results/[^/ ]+/data\.npz$")
_PARTITIONED = re.compile(r"results/[^/ ]+/[^/ ]+/seed\d+")


def estimate(*, configfile: Sequence[Path] = (), cores: int = 0, device: str = "auto") -> None:
    """Print the jobs that a configuration still has to run, their hours, and the disk they need.

    Seconds and bytes are those of like jobs that have run in this folder. What nothing is known
    of is timed for a moment: a minute or so for a grid. The size of the data matters, so data
    sets that are missing are made first, as Snakemake would.

    Args:
        configfile: The configuration; that of the Snakefile by default.
        cores: What ``snakemake --cores`` will be given; all of this machine's by default.
        device: auto, cpu or cuda.
    """
    cores = cores or os.cpu_count() or 1
    everything = ancestry.planned([], configfile, options=["--forceall"])
    _make_data(everything, configfile)
    todo = [job for job in ancestry.planned([], configfile) if job.command]
    found = _costs(todo, _clients(everything), device)
    _print(found, Counter(job.rule for job in everything))
    wall = found["wall"].sum() / cores
    disk = _bytes(found["bytes"].sum())
    print(f"\n{len(todo)} jobs to run: about {_span(wall)} on {cores} cores; {disk} of disk")


def _make_data(jobs: Sequence[Job], configfiles: Sequence[Path]) -> None:
    """Have Snakemake make the data sets that are missing."""
    wanted = {path for job in jobs if (path := _data(job))}
    missing = [path for path in sorted(wanted) if not path.is_file()]
    if not missing:
        return
    print(f"making {', '.join(map(str, missing))} first, to know how large they are", flush=True)
    command = ancestry.snakemake(missing, configfiles, "--cores", "1", "--quiet", "all")
    if subprocess.run(command, check=False).returncode:
        raise InputError(_failure(next((p for p in missing if not p.is_file()), missing[0])))


def _failure(data: Path) -> str:
    """Why a data set could not be made: the end of the log of the job that failed."""
    log = data.with_name("data.log" if data.with_name("source.json").is_file() else "fetch.log")
    said = log.read_text(encoding="utf-8").strip().splitlines() if log.is_file() else []
    ending = "\n".join([f"{log} ends with", *said[-3:]]) if said else "what it says is above"
    return f"{data}: Snakemake could not make it; {ending}"


def _clients(jobs: Sequence[Job]) -> dict[str, int]:
    """Number of clients below each ``results/TASK/PARTITION/seedN``."""
    return {
        place[0]: int(ancestry.settings(job)["n-clients"])
        for job in jobs
        if job.rule == "partition" and (place := _PARTITIONED.search(job.output))
    }


def _costs(jobs: Sequence[Job], clients: dict[str, int], device: str) -> pd.DataFrame:
    """A row per job: rule, seconds of a core, also with Snakemake's own, and bytes."""
    unit, where = forecast.startup(), devices.choose(device)
    past = forecast.past(ancestry.done())
    rows = []
    for job in jobs:
        size = _size(job, clients)
        took, wrote = forecast.known(past.seconds, job), forecast.known(past.sizes, job)
        took = forecast.seconds(job, size, unit, where) if took is None else took
        wrote = forecast.written(job, size) if wrote is None else wrote
        rows.append((job.rule, took, took + unit * forecast.OVERHEAD, wrote))
    return pd.DataFrame(rows, columns=["rule", "seconds", "wall", "bytes"])


def _size(job: Job, clients: dict[str, int]) -> Size | None:
    """How much data a job works on; None for one that works on no data set."""
    data, place = _data(job), _PARTITIONED.search(job.output)
    if data is None:
        return None
    attack = ancestry.settings(job).get("attack", UNATTACKED)
    return forecast.size(data, attack, clients[place[0]] if place else 1)


def _data(job: Job) -> Path | None:
    """The data set that a job works on, or makes."""
    named = (word for word in shlex.split(job.command) if _DATA.search(word))
    return next(map(Path, named), None)


def _print(found: pd.DataFrame, all_jobs: Counter[str]) -> None:
    """A row per rule, the longest first."""
    rows = [
        (
            rule,
            all_jobs[str(rule)] - len(jobs),
            len(jobs),
            jobs["seconds"].sum(),
            jobs["bytes"].sum(),
        )
        for rule, jobs in found.groupby("rule")
    ]
    rows.sort(key=lambda row: -row[3])
    shown = [(*row[:3], _span(row[3]), _bytes(row[4])) for row in rows]
    head = ["rule", "done", "to run", "time of a core", "disk"]
    print(tabulate(shown, head, colalign=["left"] + ["right"] * 4))


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _bytes(count: float) -> str:
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"
