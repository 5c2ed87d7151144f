"""Find and hit the jobs of one run of Snakemake; no other process is ever touched."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import psutil
from tests.faults.tally import Event

Run = subprocess.Popen[str]


def jobs(root: Path, run: Run | None = None) -> list[psutil.Process]:
    """Jobs that work in a folder, and the shells that started them: all, or those of one run."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            own = run is None or os.getsid(process.pid) == run.pid
            if own and Path(process.cwd()) == root and "fedsieve " in " ".join(process.cmdline()):
                found.append(process)
    return found


def stage(process: psutil.Process) -> str:
    """Which stage a job is."""
    with contextlib.suppress(psutil.Error, IndexError):
        return " ".join(process.cmdline()).split("fedsieve ", 1)[1].split()[0]
    return "a job that has ended"


def running(root: Path, run: Run) -> str:
    """Which stages run now."""
    return ", ".join(sorted({stage(job) for job in jobs(root, run)})) or "nothing"


def ended(run: Run, seconds: float) -> bool:
    """Whether a run ends within so many seconds."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        run.wait(seconds)
    return run.poll() is not None


def started(root: Path, run: Run, seconds: float) -> bool:
    """Wait until a job runs; False where the run ends first."""
    return until(lambda: run.poll() is not None or bool(jobs(root, run)), seconds) and (
        run.poll() is None
    )


def left(root: Path, seconds: float) -> bool:
    """Whether jobs of a run that is over still work in a folder after so many seconds."""
    return not until(lambda: not jobs(root), seconds)


def hit_job(root: Path, run: Run, rng: Random, number: signal.Signals) -> Event | None:
    """Send a signal to a random job, or to the shell around it."""
    if not (found := jobs(root, run)):
        return None
    victim = rng.choice(found)
    name = stage(victim)
    with contextlib.suppress(psutil.Error):
        victim.send_signal(number)
    return Event(f"{number.name} to {name}")


def hit_snakemake(root: Path, run: Run, rng: Random, number: signal.Signals) -> Event:
    """Send a signal to Snakemake alone; its jobs become orphans."""
    what = running(root, run)
    run.send_signal(number)
    return Event(f"{number.name} to Snakemake while it ran {what}")


def hit_all(root: Path, run: Run, rng: Random, number: signal.Signals) -> Event:
    """Send a signal to Snakemake and its jobs at once."""
    what = running(root, run)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(run.pid, number)
    return Event(f"{number.name} to all while {what} ran")


def preempt(root: Path, run: Run, rng: Random) -> Event:
    """SIGTERM to all, and SIGKILL some seconds later, as a cluster takes a node away."""
    event = hit_all(root, run, rng, signal.SIGTERM)
    if not ended(run, 3):
        hit_all(root, run, rng, signal.SIGKILL)
    return event


def end(root: Path, run: Run) -> None:
    """Kill what is left of a run."""
    for process in jobs(root, run):
        with contextlib.suppress(psutil.Error):
            process.kill()
    if run.poll() is None:
        run.kill()
    run.wait()


def until(reached: Callable[[], bool], seconds: float) -> bool:
    """Wait until something holds; False where it does not by then."""
    last = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > last:
            return False
        time.sleep(0.02)
    return True
