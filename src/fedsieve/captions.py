"""Captions of figures: reStructuredText templates (workflow/report) to HTML."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
from docutils.core import publish_parts

TITLES = {
    "success": "Accuracy and attack success at the end",
    "curves": "Accuracy and attack success over the rounds",
    "boundary": "Where a label flip begins to win",
    "sanitization": "Poison found and clean samples lost",
    "caught": "Samples caught, missed and lost",
    "flags": "Clients and cells flagged",
    "features": "Feature space",
    "feature_maps": "Feature maps with and without trigger",
    "local": "Local models over the rounds",
    "detection": "Detection over the rounds",
    "quality": "Scores of all clients",
    "updates": "Updates in the plane",
    "batch_times": "Time per batch in training",
}
"""Title of each kind of figure, in the order of a page; a kind that is not here comes last."""

_SHARED = {"local": "curves", "detection": "curves"}
"""Kinds whose caption stands in the file of another."""

_SETTINGS = {"raw_enabled": False, "file_insertion_enabled": False, "report_level": 5}


def kind(figure: Path) -> tuple[str, str]:
    """Kind of a figure and the label in its name, if any: ``flags-sieve.png`` is of sieve."""
    name, _, label = figure.stem.partition("-")
    return name, label


def title(figure: Path) -> str:
    """Title of a figure."""
    name, label = kind(figure)
    return ", ".join(filter(None, [TITLES.get(name, name), label]))


def rank(figure: Path) -> tuple[int, str]:
    """Place of a figure among others."""
    known = list(TITLES)
    name, label = kind(figure)
    return known.index(name) if name in known else len(known), label


def caption(folder: Path, figure: Path, config: Mapping[str, Any]) -> str:
    """HTML of the caption of a figure in the folder of its grid; empty where there is no text."""
    name, label = kind(figure)
    template = folder / f"{_SHARED.get(name, name)}.rst"
    if not template.is_file():
        return ""
    named = {"grid": figure.parent.name, "sanitizer": label, "defense": label}
    return text(template, config, named)


def text(template: Path, config: Mapping[str, Any], wildcards: Mapping[str, str]) -> str:
    """HTML of a template, which sees what Snakemake would show it: config and wildcards."""
    snakemake = SimpleNamespace(config=config, wildcards=SimpleNamespace(**wildcards))
    filled = jinja2.Template(template.read_text(encoding="utf-8")).render(snakemake=snakemake)
    return publish_parts(filled, writer="html5", settings_overrides=_SETTINGS)["fragment"]
