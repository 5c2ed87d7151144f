"""What Snakemake recorded of an artifact, and what it would do about it now."""

import json
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

_JOB = re.compile(r"^(?:local)?rule (?P<rule>\w+):\n(?P<lines>(?:    .*\n)+)", re.MULTILINE)
_COMMAND = re.compile(r"^(?:    )?Shell command: (?!None$)(?P<command>.*)$", re.MULTILINE)
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


def recorded(artifact: Path, folder: Path = Path()) -> MetadataRecord:
    """What Snakemake wrote down when it made a file.

    Args:
        artifact: As the workflow names it, relative to ``folder``.
        folder: Where Snakemake ran.

    Raises:
        InputError: where there is no record, or no Snakemake has run.
    """
    store = folder / ".snakemake"
    if not (store / "metadata").is_dir():
        raise InputError(f"{folder.resolve()}: no {store.name}/metadata; go where Snakemake ran")
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
    files = (path for path in (folder / ".snakemake/metadata").rglob("*") if path.is_file())
    read = (_read(path.read_text()) for path in files)
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


def snakemake(targets: Sequence[Path], configfiles: Sequence[Path], *options: str) -> list[str]:
    """Command line of this interpreter's Snakemake; the configuration comes last."""
    configured = ["--configfile", *map(str, configfiles)] if configfiles else []
    return [sys.executable, "-m", "snakemake", *map(str, targets), *options, *configured]


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
        folder: Where Snakemake runs.
        options: Further options of Snakemake.

    Raises:
        InputError: with Snakemake's own words, where it cannot plan; of a configuration that
            is no YAML, which Snakemake does not name, with its file, line and column.
    """
    done = subprocess.run(
        snakemake(targets, configfiles, "--dry-run", "--nolock", "--printshellcmds", *options),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        for path in filter(Path.is_file, (folder / path for path in configfiles)):
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
