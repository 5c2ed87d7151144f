"""Disturb a run at random moments and resume it, again and again within one grid."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from tests.faults import processes
from tests.faults.ground import Ground, unclear
from tests.faults.processes import Run
from tests.faults.tally import Event
from tests.workflow.conftest import Workspace

TRIES = 3
"""Runs that may fail one after the other, by themselves, before a kind is given up."""


def nothing(workspace: Workspace) -> None:
    """Most faults leave nothing to mend."""


def usual(rng: Random) -> dict[str, str]:
    """Most faults do without variables of the environment."""
    return {}


@dataclass(frozen=True)
class Fault:
    """What happens to a run, and around it."""

    hit: Callable[[Path, Run, Random], Event | None]
    """Brings it about and says what it was; None where there was nothing to hit."""
    mend: Callable[[Workspace], None] = nothing
    """Takes the cause away, once the run has ended."""
    environment: Callable[[Random], dict[str, str]] = usual
    """What a run finds in its environment."""
    often: bool = False
    """Whether a run is hit again and again, while it goes on."""
    words: tuple[str, ...] = ()
    """What a run that fails for the fault must say."""
    spoils: str | None = None
    """What a run says that failed for the tool which brings the fault about; it does not count."""


def disturbed(
    ground: Ground, workspace: Workspace, rng: Random, n: int, fault: Fault
) -> Iterator[Event]:
    """Run the grid; hit it ``n`` times at random moments; resume until it is done.

    A grid that is done before all faults are injected is compared, deleted and begun anew. A
    fault counts as resumed if the next run succeeds, or is hit in its turn after it started jobs.
    """
    waiting: list[Event] = []
    hit = failures = number = 0
    while failures < TRIES and number < 10 * (n + TRIES):
        number += 1
        yield from _unlocked(workspace)
        log = workspace.root.with_name(f"{workspace.root.name}-{number}.log")
        events, code = _run(ground, workspace, rng, (hit, n), fault, log)
        if code and not events and fault.spoils and fault.spoils in log.read_text(encoding="utf-8"):
            continue
        hit += len(events)
        failures = 0 if events or not code else failures + 1
        output = log.read_text(errors="replace", encoding="utf-8")
        if not failures:
            yield from (replace(event, resumed=True) for event in waiting)
            waiting = []
        if code and (wrong := unclear(output, fault.words if events else ())):
            yield Event(f"run {number} does not say why it ended", faults=0, unclear=wrong)
        waiting += events
        if not code:
            yield from (replace(event, resumed=True) for event in waiting)
            waiting = []
            yield ground.compared(workspace)
            if hit >= n:
                return
            renew(workspace)
    yield from (replace(event, unclear=output) for event in waiting)


def renew(workspace: Workspace) -> None:
    """Forget all that was made; what is a mount point stays one."""
    shutil.rmtree(workspace.root / ".snakemake", ignore_errors=True)
    for path in (workspace.root / "results").glob("*"):
        shutil.rmtree(path)


def _run(
    ground: Ground,
    workspace: Workspace,
    rng: Random,
    counts: tuple[int, int],
    fault: Fault,
    log: Path,
) -> tuple[list[Event], int]:
    """What hit one run, and its exit code; jobs that outlive their Snakemake go on.

    Args:
        counts: Faults that were injected so far, and that shall be.
    """
    so_far, n = counts
    events: list[Event] = []
    cores = ("--cores", str(ground.cores))
    with log.open("w", encoding="utf-8") as output:
        run = workspace.start(*cores, output=output, env=fault.environment(rng))
    try:
        while so_far + len(events) < n and processes.started(workspace.root, run, ground.patience):
            if processes.ended(run, rng.uniform(0, 2 * ground.seconds / max(n, 4))):
                break
            if event := fault.hit(workspace.root, run, rng):
                events.append(replace(event, what=f"{log.stem}: {event.what}"))
                if not fault.often:
                    break
        code = run.wait(ground.patience)
        if not code and processes.left(workspace.root, ground.patience):
            raise subprocess.TimeoutExpired("jobs that outlive a finished run", ground.patience)
    except BaseException:
        processes.end(workspace.root, run)
        raise
    fault.mend(workspace)
    return events, code


def _unlocked(workspace: Workspace) -> Iterator[Event]:
    """Remove the lock of a run that was killed, as Snakemake says one should."""
    if any((workspace.root / ".snakemake/locks").glob("*")):
        code, output = workspace.snakemake("--unlock")
        if code:
            yield Event("--unlock fails", faults=0, unclear=output)
