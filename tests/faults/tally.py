"""What came of each fault, and the table that sums it up."""

import csv
from collections.abc import Iterable
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path


class LeftOutError(Exception):
    """A kind of fault that this machine cannot bring about, with the reason."""


@dataclass(frozen=True)
class Event:
    """One fault, or a comparison that follows some."""

    what: str
    faults: int = 1
    resumed: bool = False
    """Whether the workflow went on from there."""
    wrong: tuple[str, ...] = ()
    """Artifacts that are lost, or differ from those of a run that nothing happened to."""
    unclear: str = ""
    """What was printed, where it does not name the cause and the remedy."""


@dataclass(frozen=True)
class Row:
    """The events of one kind of fault."""

    kind: str
    injected: int = 0
    resumed: int = 0
    differing: int = 0
    unclear: int = 0
    seconds: float = 0.0
    note: str = ""
    details: tuple[str, ...] = field(default=(), compare=False)


COLUMNS = [f.name for f in fields(Row)][:-1]


def added(row: Row, event: Event, seconds: float) -> Row:
    """Count one more event."""
    bad = bool(event.wrong or event.unclear)
    return Row(
        row.kind,
        row.injected + event.faults,
        row.resumed + event.faults * event.resumed,
        row.differing + len(event.wrong),
        row.unclear + bool(event.unclear),
        round(row.seconds + seconds, 1),
        row.note,
        (*row.details, *[event.what] * bad),
    )


def markdown(rows: Iterable[Row]) -> str:
    """Table for people; what went wrong stands below it."""
    listed = [COLUMNS, ["---"] * len(COLUMNS), *(astuple(row)[:-1] for row in rows)]
    lines = ["| " + " | ".join(map(str, cells)) + " |" for cells in listed]
    wrong = [f"* {row.kind}: {what}" for row in rows for what in row.details]
    return "\n".join([*lines, "", *wrong]) + "\n"


def write(folder: Path, rows: list[Row]) -> None:
    """Write the table as Markdown and CSV."""
    (folder / "faults.md").write_text(markdown(rows), encoding="utf-8")
    with (folder / "faults.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow([*COLUMNS, "details"])
        table.writerows([*astuple(row)[:-1], "\n".join(row.details)] for row in rows)


def read(folder: Path) -> list[Row]:
    """Rows of a campaign that was stopped."""
    if not (path := folder / "faults.csv").exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [_row(line) for line in csv.DictReader(file)]


def _row(line: dict[str, str]) -> Row:
    counts = {name: int(line[name]) for name in ("injected", "resumed", "differing", "unclear")}
    details = tuple(line["details"].split("\n")) if line["details"] else ()
    seconds = float(line["seconds"])
    return Row(kind=line["kind"], seconds=seconds, note=line["note"], details=details, **counts)
