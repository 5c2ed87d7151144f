"""Judge what papers say by published values, without running anything."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from fedsieve.artifacts import write_text
from fedsieve.claim_settings import MARGINS, claim_problems
from fedsieve.configfiles import read_configuration
from fedsieve.errors import InputError
from fedsieve.provenance import ROOT
from fedsieve.schema import misfits, shown
from fedsieve.stages.ledger import judged, to_markdown, to_show

SCHEMA = ROOT.parent / "workflow/schemas/config.schema.yaml"

_SECTIONS = ("claims", "margins")


def judge(
    *,
    claims: Sequence[Path],
    values: Sequence[Path],
    md: Sequence[Path] = (),
    csv: Sequence[Path] = (),
) -> None:
    """Write the ledger of claims as the workflow does, and print how often each verdict was given.

    Grids are known by the names of their files: those of which no file is given were not run, and
    the ledger says so.

    Args:
        claims: Files of YAML with claims, such as config/claims/fdsd.yaml; other sections are
            left out. Margins (margins:) of any of them hold for all.
        values: Values of each grid, GRID-values.csv, as the workflow writes them to
            results/tables, or as they are published.
        md: Where to write the ledger as a table in Markdown, with the rules in words.
        csv: Where to write it with all its columns.
    """
    rows = judge_files(claims, values)
    for path in csv:
        write_text(path, rows.to_csv(index=False))
    for path in md:
        write_text(path, to_markdown(*to_show(rows)))
    for verdict, count in rows["verdict"].value_counts().items():
        print(f"{count:4} {verdict}")


def judge_files(claims: Sequence[Path], values: Sequence[Path]) -> pd.DataFrame:
    """Judge the claims of these files by the values of those: a row per claim and reading.

    Raises:
        InputError: naming the file that cannot be used, and why.
    """
    content = [_content(path) for path in claims]
    margins = {**MARGINS, **_joined("margins", claims, content)}
    return judged(_joined("claims", claims, content), margins, values)


def _content(path: Path) -> dict[str, Any]:
    """The claims and margins of a file, once nothing is wrong with them.

    Raises:
        InputError: with all problems, one a line.
    """
    content = read_configuration(path)
    if not isinstance(content.get("claims"), Mapping):
        raise InputError(f"{path}: has no section claims; give files as config/claims/fdsd.yaml")
    found = {section: content[section] for section in _SECTIONS if section in content}
    whole = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    known = {section: whole["properties"][section] for section in _SECTIONS}
    schema = {"type": "object", "properties": known, "$defs": whole["$defs"]}
    problems = list(misfits(found, schema))
    if not problems:
        problems = list(claim_problems(found["claims"], {**MARGINS, **found.get("margins", {})}))
    if problems:
        lines = [f"  {shown(key)}: {message}" for key, message in problems]
        raise InputError("\n".join([f"{path} cannot be used:", *lines]))
    return found


def _joined(
    section: str, paths: Sequence[Path], content: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """A section of all files together.

    Raises:
        InputError: where two files give a label another meaning.
    """
    whole: dict[str, Any] = {}
    for path, found in zip(paths, content, strict=True):
        for label, entry in found.get(section, {}).items():
            if whole.setdefault(label, entry) != entry:
                raise InputError(
                    f"{path}: {section}.{label} is another in a file before; rename one"
                )
    return whole
