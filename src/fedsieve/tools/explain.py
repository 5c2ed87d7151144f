"""Say what made a file, from what, with which settings, and why it would be made anew."""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path

from fedsieve import ancestry, blocks

_MOST = 12
"""Files to list one by one."""

_FOLLOWS = "input files updated by another job"
"""Snakemake's reason for what follows from other jobs alone; those come first."""


def explain(artifact: Path, *, configfile: Sequence[Path] = ()) -> None:
    """Print what Snakemake recorded of an artifact, and what it would do to have it up to date.

    Args:
        artifact: A file that a rule made, such as results/tables/demo.csv; from another folder than
            the one where Snakemake ran, with its path.
        configfile: The configuration to plan with; that of the Snakefile by default.
    """
    folder, name = ancestry.located(artifact)
    record = ancestry.recorded(name, folder)
    before = ancestry.settings(record)
    print(f"{artifact}")
    rule = blocks.base(record.rule or "")
    _listed("made by", [f"rule {rule}, {_when(record.starttime, record.endtime)}"])
    _listed("log", record.log or [])
    _listed("from", record.input or [])
    _listed("settings", [f"{name} {value}" for name, value in before.items()])
    print()
    planned = ancestry.planned([name], configfile, folder)
    jobs = [(job.rule, _why(job, folder), job.output) for job in planned]
    if not jobs:
        print("It is up to date: asked for it now, Snakemake would do nothing.")
        return
    print("Asked for it now, Snakemake would run")
    jobs.sort(key=lambda job: (job[1] == _FOLLOWS, job))
    for (rule, why), same in groupby(jobs, key=lambda job: job[:2]):
        outputs = [output for _, _, output in same]
        print(f"  {len(outputs)} x {rule}: {why}\n    {outputs[0]}{', ...' * (len(outputs) > 1)}")


def _why(job: ancestry.Job, folder: Path) -> str:
    """The settings that changed where that is the reason; else Snakemake's reason."""
    reason, _, _ = job.reason.partition(": ")
    if not reason.startswith("Params have changed"):
        return reason[:1].lower() + reason[1:]
    before = ancestry.recorded(Path(job.output), folder)
    found = ancestry.changes(ancestry.settings(before), ancestry.settings(job))
    # a digest of the sources that a job runs is the one parameter that is no flag
    return "; ".join(found) or "the source code that it runs has changed"


def _when(start: float | None, end: float | None) -> str:
    if start is None or end is None:
        return "at an unknown time"
    return f"{datetime.fromtimestamp(start):%Y-%m-%d %H:%M:%S}, in {end - start:.0f} s"


def _listed(title: str, lines: Sequence[str]) -> None:
    more = [f"and {len(lines) - _MOST} more"] if len(lines) > _MOST else []
    for head, line in zip([title, *[""] * _MOST], [*lines[:_MOST], *more], strict=False):
        print(f"  {head:<9} {line}")
