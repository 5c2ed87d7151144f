"""What Snakemake recorded of an artifact, and what it would do about it now."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake.io import IOFile
from snakemake.persistence import MetadataRecord
from snakemake.persistence.file import FilePersistence

from fedsieve import blocks
from fedsieve.configfiles import read_configuration
from fedsieve.errors import InputError
from fedsieve.provenance import ROOT

_JOB = re.compile(r"^(?:local)?rule (?P<rule>\w+):\n(?P<lines>(?:    .*\n)+)", re.MULTILINE)
STORE = ".snakemake"
"""Where Snakemake keeps its records, in the folder that it ran in."""

_COMMAND = re.compile(r"^(?:    )?Shell command: (?!None$)(?P<command>.*)$", re.MULTILINE)
WORKFLOW = ROOT.parent / "Snakefile"
"""FedSieve's own, where the package lies in a clone."""

SNAKEFILES = ("Snakefile", "snakefile", "workflow/Snakefile", "workflow/snakefile")
"""Where Snakemake looks for a workflow."""

_MACHINE = {"device", "workers"}
"""Flags that say where a job runs, not what it computes."""


@dataclass(frozen=True)
class Job:
    """A job that a dry run lists."""

    rule: str
    """Without the block of clients that it is on."""
    output: str
    """The first file that it makes."""
    reason: str
    command: str


def located(artifact: Path) -> tuple[Path, Path]:
    """The folder where Snakemake made a file, and the name that the workflow has for it there.

    Args:
        artifact: A path of the file, relative or absolute, through links or not.
    """
    lexical, real = Path(os.path.normpath(artifact.absolute())), artifact.resolve()
    for path in (lexical, real):
        ran = (folder for folder in path.parents if (folder / STORE / "metadata").is_dir())
        if folder := next(ran, None):
            return folder, path.relative_to(folder)
    linked = Path("results").resolve()  # results/ may be a link to another disk
    return Path(), "results" / real.relative_to(linked) if real.is_relative_to(linked) else artifact


def recorded(artifact: Path, folder: Path = Path()) -> MetadataRecord:
    """What Snakemake wrote down when it made a file.

    Args:
        artifact: As the workflow names it, relative to ``folder``.
        folder: Where Snakemake ran.

    Raises:
        InputError: where there is no record, or no Snakemake has run.
    """
    store = folder / STORE
    if not (store / "metadata").is_dir():
        raise InputError(f"{folder.resolve()}: no {STORE}/metadata; go where Snakemake ran")
    records = FilePersistence(nolock=True, path=store)
    found: MetadataRecord | None = records.metadata(IOFile(str(artifact)))
    if found is None:
        raise InputError(
            f"{artifact}: Snakemake has no record of it; name an output of a rule as the workflow "
            "does, such as results/tables/demo.csv"
        )
    return found


def settings(job: "MetadataRecord | Job") -> dict[str, str]:
    """The flags of a job's command line that are settings: neither files nor the machine's."""
    flags = dict(_flags((job.shellcmd if isinstance(job, MetadataRecord) else job.command) or ""))
    return {k: v for k, v in flags.items() if k not in _MACHINE and "results/" not in v}


def done(folder: Path = Path()) -> list[MetadataRecord]:
    """What Snakemake wrote down of every job that has ended in a folder; nothing in a new one."""
    files = (path for path in (folder / STORE / "metadata").rglob("*") if path.is_file())
    read = (_read(path.read_text(encoding="utf-8")) for path in files)
    found = (MetadataRecord(**content) for content in read if isinstance(content, dict))
    # a record is of a file, and a job has made all that its command names
    jobs = {(record.rule, record.shellcmd): record for record in found if record.endtime}
    return list(jobs.values())


def changes(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """What differs between two jobs' settings, a line each: ``task.rounds: 10 -> 11``."""
    old, new = (
        {path: text for name, value in found.items() for path, text in _leaves(name, _read(value))}
        for found in (before, now)
    )
    return [
        f"{path}: {old.get(path, 'nothing')} -> {new.get(path, 'nothing')}"
        for path in dict.fromkeys([*old, *new])
        if old.get(path) != new.get(path)
    ]


def snakemake(
    targets: Sequence[Path], configfiles: Sequence[Path], *options: str, folder: Path = Path()
) -> list[str]:
    """Command line of this interpreter's Snakemake, to run in a folder; the configuration is last.

    A folder without a workflow of its own is one where FedSieve's was run from elsewhere.
    """
    configured = ["--configfile", *(str(path.absolute()) for path in configfiles)]
    own = any((folder / name).is_file() for name in SNAKEFILES)
    workflow = [] if own else ["--snakefile", str(WORKFLOW)]
    if not own and not WORKFLOW.is_file():
        raise InputError(f"{folder.resolve()}: no Snakefile; go where your workflow's lies")
    command = [sys.executable, "-m", "snakemake", *map(str, targets), *workflow, *options]
    return command + configured * bool(configfiles)


def planned(
    targets: Sequence[Path],
    configfiles: Sequence[Path],
    folder: Path = Path(),
    *,
    options: Sequence[str] = (),
) -> list[Job]:
    """Ask Snakemake for the jobs that it would run to have artifacts up to date.

    Args:
        targets: Artifacts; none for all that the configuration asks for.
        configfiles: The configuration to plan with; that of the Snakefile if there is none.
        folder: Where Snakemake runs; paths of the configuration count from here, though.
        options: Further options of Snakemake.

    Raises:
        InputError: with Snakemake's own words, where it cannot plan; of a configuration that
            is no YAML, which Snakemake does not name, with its file, line and column.
    """
    asked = ["--dry-run", "--nolock", "--printshellcmds", *options]
    done = subprocess.run(
        snakemake(targets, configfiles, *asked, folder=folder),
        cwd=folder,
        env=os.environ | {"PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
    )
    if done.returncode:
        for path in filter(Path.is_file, configfiles):
            read_configuration(path)
        said = (done.stdout + done.stderr).strip().splitlines()[-4:]
        raise InputError("Snakemake cannot plan this; is it --configfile?\n" + "\n".join(said))
    return list(_jobs(done.stdout + done.stderr))


def _jobs(text: str) -> Iterator[Job]:
    """The jobs of a dry run; each one's command follows its description."""
    found = list(_JOB.finditer(text))
    ends = [job.start() for job in found[1:]] + [len(text)]
    for job, end in zip(found, ends, strict=False):
        lines = dict(line.strip().partition(": ")[::2] for line in job["lines"].splitlines())
        command = _COMMAND.search(text, job.end(), end)
        yield Job(
            blocks.base(job["rule"]),
            lines.get("output", "").split(", ")[0],
            lines.get("reason", ""),
            command["command"] if command else "",
        )


def _flags(command: str) -> Iterator[tuple[str, str]]:
    name, values = "", list[str]()
    for word in [*shlex.split(command.partition(" > ")[0]), "--"]:
        if word.startswith("--"):
            if name:
                yield name, " ".join(values)
            name, values = word[2:], []
        else:
            values.append(word)


def _read(value: str) -> Any:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, content in value.items():
            yield from _leaves(f"{path}.{key}", content)
    else:
        yield path, value if isinstance(value, str) else json.dumps(value)
