"""Run the programs of ``benchmarks.peers``: time, memory of all their processes, what they tell."""

import contextlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from benchmarks.peer_work import Work

ROOT = Path(__file__).parents[1]
EVERY = 1.0
"""Seconds between two looks at the memory, which cost a core some 7 ms for a process with torch."""

UNSET = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables that would give a program other threads than its own defaults."""

SET = {"FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0"}
"""Peers would otherwise write to their makers."""


class RunError(Exception):
    """A program did not do its work."""


def alike(_number: int) -> dict[str, str]:
    """No variables that tell a program's processes apart."""
    return {}


@dataclass(frozen=True)
class Program:
    """What to run; ``processes`` start side by side, each with variables by its number."""

    name: str
    peer: str
    python: str
    module: str
    arguments: tuple[str, ...] = ()
    processes: int = 1
    variables: Callable[[int], dict[str, str]] = alike


@dataclass(frozen=True)
class Run:
    """What a program did."""

    seconds: list[float]
    """Of each round."""
    images: list[int]
    """Trained on in each round."""
    wall: float
    """Seconds from start to end."""
    memory: float
    """Peak, MB."""
    versions: dict[str, str]

    @property
    def steady(self) -> float:
        """Seconds of a round after the first."""
        return statistics.median(self.seconds[1:])


def run(program: Program, work: Work, limit: float) -> Run:
    """Run a program to its end.

    Raises:
        RunError: if it fails, takes longer than ``limit`` seconds, or does not tell of all rounds.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        begun = time.perf_counter()
        started = [start(program, work, number, folder) for number in range(program.processes)]
        memory = watched(started, begun + limit)
        wall = time.perf_counter() - begun
        if any(process.wait() for process in started):
            raise RunError(
                complaint(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.err")))
            )
        texts = [path.read_text(encoding="utf-8") for path in folder.glob("*.out")]
    versions, seconds, images = told(texts, work.rounds)
    return Run(seconds, images, wall, memory / 1e6, versions)


def start(program: Program, work: Work, number: int, folder: Path) -> psutil.Popen:
    """Start one process of a program, its output in ``folder``."""
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    path = {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "src")))}
    variables = kept | path | SET | {"FLWR_HOME": str(folder)} | program.variables(number)
    command = [program.python, "-m", program.module, json.dumps(asdict(work)), *program.arguments]
    with (
        (folder / f"{number}.out").open("w", encoding="utf-8") as out,
        (folder / f"{number}.err").open("w", encoding="utf-8") as err,
    ):
        try:
            return psutil.Popen(command, cwd=folder, env=variables, stdout=out, stderr=err)
        except OSError as error:
            raise RunError(str(error)) from error


def watched(started: list[psutil.Popen], until: float) -> int:
    """Wait for processes, and end whatever they leave behind; if one fails, the others, too.

    Returns:
        Most bytes that they and their children had at once.

    Raises:
        RunError: if they are not done by ``until`` on the clock.
    """
    peak, alive, seen = 0, started, set(started)
    try:
        while alive:
            now = family(alive)
            seen |= set(now)
            peak = max(peak, sum(map(memory_of, now)))
            if time.perf_counter() > until:
                raise RunError("took too long")
            ended, alive = psutil.wait_procs(alive, timeout=EVERY)
            if any(process.wait() for process in ended):
                break
    finally:
        for process in seen:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(started)
    return peak


def family(parents: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Processes and all their children."""
    found = []
    for parent in parents:
        with contextlib.suppress(psutil.NoSuchProcess):
            found += [parent, *parent.children(recursive=True)]
    return found


def memory_of(process: psutil.Process) -> int:
    """Bytes of a process, those that it shares divided among the sharers; 0 if it has ended."""
    try:
        return process.memory_full_info().pss
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0


def told(texts: Iterable[str], rounds: int) -> tuple[dict[str, str], list[float], list[int]]:
    """Read what the processes of a program printed, among whatever else they did.

    Returns:
        Versions, and of each round the seconds of its slowest process and the images of all.

    Raises:
        RunError: if a round is missing.
    """
    versions: dict[str, str] = {}
    seconds, images = [0.0] * rounds, [0] * rounds
    for text in texts:
        for line in (json.loads(line) for line in text.splitlines() if line.startswith('{"')):
            versions |= line.get("versions", {})
            if "round" in line:
                at = line["round"] - 1
                seconds[at] = max(seconds[at], line["seconds"])
                images[at] += line["images"]
    if not all(seconds):
        raise RunError(f"told of {sum(map(bool, seconds))} of {rounds} rounds")
    return versions, seconds, images


def complaint(errors: Iterable[str]) -> str:
    """The last line of the first text that has any."""
    return next((text.strip().splitlines()[-1] for text in errors if text.strip()), "failed")
