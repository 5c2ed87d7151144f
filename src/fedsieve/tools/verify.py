"""Check a crate: every SHA-256, and every number of its tables back to the scores of each run."""

import contextlib
import csv
import hashlib
import json
import math
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fedsieve.artifacts import UNREADABLE, read_json
from fedsieve.checksums import hash_file
from fedsieve.errors import InputError
from fedsieve.grids import scenarios
from fedsieve.stages.crate import CONFIG, METADATA
from fedsieve.stages.evaluate import evaluate
from fedsieve.stages.table import table
from fedsieve.statistics import LABELS

KINDS = ("csv", "md", "tex", "html", "txt")
"""The tables that are made of the scores alone."""

SCORED = {
    "data": "data.npz",
    "clients": "clients.npz",
    "poisoning": "poisoning.npz",
    "predictions": "predictions.npz",
    "clients_log": "clients.csv",
    "kept": "kept.npz",
    "screened": "screened.npz",
    "floor": "floor.json",
}
"""What the stage ``evaluate`` reads, and the name of its file."""

TOLERANCE = 1e-9
"""Relative difference between numbers that other versions or processors may cause."""


@dataclass(frozen=True)
class Crate:
    """What a crate says of itself, and how to read its files."""

    read: Callable[[str], bytes]
    """Content of a file by its path; one of ``UNREADABLE`` where there is none."""
    packed: Mapping[str, str]
    """SHA-256 of each file in the crate."""
    large: Mapping[str, str]
    """SHA-256 of each file of the results that is not in the crate."""
    told: Mapping[str, Any]
    """Parameters of the workflow: name, grid, files, order, marks."""


def verify(
    crate: Path,
    *,
    results: Sequence[Path] = (),
    published: Sequence[Path] = (),
    scores: str = "given",
) -> None:
    """Print what agrees and what does not; the exit code is 1 if anything does not.

    The crate's own SHA-256 is printed, too: compare it with the one that was published, for who
    changes a file can also change what the crate records of it.

    Args:
        crate: The zip archive that the workflow writes, or a folder with its content.
        results: The folder that the workflow wrote, to check the files that are not in the crate.
        published: Copies of the grid's tables to compare, by their ending: .csv, .md, ...
        scores: ``given`` takes each run's scores from the crate; ``recomputed`` computes them anew
            from the predictions in ``results`` as well, a second or more for each run.
    """
    if scores not in ("given", "recomputed"):
        raise InputError(f"--scores: {scores!r} is neither 'given' nor 'recomputed'")
    if scores == "recomputed" and not results:
        raise InputError("--scores recomputed needs the predictions: name their folder, --results")
    problems = []
    with _opened(crate) as found, tempfile.TemporaryDirectory() as folder:
        checks = [_packed(found), *(_lying(found, place) for place in results)]
        checks.append(_tables(found, Path(folder), published))
        if scores == "recomputed":
            checks += [_scores(found, place, Path(folder)) for place in results]
        for check in checks:
            for problem in check:
                print(problem)
                problems.append(problem)
        if not results:
            print(f"not checked: {len(found.large)} files that are not in the crate (--results)")
    if problems:
        raise InputError(f"{crate}: {len(problems)} differences, listed above")
    print("everything that was checked agrees")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Crate]:
    """Open a crate for reading; nothing is unpacked."""
    try:
        if path.is_dir():
            yield _crate(lambda name: inside(path, name).read_bytes())
        else:
            with zipfile.ZipFile(path) as archive:
                print(f"{path}: SHA-256 {hash_file(path)}")
                yield _crate(archive.read)
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: no crate can be read there: {error}") from error


def _crate(read: Callable[[str], bytes]) -> Crate:
    """Read what a crate says of itself."""
    try:
        graph = json.loads(read(METADATA))["@graph"]
        hashed = [entity for entity in graph if "sha256" in entity]
        is_file = [not entity["@id"].startswith("#") for entity in hashed]
        return Crate(
            read,
            {e["name"]: e["sha256"] for e, packed in zip(hashed, is_file, strict=True) if packed},
            {e["name"]: e["sha256"] for e in hashed if e["@id"].startswith("#results/")},
            {e["name"]: json.loads(e["value"]) for e in graph if e["@type"] == "PropertyValue"},
        )
    except (*UNREADABLE, TypeError) as error:
        raise InputError(f"{METADATA} is missing, or not FedSieve's: {error}") from error


def inside(folder: Path, name: str) -> Path:
    """The path of a name below a folder.

    Raises:
        InputError: where the name leads out of the folder.
    """
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise InputError(f"{name!r} leads out of {folder}: this is no crate of FedSieve")
    return path


def _packed(crate: Crate) -> Iterator[str]:
    """Compare each file in the crate with its recorded SHA-256."""

    def found(name: str) -> str:
        return hashlib.sha256(crate.read(name)).hexdigest()

    yield from _differing(crate.packed, found, "the crate")


def _lying(crate: Crate, results: Path) -> Iterator[str]:
    """Compare each file of the results with its recorded SHA-256."""

    def found(name: str) -> str:
        return hash_file(_result(results, name))

    recorded = {**crate.packed, **crate.large}
    made = {name: known for name, known in recorded.items() if name.startswith("results/")}
    yield from _differing(made, found, str(results))


def _result(results: Path, name: str) -> Path:
    """Where a file lies that the workflow calls ``results/...``."""
    return inside(results, name.removeprefix("results/"))


def _differing(
    recorded: Mapping[str, str], found: Callable[[str], str], where: str
) -> Iterator[str]:
    agreeing = 0
    for name, known in recorded.items():
        try:
            now = found(name)
        except UNREADABLE:
            yield f"{name}: missing from {where}, or unreadable there"
            continue
        if now != known:
            yield f"{name}: changed in {where}: SHA-256 is {now}, recorded is {known}"
        agreeing += now == known
    print(f"{agreeing} of {len(recorded)} files in {where} have the recorded SHA-256")


def _tables(crate: Crate, folder: Path, published: Sequence[Path]) -> Iterator[str]:
    """Make the tables anew from the scores, and compare them, and published copies of them."""
    if (made := _remade(crate, folder)) is None:
        yield "the tables cannot be made anew: scores of some runs are missing or unreadable"
        return
    shown = {f"results/tables/{crate.told['name']}.{kind}": kind for kind in KINDS}
    for name, kind in shown.items():
        with contextlib.suppress(*UNREADABLE):  # what is missing has been said
            yield from _compared(name, crate.read(name).decode(), made[kind])
    for path in published:
        if (kind := path.suffix.removeprefix(".")) not in KINDS:
            raise InputError(f"{path}: the ending of a table is one of {', '.join(KINDS)}")
        yield from _compared(str(path), path.read_text(encoding="utf-8"), made[kind])


def _remade(crate: Crate, folder: Path) -> dict[str, str] | None:
    """Each kind of table as the scores in the crate make it; None where scores are missing."""
    told, pattern = crate.told, _pattern(crate, "metrics.json")
    files = {kind: folder / f"table.{kind}" for kind in KINDS}
    try:
        for labels in scenarios(told["grid"]):
            path = inside(folder, pattern.format(**labels))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(crate.read(pattern.format(**labels)))
        given = {key: told[key] for key in ("grid", "order", "marks")}
        table(**given, **files, files=f"{folder}/{pattern}")  # type: ignore[arg-type]
    except UNREADABLE:
        return None
    return {kind: path.read_text(encoding="utf-8") for kind, path in files.items()}


def _pattern(crate: Crate, name: str) -> str:
    """The pattern of the paths of files of this name."""
    return next(p for p in crate.told["files"] if p.endswith(f"/{name}"))


def _compared(name: str, text: str, wanted: str) -> Iterator[str]:
    """Compare a table with what it should be: a CSV by its numbers, any other by its lines."""
    parts, unit = (_cells, "numbers") if name.endswith(".csv") else (_lines, "lines")
    found, known = parts(text), parts(wanted)
    agreeing = 0
    for place in dict.fromkeys([*known, *found]):
        says, right = found.get(place, "nothing"), known.get(place, "nothing")
        if _same(says, right):
            agreeing += 1
        else:
            yield f"{name}: {place}: says {says}; the scores give {right}"
    print(f"{name}: {agreeing} of {len(known)} {unit} agree")


def _lines(text: str) -> dict[str, str]:
    return {f"line {i}": line.strip() for i, line in enumerate(text.splitlines(), 1)}


def _cells(text: str) -> dict[str, str]:
    """Each number of a tidy table by its scenario, defense, metric and column."""
    named = [*LABELS, "metric"]
    return {
        ", ".join([*(row.get(label) or "" for label in named), column]): value or ""
        for row in csv.DictReader(text.splitlines())
        for column, value in row.items()
        if column not in named
    }


def _same(says: str, right: str) -> bool:
    """Whether two texts are the same, or numbers that are next to it."""
    try:
        return says == right or math.isclose(float(says), float(right), rel_tol=TOLERANCE)
    except ValueError:
        return False


def _scores(crate: Crate, results: Path, folder: Path) -> Iterator[str]:
    """Compute each run's scores anew from its predictions, and compare them."""
    config = yaml.safe_load(crate.read(CONFIG))
    agreeing, wanted = 0, scenarios(crate.told["grid"])
    for labels in wanted:
        name = _pattern(crate, "metrics.json").format(**labels)
        files = {
            key: _result(results, _pattern(crate, file).format(**labels))
            for key, file in SCORED.items()
        }
        made = {"rounds": folder / "rounds.csv", "metrics_file": folder / "metrics.json"}
        last = config["tasks"][labels["task"]].get("last_rounds", 1)
        try:
            attack = config["attacks"][labels["attack"]]
            evaluate(**files, **made, attack=attack, last_rounds=last)
            says, right = json.loads(crate.read(name)), read_json(made["metrics_file"])
        except UNREADABLE as error:
            yield f"{name}: cannot be computed anew: {error}"
            continue
        wrong = [key for key in {**says, **right} if not _same(*_texts(key, says, right))]
        for key in wrong:
            shown = _texts(key, says, right)
            yield f"{name}: {key}: says {shown[0]}; the predictions give {shown[1]}"
        agreeing += not wrong
    print(f"the scores of {agreeing} of {len(wanted)} runs follow from their predictions")


def _texts(key: str, *scores: Mapping[str, Any]) -> list[str]:
    return [str(found.get(key, "nothing")) for found in scores]
