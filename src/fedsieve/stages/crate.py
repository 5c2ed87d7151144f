"""Pack a finished grid as a Workflow Run RO-Crate: tables, what they rest on, who made it when.

Small files are copied into the crate. Models, predictions and other large artifacts are described
by path, size and SHA-256, so that a copy of them from anywhere can be checked.

Source: RO-Crate 1.1 and its profiles Process Run Crate 0.5, Workflow Run Crate 0.5 and Workflow
RO-Crate 1.0.
"""

import hashlib
import json
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from rocrate.model import ContextEntity, Entity
from rocrate.rocrate import ROCrate

from fedsieve.artifacts import read_json, replacing
from fedsieve.checksums import hash_file
from fedsieve.errors import InputError
from fedsieve.grids import scenarios
from fedsieve.provenance import ROOT

METADATA = "ro-crate-metadata.json"
CONFIG = "config/used.yaml"
MAIN = "workflow/Snakefile"
WORKFLOW = (
    "Snakefile",
    MAIN,
    "workflow/rules/*.smk",
    "workflow/schemas/*.yaml",
    "envs/requirements.lock",
    "envs/fedsieve.yaml",
)
"""Files of the repository that say how results are made; the package itself is at the commit."""

FORMATS = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".tex": "application/x-tex",
    ".yaml": "application/yaml",
}
"""Media types of files in the crate; others are plain text."""

LICENSE = "https://spdx.org/licenses/Apache-2.0"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
TERMS = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}
"""The one term in use that RO-Crate 1.1 lacks."""

_STORED = 0o644 << 16
"""Permissions of an archive's members, where zip keeps them."""


def crate(
    *,
    name: str,
    grid: dict[str, Any],
    files: list[str],
    tables: list[Path],
    results: Path,
    order: list[str],
    marks: dict[str, str],
    config: dict[str, Any],
    agent: str,
    crate: Path,
) -> None:
    """Write the crate of a grid as a zip archive.

    Args:
        name: Label of the grid.
        grid: Lists of labels (config ``grids``).
        files: All that its tables rest on: ``results/...`` with a field in braces for each axis of
            the grid. JSON is copied into the crate, other files are described.
        tables: Its tables.
        results: The folder that is called ``results`` in the crate, wherever it lies.
        order, marks: What the stage ``table`` was told beside the grid.
        config: The configuration, without what belongs to the machine.
        agent: Who ran the workflow, ``Name`` or ``Name <https://orcid.org/...>``; empty: unsaid.
        crate: Written: the archive.
    """
    used = sorted({pattern.format(**labels) for labels in scenarios(grid) for pattern in files})
    paths = {name: results / name.removeprefix("results/") for name in used}
    packed = {f"results/{p.relative_to(results).as_posix()}": p.read_bytes() for p in tables}
    packed |= {name: path.read_bytes() for name, path in paths.items() if path.suffix == ".json"}
    packed |= {p.relative_to(ROOT.parent).as_posix(): p.read_bytes() for p in _workflow_files()}
    packed[CONFIG] = yaml.safe_dump(config, sort_keys=False).encode()
    told = {"name": name, "grid": grid, "files": files, "order": order, "marks": marks}
    made = _described(packed, paths, told, agent)
    packed[METADATA] = json.dumps(made.metadata.generate(), indent=1, sort_keys=True).encode()
    _pack(crate, packed)


def _workflow_files() -> list[Path]:
    return sorted(path for pattern in WORKFLOW for path in ROOT.parent.glob(pattern))


def _described(
    packed: Mapping[str, bytes], paths: Mapping[str, Path], told: Mapping[str, Any], agent: str
) -> ROCrate:
    """Describe a run: the workflow, what it was given, what it made, when, and with what."""
    made = ROCrate(version="1.1")
    made.metadata.extra_terms.update(TERMS)
    records = [_record(path) for path in paths.values() if path.name == "run.json"]
    entities = {path: _file(made, path, content) for path, content in packed.items()}
    results = [entity for path, entity in entities.items() if path.startswith("results/")]
    results += [_large(made, name, path) for name, path in paths.items() if name not in packed]
    given = [entities[CONFIG], *(_value(made, key, value) for key, value in told.items())]
    receipts = [path for path in paths.values() if path.name == "source.json"]
    given += [raw for receipt in receipts for raw in _raw(made, receipt)]
    workflow = entities[MAIN]
    workflow["input"] = [made.get(f"#parameter-{key}") for key in told]
    workflow["version"] = "; ".join(versions(records))
    workflow["softwareRequirements"] = _software(made, records)
    action = made.add_action(
        workflow,
        "#run",
        object=given,
        result=results,
        properties={
            "name": f"Snakemake made the grid {told['name']}",
            "description": f"{len(records)} trainings, their scores and tables",
            "startTime": min(record["started"] for record in records),
            "endTime": max(record["ended"] for record in records),
        },
    )
    if agent:
        action["agent"] = _agent(made, agent)
    _root(made, told["name"], action)
    return made


def _record(path: Path) -> dict[str, Any]:
    """What a training recorded of itself."""
    found = read_json(path)
    if "ended" not in found or "source" not in found["environment"]:
        raise InputError(
            f"{path}: no time or commit in it, since an older FedSieve made it; run the workflow "
            "again without --rerun-triggers, which makes it anew"
        )
    return found


def _root(made: ROCrate, name: str, action: Entity) -> None:
    """Describe the crate as a whole."""
    made.name = f"FedSieve: {name}"
    made.description = f"Tables of the grid {name} of FedSieve, and what they rest on"
    made.datePublished = action["endTime"]
    made.license = _add(made, LICENSE, "CreativeWork", name="Apache License 2.0")
    made.root_dataset["mentions"] = action
    made.root_dataset["conformsTo"] = [
        _add(made, url, "CreativeWork", name=title, version=url.rpartition("/")[2])
        for url, title in PROFILES.items()
    ]


def versions(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Commits that results were made at, or FedSieve's version where there was no clone."""
    found = set()
    for environment in (record["environment"] for record in records):
        if source := environment["source"]:
            found.add(source["commit"] + " (modified)" * source["modified"])
        else:
            found.add(environment["packages"].get("fedsieve", "unknown"))
    return sorted(found)


def _add(made: ROCrate, identifier: str, kind: str, **more: Any) -> Entity:
    """Add what is no file of the crate; what has been added stays as it is."""
    return made.get(identifier) or made.add(
        ContextEntity(made, identifier, {"@type": kind, **more})
    )


def _file(made: ROCrate, path: str, content: bytes) -> Entity:
    """Add a file of the crate; one of them is the workflow."""
    found = hashlib.sha256(content).hexdigest()
    about = {"name": path, "contentSize": str(len(content)), "sha256": found}
    about["encodingFormat"] = FORMATS.get(Path(path).suffix, "text/plain")
    if path == MAIN:
        return made.add_workflow(None, path, properties=about, main=True, lang="snakemake")
    return made.add_file(None, path, properties=about)


def _large(made: ROCrate, name: str, path: Path) -> Entity:
    """Describe a file that is not in the crate."""
    about = {"name": name, "contentSize": str(path.stat().st_size), "sha256": hash_file(path)}
    return _add(made, f"#{name}", "CreativeWork", **about)


def _raw(made: ROCrate, receipt: Path) -> list[Entity]:
    """Describe the files that a data set was read from, as they were when it was fetched."""
    content = read_json(receipt)
    return [
        _add(made, f"#raw/{content['dataset']}/{name}", "CreativeWork", name=name, sha256=found)
        for name, found in content["files"].items()
    ]


def _value(made: ROCrate, key: str, value: Any) -> Entity:
    """Add a parameter of the workflow, and the value that it had, as JSON."""
    parameter = made.add_formal_parameter(key, "Text", f"#parameter-{key}")
    given = _add(made, f"#{key}", "PropertyValue", name=key, value=json.dumps(value))
    given["exampleOfWork"], parameter["workExample"] = parameter, given
    return given


def _software(made: ROCrate, records: Iterable[Mapping[str, Any]]) -> list[Entity]:
    """Add the programs that results were made with, in each version that was used."""
    found = set()
    for environment in (record["environment"] for record in records):
        found |= {("python", environment["python"]), *environment["packages"].items()}
    return [
        _add(made, f"#{name}-{version}", "SoftwareApplication", name=name, softwareVersion=version)
        for name, version in sorted(found)
    ]


def _agent(made: ROCrate, agent: str) -> Entity:
    """Add who ran the workflow."""
    found = re.fullmatch(r"([^<>]+?)(?:\s*<(https?://\S+)>)?", agent.strip())
    if not found:
        raise InputError(f"FEDSIEVE_AGENT: {agent!r} is neither a name nor 'Name <https://...>'")
    return _add(made, found[2] or "#agent", "Person", name=found[1])


def _pack(path: Path, packed: Mapping[str, bytes]) -> None:
    """Write the archive: the same content, the same bytes."""
    with replacing(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name in sorted(packed):
            member = zipfile.ZipInfo(name)  # of 1980, the first year that zip knows
            member.external_attr = _STORED
            archive.writestr(member, packed[name], zipfile.ZIP_DEFLATED)
