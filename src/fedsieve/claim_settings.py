"""What claims of papers may say, and what is wrong with them beyond their schema.

Imported by the Snakefile, hence the standard library and jsonschema only.
"""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from fedsieve.registry import near
from fedsieve.schema import Problem

MARGINS: Mapping[Any, Any] = {
    "accuracy": 0.02,
    "asr": 0.05,
    "screening.f1": 0.05,
    "screening.recall": 0.05,
    "detection.f1": 0.05,
    "detection.recall": 0.05,
    "sanitization.recall": 0.05,
}
"""Margins of claims that the configuration does not give, by metric, as fractions."""

KINDS = ("published", "beats", "reaches", "exceeds", "near")
"""Kinds of claims; each is judged by a rule of its own (``fedsieve.claims``)."""

PUBLISHED = ("accuracy", "asr")
"""Metrics that the numbers of a published table are of unless it says otherwise."""

_PLACES = ("task", "partition")


def claimed_grids(claim: Mapping[Any, Any], reading: Mapping[Any, Any] | None = None) -> list[str]:
    """Grids that a claim looks at, in one of its readings or in all."""
    readings = claim.get("readings", {"": {}}).values() if reading is None else [reading]
    named = [found.get("grid", claim.get("grid", [])) for found in readings]
    listed = [[grids] if isinstance(grids, str) else grids for grids in named]
    return list(dict.fromkeys(itertools.chain(*listed)))


def claim_problems(
    claims: Mapping[Any, Mapping[Any, Any]], margins: Mapping[Any, Any]
) -> Iterator[Problem]:
    """Yield what is wrong with claims that fit the schema."""
    for name, claim in claims.items():
        kinds = [kind for kind in (*KINDS, "untested") if kind in claim]
        if len(kinds) != 1:
            found = " and ".join(kinds) or "none"
            yield ("claims", name), f"needs one of {', '.join(KINDS)} or untested, not {found}"
            continue
        if kinds != ["published"] and "says" not in claim:
            yield ("claims", name, "says"), "is missing: what the paper says, in words"
        if (told := claim.get("settings", {"given": 0, "of": 0}))["given"] > told["of"]:
            key = ("claims", name, "settings", "given")
            yield key, f"is {told['given']} of {told['of']}; at most all are given"
        if kinds != ["untested"]:
            yield from _rule_problems(("claims", name), claim, kinds[0], margins)
            yield from _reading_problems(("claims", name), claim, claim[kinds[0]])


def _rule_problems(
    key: tuple[Any, ...], claim: Mapping[Any, Any], kind: str, margins: Mapping[Any, Any]
) -> Iterator[Problem]:
    """Yield what is wrong with the rule of a claim."""
    rule = claim[kind]
    metrics = rule.get("metrics", PUBLISHED) if kind == "published" else [rule["metric"]]
    for metric in metrics:
        if metric not in {**margins, **claim.get("margins", {})}:
            wrong = f"has no {metric!r}, which {'.'.join(map(str, key))} is about"
            yield ("margins",), f"{wrong}; add {metric}: and a fraction"
    if kind == "published":
        for attack, defenses in rule["cells"].items():
            for defense, numbers in defenses.items():
                if len(numbers) != len(metrics):
                    wrong = f"has {len(numbers)} numbers for the metrics {', '.join(metrics)}"
                    yield (*key, kind, "cells", attack, defense), f"{wrong}; give one of each"
    if kind == "beats" and rule["cells"] > (most := len(rule["attack"]) * len(rule["ratio"])):
        wrong = f"is {rule['cells']}, but attacks x ratios are {most}"
        yield (*key, kind, "cells"), f"{wrong}; lower it or add cells"
    if kind == "exceeds" and not rule["by"]:
        yield (*key, kind, "by"), "is 0, which has no sign; use near for as good as another"


def _reading_problems(
    key: tuple[Any, ...], claim: Mapping[Any, Any], rule: Mapping[Any, Any]
) -> Iterator[Problem]:
    """Yield what is wrong with the readings of a claim."""
    said = _said(rule) | {axis: [claim[axis]] if axis in claim else [] for axis in _PLACES}
    for label, reading in claim.get("readings", {"": {}}).items():
        place = (*key, "readings", label) if "readings" in claim else key
        if "grid" not in {**claim, **reading}:
            yield (*place, "grid"), "is missing: label of the grid whose values test the claim"
        for axis, labels in said.items():
            for old in reading.get(axis, {}):
                if old not in labels:
                    wrong = f"the claim has no {axis} {old!r}{near(old, labels)}"
                    yield (*place, axis, old), f"{wrong}; a reading replaces what the claim has"


def _said(rule: Mapping[Any, Any]) -> dict[str, list[Any]]:
    """Attacks, ratios as text, and defenses that a rule mentions."""
    if isinstance(cells := rule.get("cells"), Mapping):
        defenses = [defense for under in cells.values() for defense in under]
        return {"attack": list(cells), "ratio": [f"{rule['ratio']:g}"], "defense": defenses}
    others = [*rule.get("others", []), *([rule["other"]] if "other" in rule else [])]
    ratios = [format(ratio, "g") for ratio in rule["ratio"]]
    return {"attack": rule["attack"], "ratio": ratios, "defense": [rule["defense"], *others]}
