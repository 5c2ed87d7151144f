"""Two runs at once, and clocks that jump."""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tests.faults.ground import Ground, unclear
from tests.faults.moments import Fault, disturbed
from tests.faults.processes import Run, hit_all
from tests.faults.tally import Event, LeftOutError
from tests.workflow.conftest import Workspace

LIBRARIES = (
    "/usr/lib/*/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
)
"""Where Debian's package faketime puts what pretends another time to a program."""

DAYS = (-400, -1, 0, 1, 400)


def second_run(
    ground: Ground, rng: Random, n: int, arguments: tuple[str, ...] = ()
) -> Iterator[Event]:
    """Start Snakemake once more in the folder of a run; without further arguments it is refused."""

    def hit(root: Path, run: Run, rng: Random) -> Event:
        code, output = Workspace(root).snakemake("--cores", "1", *arguments)
        refused = code and "--unlock" in output and "Traceback" not in output
        late = code == 0 and "Nothing to be done" in output  # the first had just ended
        fine = unclear(output) == "" if arguments else refused or late
        ended = "failed" if code else "succeeded"
        return Event(f"a second run, which {ended}", unclear="" if fine else output)

    workspace = ground.fresh("second-run")
    yield from disturbed(ground, workspace, rng, n, Fault(hit, often=True))


def clocks(ground: Ground, rng: Random, n: int) -> Iterator[Event]:
    """Kill runs whose clocks differ by days, and date what each has written accordingly."""
    library = next((str(p) for pattern in LIBRARIES for p in Path("/").glob(pattern[1:])), None)
    if library is None:
        raise LeftOutError("needs libfaketime (Debian: faketime)")
    workspace = ground.fresh("clocks")
    jumps: list[tuple[float, int]] = []

    def environment(rng: Random) -> dict[str, str]:
        jumps.append((time.time(), rng.choice(DAYS)))
        pretended = {"LD_PRELOAD": library, "FAKETIME": f"{jumps[-1][1]:+d}d"}
        # files are dated afterwards, since the disk knows the true time alone
        return pretended | {"NO_FAKE_STAT": "1", "DONT_FAKE_MONOTONIC": "1"}

    def hit(root: Path, run: Run, rng: Random) -> Event:
        event = hit_all(root, run, rng, signal.SIGKILL)
        return Event(f"{event.what}, its clock off by {jumps[-1][1]} days")

    def mend(workspace: Workspace) -> None:
        begun, days = jumps[-1]
        redate(workspace.root / "results", begun, 86400 * days)
        redate(workspace.root / ".snakemake", begun, 86400 * days)

    # libfaketime also shifts the absolute times that Python sleeps until
    spoils = "OSError: [Errno 22] Invalid argument"
    fault = Fault(hit, mend=mend, environment=environment, spoils=spoils)
    yield from disturbed(ground, workspace, rng, n, fault)


def redate(folder: Path, since: float, seconds: float) -> None:
    """Shift the time of each file that was written since then; those of the future have been."""
    now = time.time()
    for path in folder.rglob("*"):
        state = path.lstat()
        if path.is_file() and since <= state.st_mtime <= now:
            os.utime(path, (state.st_atime, state.st_mtime + seconds))


def touched(ground: Ground, rng: Random, n: int) -> Iterator[Event]:
    """Date artifacts of a finished grid into the future or the past; run again."""
    workspace = ground.copied("touched")
    artifacts = sorted(ground.expected)
    for name in rng.sample(artifacts, min(n, len(artifacts))):
        days = rng.choice(DAYS)
        when = time.time() + 86400 * days
        os.utime(workspace.root / name, (when, when))
        code, output = ground.finish(workspace)
        again = len(re.findall(r"^(?:local)?rule \w+:$", output, re.M)) - ("rule all:" in output)
        what = f"{name}: dated by {days} days, {again} jobs ran again"
        yield Event(what, resumed=not code, unclear=output if code else unclear(output))
    yield ground.compared(workspace)
