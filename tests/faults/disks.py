"""Disks that are full or read-only: small file systems in memory, which only root may mount."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random

from tests.faults.ground import Ground, unclear
from tests.faults.moments import Fault, disturbed
from tests.faults.processes import Run, running
from tests.faults.tally import Event, LeftOutError
from tests.workflow.test_whole_dag import EVERY_JOB, jobs

SIZE = "1g"
PAGE = 4096
NO_SPACE = "No space left on device"
READ_ONLY = "results/ cannot be written: its disk is mounted read-only"


@contextlib.contextmanager
def disk(folder: Path) -> Iterator[Path]:
    """A file system in memory, mounted on a folder."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise LeftOutError("needs root on Linux, to mount file systems of some size")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _mount("-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder))
    except subprocess.CalledProcessError as error:
        raise LeftOutError(f"root may not mount here: {error.stderr.strip()}") from error
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def fill(folder: Path, spare: int = 0) -> None:
    """Lower the size of a disk to what it holds, and some bytes to spare."""
    for _ in range(100):  # a size below what is used by now is refused
        state = os.statvfs(folder)
        used = (state.f_blocks - state.f_bfree) * state.f_frsize
        size = max(used + spare, PAGE)  # 0 would be without any limit
        with contextlib.suppress(subprocess.CalledProcessError):
            return _mount("-o", f"remount,size={size}", str(folder))
    raise RuntimeError(f"{folder}: grows faster than it can be limited")


def enlarge(folder: Path) -> None:
    """Make room again."""
    _mount("-o", f"remount,rw,size={SIZE}", str(folder))


def lock(folder: Path) -> None:
    """Let nobody write."""
    _mount("-o", "remount,ro", str(folder))


def full_at_moments(ground: Ground, rng: Random, n: int, everywhere: bool) -> Iterator[Event]:
    """The disk fills while jobs run.

    Args:
        everywhere: Whether Snakemake's own notes lie on that disk, too, or results alone.
    """
    with disk(ground.folder / "disk" / ("" if everywhere else "results")) as at:
        workspace = ground.fresh("disk")

        def hit(root: Path, run: Run, rng: Random) -> Event:
            what = running(root, run)
            fill(at, rng.choice([0, PAGE, 16 * PAGE]))
            return Event(f"disk full while {what} ran")

        fault = Fault(hit, mend=lambda _: enlarge(at), words=(NO_SPACE,))
        yield from disturbed(ground, workspace, rng, n, fault)


def full_at_rules(ground: Ground, rng: Random, n: int) -> Iterator[Event]:
    """The disk is full when the jobs of a rule start: of each rule in turn."""
    for spare in (0, PAGE):
        squeeze = partial(fill, spare=spare)
        yield from _at_rules(ground, rng, n, squeeze, f"{spare} bytes free", NO_SPACE)


def read_only_at_rules(ground: Ground, rng: Random, n: int) -> Iterator[Event]:
    """Results cannot be written when the jobs of a rule start: of each rule in turn."""
    yield from _at_rules(ground, rng, n, lock, "read-only", READ_ONLY)


def _at_rules(
    ground: Ground, rng: Random, n: int, squeeze: Callable[[Path], None], how: str, word: str
) -> Iterator[Event]:
    """Make all that a rule needs; let its jobs fail; go on to the next rule."""
    listed = jobs(ground.undisturbed.run(*EVERY_JOB))
    rules = list(dict.fromkeys(job["rule"] for job in listed if job["rule"] != "all"))
    chosen = set(rng.sample(rules, min(n, len(rules))))
    with disk(ground.folder / "disk/results") as results:
        workspace = ground.fresh("disk")
        for rule in (rule for rule in rules if rule in chosen):
            code, output = ground.finish(workspace, "--omit-from", rule)
            if code:
                yield Event(f"before {rule}: the run does not go on", faults=0, unclear=output)
            squeeze(results)
            code, output = ground.finish(workspace)
            enlarge(results)
            if code:
                wrong = unclear(output, [word])
                yield Event(f"{rule}, {how}", resumed=True, unclear=wrong)
        code, output = ground.finish(workspace)
        if code:
            yield Event("the run does not end", faults=0, unclear=output)
        yield ground.compared(workspace)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True, encoding="utf-8")
