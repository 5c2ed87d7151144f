"""Compare what a paper says with what was measured; the verdict follows from rules, in code.

A claim is plain data (config ``claims``). Of each, one or several rows of the ledger follow: what
the paper says, what was measured over how many seeds, and a verdict.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

REPRODUCED = "reproduced"
DIRECTION = "direction only"
REFUTED = "not reproduced"
UNTESTED = "not testable here"

TOLERANCE = 0.01
"""How far a mean may lie from a paper's number that is outside its interval: papers give neither
seeds nor spread."""

ROUNDING = 1e-9

RULES = {
    "published": (
        f"{REPRODUCED} if the paper's number lies in the 95 % interval or within a point of the "
        f"mean, for accuracy and attack success alike; {DIRECTION} if one of the two does"
    ),
    "beats": (
        f"{REPRODUCED} if the defense is better than all the others, by the mean, in as many cells "
        f"as the paper says; {DIRECTION} if in more than half; a cell is one attack and ratio"
    ),
    "reaches": (
        f"{REPRODUCED} if every cell's mean meets the bound; {DIRECTION} if their mean does; a "
        "cell is one attack and ratio"
    ),
    "exceeds": (
        f"{REPRODUCED} if the mean difference over cells is at least the paper's; {DIRECTION} if "
        "it has the same sign and more than half of the cells agree with it"
    ),
}
"""The rule for each kind of claim, as the ledger states it."""


def ledger(name: str, claim: Mapping[str, Any], summary: pd.DataFrame) -> list[dict[str, str]]:
    """Rows of the ledger for one claim.

    Args:
        name: Its label.
        claim: ``paper``, ``where``, ``says`` and one kind of claim (a key of ``RULES``), or
            ``untested`` with the reason.
        summary: Means and intervals of the grid that it is about (``statistics.summarize``).

    Returns:
        Text by column: claim, paper, where, says, here, n, verdict, rule, why.
    """
    head = {"claim": name, "paper": claim["paper"], "where": claim["where"]}
    tail = {"why": claim.get("why", "")}
    if "untested" in claim:
        found = [{"says": claim["says"], "here": "", "n": "", "verdict": UNTESTED, "rule": ""}]
        return [head | found[0] | {"why": claim["untested"]}]
    (kind,) = set(RULES) & set(claim)
    judge = {"published": _published, "beats": _beats, "reaches": _reaches, "exceeds": _exceeds}
    rows = judge[kind](claim, claim[kind], summary)
    return [head | row | {"rule": kind} | tail for row in rows]


def _published(
    claim: Mapping[str, Any], table: Mapping[str, Any], summary: pd.DataFrame
) -> Iterator[dict[str, str]]:
    """A row for each cell of a paper's table: accuracy and attack success, in per cent."""
    for attack, defenses in table["cells"].items():
        for defense, (accuracy, asr) in defenses.items():
            cell = _cells(summary, [attack], [table["ratio"]], [defense])
            near, shown, seeds = [], [], []
            for metric, number in (("accuracy", accuracy), ("asr", asr)):
                row = cell[cell["metric"] == metric].iloc[0]
                near.append(_near(row, number / 100))
                shown.append(_mean(row))
                seeds.append(int(row["n"]))
            verdict = REPRODUCED if all(near) else DIRECTION if any(near) else REFUTED
            yield {
                "says": f"{attack}, {100 * table['ratio']:g} %, {defense}: {accuracy} / {asr}",
                "here": " / ".join(shown),
                "n": _counts(seeds),
                "verdict": verdict,
            }


def _beats(
    claim: Mapping[str, Any], rule: Mapping[str, Any], summary: pd.DataFrame
) -> list[dict[str, str]]:
    """One row: in how many cells a defense is better than all the others."""
    found = _cells(summary, rule["attack"], rule["ratio"], [rule["defense"], *rule["others"]])
    found = found[found["metric"] == rule["metric"]]
    means = found.pivot_table(index=["attack", "ratio"], columns="defense", values="mean")
    sign = 1 if rule["higher"] else -1
    others = (sign * means[rule["others"]]).max(axis=1)
    wins = int((sign * means[rule["defense"]] > others).sum())
    verdict = REFUTED
    if wins >= rule["cells"]:
        verdict = REPRODUCED
    elif wins > len(means) / 2:
        verdict = DIRECTION
    here = f"in {wins} of {len(means)}"
    return [{"says": claim["says"], "here": here, "n": _counts(found["n"]), "verdict": verdict}]


def _reaches(
    claim: Mapping[str, Any], rule: Mapping[str, Any], summary: pd.DataFrame
) -> list[dict[str, str]]:
    """One row: whether a defense's metric meets a bound everywhere."""
    found = _cells(summary, rule["attack"], rule["ratio"], [rule["defense"]])
    found = found[found["metric"] == rule["metric"]]
    bound, values = rule["bound"], found["mean"].to_numpy()
    sign = 1 if rule["higher"] else -1
    verdict = REFUTED
    if (sign * values >= sign * bound - ROUNDING).all():
        verdict = REPRODUCED
    elif sign * values.mean() >= sign * bound:
        verdict = DIRECTION
    here = f"{_percent(values.min())} to {_percent(values.max())}, mean {_percent(values.mean())}"
    return [{"says": claim["says"], "here": here, "n": _counts(found["n"]), "verdict": verdict}]


def _exceeds(
    claim: Mapping[str, Any], rule: Mapping[str, Any], summary: pd.DataFrame
) -> list[dict[str, str]]:
    """One row: by how much a defense's metric is above another's, over cells."""
    found = _cells(summary, rule["attack"], rule["ratio"], [rule["defense"], rule["other"]])
    found = found[found["metric"] == rule["metric"]]
    means = found.pivot_table(index=["attack", "ratio"], columns="defense", values="mean")
    difference = (means[rule["defense"]] - means[rule["other"]]).to_numpy()
    sign = np.sign(rule["by"])
    verdict = REFUTED
    if sign * difference.mean() >= sign * rule["by"] - ROUNDING:
        verdict = REPRODUCED
    elif sign * difference.mean() > 0 and (sign * difference > 0).mean() > 0.5:
        verdict = DIRECTION
    low, high, mean = (_percent(v) for v in (difference.min(), difference.max(), difference.mean()))
    here = f"{low} to {high} points, mean {mean}"
    return [{"says": claim["says"], "here": here, "n": _counts(found["n"]), "verdict": verdict}]


def _cells(
    summary: pd.DataFrame,
    attacks: Sequence[str],
    ratios: Sequence[float],
    defenses: Sequence[str],
) -> pd.DataFrame:
    kept = summary["attack"].isin(attacks) & summary["defense"].isin(defenses)
    return summary[kept & np.isclose(summary["ratio"].to_numpy()[:, None], ratios).any(axis=1)]


def _near(row: pd.Series, number: float) -> bool:
    inside = row["low"] <= number <= row["high"]
    return bool(inside or abs(row["mean"] - number) <= TOLERANCE)


def _mean(row: pd.Series) -> str:
    half = row["high"] - row["mean"]
    spread = "" if np.isnan(half) else f" ± {100 * half:.2f}"
    return f"{100 * row['mean']:.2f}{spread}"


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f}".replace("-", "\N{MINUS SIGN}")


def _counts(n: Any) -> str:
    low, high = int(min(n)), int(max(n))
    return str(low) if low == high else f"{low} to {high}"
