"""Damage each kind of artifact, and look what the next stage that reads it says and does."""

import contextlib
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tests.faults.damage import DAMAGES
from tests.faults.ground import Ground
from tests.faults.processes import until
from tests.faults.tally import Event
from tests.workflow.conftest import Workspace
from tests.workflow.digests import digests
from tests.workflow.test_whole_dag import EVERY_JOB, jobs

Job = dict[str, str]

SCREEN = 25
"""Lines that a message may have."""

REMEDY = re.compile(r"[Dd]elete (it|this file)|delete \S+ (and|to)", re.S)


def readers(ground: Ground, rng: Random, n: int) -> Iterator[Event]:
    """Each stage that reads an artifact is given a damaged one of each sort, outside Snakemake."""
    workspace = ground.copied("corrupted")
    cases = [
        (artifact, damage, job)
        for artifact, found in kinds(listing(ground), rng).items()
        for job in found
        for damage in DAMAGES[Path(artifact).suffix]
    ]
    for artifact, damage, job in rng.sample(cases, min(n, len(cases))):
        if event := _read(ground, workspace, artifact, damage, job, rng):
            yield event


def remedies(ground: Ground, rng: Random, n: int) -> Iterator[Event]:
    """Snakemake meets a damaged artifact; the file is deleted as told, and all is made again."""
    workspace = ground.copied("remade")
    found = list(kinds(listing(ground), rng).items())
    for artifact, reading in rng.sample(found, min(n, len(found))):
        path, job = workspace.root / artifact, rng.choice(reading)
        _replace(path, b"")
        needed = job["output"].split(", ")
        for name in needed:
            (workspace.root / name).unlink()
        # named, since Snakemake leaves out what is missing where all that follows is there
        code, said = ground.finish(workspace, *needed)
        wrong = "" if code and _clear(said, artifact, math.inf) else said
        path.unlink(missing_ok=True)
        ground.finish(workspace, *needed)
        code, again = ground.finish(workspace)
        event = ground.compared(workspace)
        what = f"{artifact} emptied, read by {job['rule']}, deleted; {event.what}"
        yield Event(what, resumed=not code, wrong=event.wrong, unclear=again if code else wrong)


def checkpoints(ground: Ground, rng: Random, n: int) -> Iterator[Event]:
    """A training job is killed; its checkpoint is damaged; it must begin anew, to the same end."""
    workspace = ground.copied("checkpoint")
    job = rng.choice([job for job in listing(ground) if job["rule"] == "train"])
    path = (workspace.root / job["output"].split(", ")[0]).with_suffix(".checkpoint")
    _killed_after_a_round(workspace, job, path)
    good = path.read_bytes()
    damages = DAMAGES[path.suffix]
    for name in rng.sample(sorted(damages), min(n, len(damages))):
        if (damaged := damages[name](good, rng)) is None:
            continue
        path.write_bytes(damaged)
        code, said = _run(workspace, job)
        wrong = tuple(_changed(ground, workspace, job))
        resumed = not code and "starting from round one" in said
        what = f"checkpoint of {job['output'].split(', ')[0]}: {name}"
        yield Event(what, resumed=resumed, wrong=wrong, unclear="" if resumed else said)


def listing(ground: Ground) -> list[Job]:
    """Every job of the DAG: rule, input, output, log and command."""
    found = jobs(ground.undisturbed.run(*EVERY_JOB))
    return [{"input": "", **job} for job in found if "output" in job]


def kinds(found: list[Job], rng: Random) -> dict[str, list[Job]]:
    """One artifact of each kind, with a job of each rule that reads it."""
    made: dict[tuple[str, str], list[str]] = {}
    for job in found:
        for output in job["output"].split(", "):
            if Path(output).suffix in DAMAGES:
                name = re.sub(r"\d+", "N", Path(output).name)
                made.setdefault((job["rule"], name), []).append(output)
    chosen = {}
    for artifacts in made.values():
        read = [a for a in artifacts if _readers(found, a)]
        if read:
            artifact = rng.choice(read)
            chosen[artifact] = _readers(found, artifact)
    return chosen


def _readers(found: list[Job], artifact: str) -> list[Job]:
    by_rule = {job["rule"]: job for job in found if artifact in job["input"].split(", ")}
    return list(by_rule.values())


def _read(
    ground: Ground, workspace: Workspace, artifact: str, damage: str, job: Job, rng: Random
) -> Event | None:
    """Let one job read one damaged artifact; all is as before afterwards."""
    path = workspace.root / artifact
    good = path.read_bytes()
    damaged = DAMAGES[path.suffix][damage](good, rng)
    if damaged is None or damaged == good:
        return None
    _replace(path, damaged)
    code, said = _run(workspace, job)
    changed = _changed(ground, workspace, job)
    for name in (artifact, *job["output"].split(", ")):
        shutil.copy2(ground.undisturbed.root / name, workspace.root / name)
    what = f"{artifact}: {damage}; read by {job['rule']}"
    if code:
        wrong = "" if _clear(said, artifact) else said
        return Event(f"{what}: {_last(said)}", resumed=True, unclear=wrong)
    silently = f"accepted without a word; made otherwise: {', '.join(changed)}" if changed else ""
    return Event(f"{what}: {silently or 'harmless'}", resumed=not changed, unclear=silently)


def _killed_after_a_round(workspace: Workspace, job: Job, checkpoint: Path) -> None:
    """Run a training until it has written a checkpoint."""
    command = job["Shell command"].replace(" > ", " --checkpoint-seconds 0 > ")
    run = _start(workspace, command)
    until(lambda: checkpoint.exists() or run.poll() is not None, 600)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def _start(workspace: Workspace, command: str) -> subprocess.Popen[bytes]:
    """Start a job's command as a terminal does."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        ["bash", "-c", command],
        cwd=workspace.root,
        env=os.environ | {"PATH": path, "PYTHONPATH": "src", "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def _run(workspace: Workspace, job: Job) -> tuple[int, str]:
    """Exit code of a job, and what it has written to its log."""
    code = _start(workspace, job["Shell command"]).wait()
    return code, (workspace.root / job["log"]).read_text(errors="replace", encoding="utf-8")


def _changed(ground: Ground, workspace: Workspace, job: Job) -> list[str]:
    """Outputs of a job that are not as in the undisturbed run; those that tell of the run aside."""
    made = digests(workspace)
    compared = [name for name in job["output"].split(", ") if name in ground.expected]
    return [name for name in compared if made.get(name) != ground.expected[name]]


def _replace(path: Path, content: bytes) -> None:
    """Change a file as a bad disk does, without a new date."""
    state = path.stat()
    path.write_bytes(content)
    os.utime(path, (state.st_atime, state.st_mtime))


def _clear(said: str, artifact: str, lines: float = SCREEN) -> bool:
    """Whether a message names the file and what to do, and is no traceback."""
    short = len(said.splitlines()) <= lines
    return short and artifact in said and bool(REMEDY.search(said)) and "Traceback" not in said


def _last(said: str) -> str:
    return (said.strip().splitlines() or ["nothing was said"])[-1][:200]
