"""Judge what a paper says by the runs of each seed, once for each reading of the paper.

A claim is plain data (config ``claims``). Where a paper leaves a setting open, a reading says which
was chosen, and what in the paper speaks for it. Of each reading one or several rows of the ledger
follow, with a verdict (``fedsieve.verdicts``).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from fedsieve.claim_settings import KINDS, PUBLISHED, claimed_grids
from fedsieve.errors import InputError
from fedsieve.inference import ROUNDING
from fedsieve.verdicts import BEST_FIRST, UNTESTED, Runs, UnrunError, judge, ratio_text
from fedsieve.wording import say_share

AS_CONFIGURED = "as configured"
"""The reading of a claim that lists none."""

_KEYS = ["task", "partition", "attack", "ratio", "defense", "seed", "metric"]


def ledger(
    name: str,
    claim: Mapping[str, Any],
    values: Mapping[str, pd.DataFrame],
    margins: Mapping[str, float],
) -> list[dict[str, str]]:
    """Rows of the ledger for one claim: for each thing it says, one per reading.

    Args:
        name: Its label.
        claim: ``paper``, ``where`` and one kind of claim (``KINDS``), or ``untested`` with
            the reason; what else it may have is described in the schema of the configuration.
        values: Grid -> the values of its runs (stage ``values``).
        margins: Metric -> how far from what the paper says is still as the paper says.

    Returns:
        Text by column: claim, paper, where, settings, settings_note, says, reading, default,
        supported, here, n, verdict, best, readings, seeds, rule, grid, why. ``best`` is the best
        verdict among the readings, and stands in the row of the default reading alone.

    Raises:
        InputError: where values contradict each other, or a margin is missing.
    """
    settings = claim.get("settings", {})
    head = {
        "claim": name,
        "paper": claim["paper"],
        "where": claim["where"],
        "settings": f"{settings['given']} of {settings['of']}" if settings else "",
        "settings_note": settings.get("note", ""),
    }
    if "untested" in claim:
        return [head | _row(says=claim["says"], verdict=UNTESTED, why=claim["untested"])]
    margins = {**margins, **claim.get("margins", {})}
    given = claim.get("readings", {AS_CONFIGURED: {}})
    rows = []
    for says, rule in _statements(claim):
        read = [
            _judge(name, claim, rule, reading, values, margins) | {"reading": label}
            for label, reading in given.items()
        ]
        best = min((row["verdict"] for row in read), key=BEST_FIRST.index)
        run = sum(row["verdict"] != UNTESTED for row in read)
        read[0] |= {"default": "yes", "best": best}
        counted = {"readings": f"{run} of {len(read)} run"}
        rows += [head | _row(says=says, rule=kind(claim), **counted) | row for row in read]
    return rows


def kind(claim: Mapping[str, Any]) -> str:
    """The kind of a claim: the key of its rule."""
    (found,) = set(KINDS) & set(claim)
    return found


def _row(**given: str) -> dict[str, str]:
    """A row with all its columns."""
    columns = "says reading default supported here n verdict best readings seeds rule grid why"
    return dict.fromkeys(columns.split(), "") | given


def _statements(claim: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a claim says: one thing, or one for each cell of a published table."""
    rule = claim[kind(claim)]
    if "cells" not in rule or not isinstance(rule["cells"], Mapping):
        yield claim["says"], dict(rule)
        return
    metrics = rule.get("metrics", PUBLISHED)
    for attack, defenses in rule["cells"].items():
        for defense, numbers in defenses.items():
            says = " / ".join(map(str, numbers))
            said = dict(zip(metrics, numbers, strict=True))
            cell = {"attack": [attack], "ratio": [rule["ratio"]], "defense": defense}
            yield f"{attack}, {say_share(rule['ratio'])}, {defense}: {says}", cell | {"said": said}


def _judge(
    name: str,
    claim: Mapping[str, Any],
    rule: Mapping[str, Any],
    reading: Mapping[str, Any],
    values: Mapping[str, pd.DataFrame],
    margins: Mapping[str, float],
) -> dict[str, str]:
    """Judge one thing that a claim says, as one reading has it."""
    named = claimed_grids(claim, reading)
    tell = {"supported": reading.get("quote", ""), "grid": ", ".join(named)}
    why = " ".join(part for part in (reading.get("why"), claim.get("why")) if part)
    try:
        meant = _substituted(rule, reading)
        runs = _runs(name, claim, reading, meant, [values[g] for g in named if g in values])
        found = judge(kind(claim), meant, runs, margins)
    except UnrunError as error:
        return tell | {"verdict": UNTESTED, "why": f"{error} {why}".strip()}
    noted = f"{found.pop('note', '')} {why}".strip()
    return tell | found | {"why": noted}


def _substituted(rule: Mapping[str, Any], reading: Mapping[str, Any]) -> dict[str, Any]:
    """The rule with the labels that a reading puts in place of its own."""
    attack, ratio, defense = (reading.get(axis, {}) for axis in ("attack", "ratio", "defense"))
    changed: dict[str, Any] = {
        "attack": [attack.get(label, label) for label in rule["attack"]],
        "ratio": [ratio.get(ratio_text(share), share) for share in rule["ratio"]],
    }
    for key in ("defense", "other"):
        if key in rule:
            changed[key] = defense.get(rule[key], rule[key])
    if "others" in rule:
        changed["others"] = [defense.get(label, label) for label in rule["others"]]
    return {**rule, **changed}


def _runs(
    name: str,
    claim: Mapping[str, Any],
    reading: Mapping[str, Any],
    rule: Mapping[str, Any],
    tables: Sequence[pd.DataFrame],
) -> Runs:
    """The runs that a reading looks at, each once, of one task and partition.

    Args:
        rule: What the claim says, with the labels of the reading.
        tables: Values of the grids of the reading that were run.

    Raises:
        UnrunError: where there are none.
        InputError: where two grids hold other values of the same run, or several tasks or
            partitions are there and the claim names none.
    """
    if not tables:
        grids = ", ".join(claimed_grids(claim, reading)) or "a grid"
        raise UnrunError(f"Not run: {grids}.")
    metrics = {*rule.get("said", ()), rule.get("metric"), "asr_floor"}
    needed = [table[table["metric"].isin(metrics)] for table in tables]
    found = pd.concat([table[[*_KEYS, "value"]] for table in needed], ignore_index=True)
    for axis in ("task", "partition"):
        if axis in claim:
            label = reading.get(axis, {}).get(claim[axis], claim[axis])
            found = found[found[axis] == label]
            if found.empty:
                raise UnrunError(f"Not run: {axis} {label}.")
        elif len(several := found[axis].unique()) > 1:
            listed = ", ".join(map(str, several))
            raise InputError(
                f"claims.{name}: its grids have several values of {axis}, {listed}; give the claim "
                f"the one it is about, {axis}:"
            )
    _refuse_conflicts(name, found)
    once = found.drop_duplicates(_KEYS).assign(ratio=found["ratio"].map(ratio_text))
    groups = once.groupby(["attack", "ratio", "defense", "metric"])
    return {
        (str(attack), str(ratio), str(defense), str(metric)): rows.set_index("seed")["value"]
        for (attack, ratio, defense, metric), rows in groups
    }


def _refuse_conflicts(name: str, found: pd.DataFrame) -> None:
    """Stop where the same run has two values, which cannot both be its result."""
    repeated = found[found.duplicated(_KEYS, keep=False)]
    groups = repeated.groupby(_KEYS)["value"]
    spread = groups.max() - groups.min()
    if not (differing := spread[spread > ROUNDING]).empty:
        labels = " ".join(map(str, differing.index[0]))
        raise InputError(
            f"claims.{name}: its grids hold two values of one run, {labels}; make both tables with "
            "the same code, or let the reading name one grid"
        )
