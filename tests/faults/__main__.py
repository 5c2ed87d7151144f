"""Inject faults into runs of the demo, resume them, and compare with an undisturbed run.

python -m tests.faults --grid quick --faults 3 --kinds kill-job disk-full

Run it from the root of the repository. The table, faults.md and faults.csv, is written after every
kind; a campaign that is started again in the same folder goes on with the kinds that it lacks.
Disks of some size need root on Linux (mount), and jumps of the clock libfaketime; without them
these kinds are left out, and the table says so.
"""

import argparse
import fcntl
import functools
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

import pytest
from tests.faults import clocks, corruption, disks, processes, tally
from tests.faults.ground import Ground, demo, every_rule, prepare, quick
from tests.faults.moments import Fault, disturbed
from tests.faults.tally import Event, LeftOutError, Row

Kind = Callable[[Ground, Random, int], Iterator[Event]]

MANY = 17
"""Faults of a kind that comes at random moments: three kinds of kills make 51."""

ALL = 10**6
"""More than there are cases of any kind that has a fixed number of them."""


def hits(fault: Fault) -> Kind:
    """Kind of fault that comes at random moments and leaves nothing behind."""

    def inject(ground: Ground, rng: Random, n: int) -> Iterator[Event]:
        yield from disturbed(ground, ground.fresh("moments"), rng, n, fault)

    return inject


def signals(hit: Callable[..., Event | None], number: signal.Signals, often: bool = False) -> Kind:
    """Kind of fault that is a signal."""
    return hits(Fault(partial(hit, number=number), often=often))


MOMENTS: dict[str, Kind] = {
    "kill-job": signals(processes.hit_job, signal.SIGKILL, often=True),
    "kill-snakemake": signals(processes.hit_snakemake, signal.SIGKILL),
    "kill-all": signals(processes.hit_all, signal.SIGKILL),
    "term-job": signals(processes.hit_job, signal.SIGTERM, often=True),
    "term-snakemake": signals(processes.hit_snakemake, signal.SIGTERM),
    "preempt": hits(Fault(processes.preempt)),
    "two-at-once": clocks.second_run,
    "two-nolock": partial(clocks.second_run, arguments=("--nolock",)),
    "clock": clocks.clocks,
    "touched": clocks.touched,
    "disk-full": partial(disks.full_at_moments, everywhere=False),
    "disk-full-everywhere": partial(disks.full_at_moments, everywhere=True),
}
"""Kinds that the chosen grid is run for, with so many faults each."""

RULES: dict[str, Kind] = {
    "disk-full-rules": disks.full_at_rules,
    "read-only-rules": disks.read_only_at_rules,
    "corrupt": corruption.readers,
    "corrupt-resume": corruption.remedies,
    "corrupt-checkpoint": corruption.checkpoints,
}
"""Kinds that a grid with every rule is run for, with one fault for each case there is."""

KINDS = MOMENTS | RULES

GRIDS = {"demo": demo, "quick": quick}


def main() -> None:
    """Inject each kind of fault that was asked for, and write the table after each."""
    asked = _arguments()
    asked.folder.mkdir(parents=True, exist_ok=True)
    lock = (asked.folder / ".lock").open("w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(
            f"another campaign runs in {asked.folder}; wait or give --folder"
        ) from None

    @functools.cache
    def ground(name: str) -> Ground:
        print(f"{name}: the undisturbed run", flush=True)
        return prepare(asked.folder / name, (GRIDS | {"rules": every_rule})[name](), asked.cores)

    rows = {row.kind: row for row in tally.read(asked.folder)}
    for kind in (kind for kind in asked.kinds if kind not in rows):
        where = ground(asked.grid if kind in MOMENTS else "rules")
        n = asked.faults or (MANY if kind in MOMENTS else ALL)
        events = KINDS[kind](where, Random(f"{asked.seed} {kind}"), n)
        rows[kind] = _counted(kind, events, asked.folder)
        tally.write(asked.folder, [rows[k] for k in KINDS if k in rows])
    print(tally.markdown([rows[k] for k in KINDS if k in rows]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND")
    parser.add_argument("--grid", choices=GRIDS, default="demo", help="quick: a tenth of the demo")
    parser.add_argument("--faults", type=int, help=f"of each kind; {MANY}, or every case there is")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("results/faults"))
    parser.epilog = "kinds: " + ", ".join(KINDS)
    asked = parser.parse_args()
    asked.folder = asked.folder.resolve()
    return asked


def _counted(kind: str, events: Iterator[Event], folder: Path) -> Row:
    """Count the events of one kind, with a line of progress for each."""
    row, begun = Row(kind), time.monotonic()
    try:
        for event in events:
            now = time.monotonic()
            row, begun = tally.added(row, event, now - begun), now
            _report(row, event, folder)
    except LeftOutError as error:
        print(f"{kind}: left out: {error}", flush=True)
        return replace(row, note=f"left out: {error}")
    except (subprocess.SubprocessError, OSError, pytest.fail.Exception) as error:
        print(f"{kind}: ended early: {error}", flush=True)
        row = tally.added(row, Event("ended early", faults=0, unclear=str(error)), 0)
        return replace(row, note="ended early")
    return row


def _report(row: Row, event: Event, folder: Path) -> None:
    """Print what has happened; keep what was unclear."""
    sign = "UNCLEAR " * bool(event.unclear) + "DIFFERS " * bool(event.wrong)
    print(f"{row.kind} {row.injected} [{row.seconds:.0f} s] {sign}{event.what}", flush=True)
    if event.unclear:
        kept = folder / "unclear"
        kept.mkdir(exist_ok=True)
        number = len(list(kept.glob(f"{row.kind}-*.txt")))
        (kept / f"{row.kind}-{number}.txt").write_text(
            f"{event.what}\n\n{event.unclear}\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
