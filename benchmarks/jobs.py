"""What the workflow costs beside computing: starts of stages, planning, and each job's overhead."""

import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import yaml
from benchmarks.ratios import Ratio, in_turns, ratio, seconds

ROOT = Path(__file__).parents[1]
LIGHT = ("partition", "keep", "oracle", "poison")
TORCH = ("train", "features", "screen")
REMEMBERING = """
import atexit, pathlib, runpy, sys
from fedsieve.provenance import peak_memory_mb
file = pathlib.Path(sys.argv.pop(1))
atexit.register(lambda: file.write_text(str(peak_memory_mb())))
runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
"""
"""Snakemake as ``-m snakemake`` runs it, that writes its own peak memory to a file at its end."""


def taken(*words: str, cwd: Path = ROOT) -> float:
    """Seconds of a command of this interpreter that must succeed."""
    command = [sys.executable, *words]
    return seconds(partial(subprocess.run, command, cwd=cwd, check=True, capture_output=True))


def starts(turns: int) -> list[Ratio]:
    """Seconds that a stage's imports take beyond the bare interpreter, or beyond torch's."""
    found = []
    for base, stages, bound in (("pass", LIGHT, 0.15), ("import torch", TORCH, 0.1)):
        for stage in stages:
            code = f"import fedsieve.stages.{stage}"
            a, b = in_turns(turns, lambda c=code: taken("-c", c), lambda c=base: taken("-c", c))
            extra = [x - y for x, y in zip(a, b, strict=True)]
            note = f"{statistics.median(a):.2f} s; {base}: {statistics.median(b):.2f} s"
            found.append(ratio(f"start of {stage} beyond `{base}`, s", extra, f"<= {bound}", note))
    helps = [taken("-m", "fedsieve", "--help") for _ in range(turns)]
    bare = [taken("-c", "pass") for _ in range(turns)]
    extra = [x - y for x, y in zip(helps, bare, strict=True)]
    found.append(ratio("`fedsieve --help` beyond the interpreter, s", extra, "<= 0.15"))
    return found


def copied(folder: Path) -> Path:
    """A copy of the repository to run in."""
    for part in ("workflow", "config", "envs", "profiles", "src"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", folder)
    return folder


def tiny_grid(seeds: int) -> dict[str, object]:
    """The demo with next to nothing to compute, and this many seeds."""
    config = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))
    config["tasks"]["digits"] |= {"rounds": 1, "cohort": 4, "max_samples": 100}
    grid = config["grids"]["demo"]
    grid |= {
        "attack": ["flip-3to2"],
        "defense": ["none", "krum"],
        "seed": list(range(1, seeds + 1)),
    }
    return config


def grid(n_jobs: int, *, run: bool) -> list[Ratio]:
    """Planning of a grid of about this many tiny jobs, and with ``run`` each job's overhead."""
    with tempfile.TemporaryDirectory() as folder:
        at = copied(Path(folder))
        (at / "config/tiny.yaml").write_text(
            yaml.safe_dump(tiny_grid(max(n_jobs // 9, 1))), encoding="utf-8"
        )
        asked = ("-m", "snakemake", "--configfile", "config/tiny.yaml")
        begun = time.perf_counter()
        plan = subprocess.run(
            [sys.executable, *asked, "-n"],
            cwd=at,
            check=True,
            capture_output=True,
            encoding="utf-8",
        )
        planned = time.perf_counter() - begun
        jobs = int(re.search(r"^total +(\d+)", plan.stdout + plan.stderr, re.M)[1])
        found = [ratio(f"planning {jobs} jobs, s", [planned])]
        if run:
            held = at / "memory"
            wanted = ("-c", REMEMBERING, str(held), *asked[2:], "--cores", "2", "--quiet", "all")
            whole = taken(*wanted, cwd=at)
            memory = f"main process {float(held.read_text(encoding='utf-8')):.0f} MB"
            again = taken(*wanted, cwd=at)
            title = f"running {jobs} tiny jobs on 2 cores, s a job"
            found.append(ratio(title, [whole / jobs], note=memory))
            found.append(ratio("running them again, with nothing to do, s", [again]))
        return found


def demo(cores: int) -> float:
    """Seconds of the whole demo."""
    with tempfile.TemporaryDirectory() as folder:
        asked = ("-m", "snakemake", "--configfile", "config/demo.yaml", "--quiet", "all")
        return taken(*asked, "--cores", str(cores), cwd=copied(Path(folder)))


def scaling() -> Ratio:
    """The demo on two cores over the demo on one."""
    one, two = demo(1), demo(2)
    return ratio("demo on 2 cores / on 1", [two / one], "<= 0.6", f"{two:.0f} s and {one:.0f} s")
