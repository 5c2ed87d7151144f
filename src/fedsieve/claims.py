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

_UNRUN = {"here": "", "n": "", "verdict": UNTESTED, "why": "None of its cells was run."}
"""What the ledger has on a claim about cells that its grid, as configured, leaves out."""

TOLERANCE = 0.01
"""How far a mean may lie from a paper's number that is outside its interval: papers give neither
seeds nor spread."""

ROUNDING = 1e-9
"""What sums of decimal fractions may miss a bound by."""

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


class _UnrunError(Exception):
    """A grid, as configured, has none of a claim's cells."""


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
    try:
        rows = list(judge[kind](claim, claim[kind], summary))
    except _UnrunError:
        rows = [{"says": claim["says"], **_UNRUN}]
    return [head | tail | row | {"rule": kind} for row in rows]


def _published(
    claim: Mapping[str, Any], table: Mapping[str, Any], summary: pd.DataFrame
) -> Iterator[dict[str, str]]:
    """A row for each cell of a paper's table: accuracy and attack success, in per cent."""
    for attack, defenses in table["cells"].items():
        for defense, (accuracy, asr) in defenses.items():
            says = f"{attack}, {100 * table['ratio']:g} %, {defense}: {accuracy} / {asr}"
            cell = _cells(summary, [attack], [table["ratio"]], [defense])
            if cell.empty:
                yield {"says": says, **_UNRUN}
                continue
            near, shown, seeds = [], [], []
            for metric, number in (("accuracy", accuracy), ("asr", asr)):
                row = cell[cell["metric"] == metric].iloc[0]
                near.append(_near(row, number / 100))
                shown.append(_mean(row))
                seeds.append(int(row["n"]))
            yield {
                "says": says,
                "here": " / ".join(shown),
                "n": _counts(seeds),
                **_verdict(all(near), any(near)),
            }


def _beats(
    claim: Mapping[str, Any], rule: Mapping[str, Any], summary: pd.DataFrame
) -> list[dict[str, str]]:
    """One row: in how many cells a defense is better than all the others."""
    means, n = _means(rule, [rule["defense"], *rule["others"]], summary)
    sign = 1 if rule["higher"] else -1
    others = (sign * means[rule["others"]]).max(axis=1)
    wins = int((sign * means[rule["defense"]] > others).sum())
    verdict = _verdict(wins >= rule["cells"], wins > len(means) / 2)
    return [{"says": claim["says"], "here": f"in {wins} of {len(means)}", "n": n, **verdict}]


def _reaches(
    claim: Mapping[str, Any], rule: Mapping[str, Any], summary: pd.DataFrame
) -> list[dict[str, str]]:
    """One row: whether a defense's metric meets a bound everywhere."""
    means, n = _means(rule, [rule["defense"]], summary)
    values = means[rule["defense"]].to_numpy()
    sign = 1 if rule["higher"] else -1
    met = sign * values >= sign * rule["bound"] - ROUNDING
    verdict = _verdict(met.all(), sign * values.mean() >= sign * rule["bound"])
    low, high, mean = _range(values)
    here = f"{low} to {high}, mean {mean}{_part(means, rule)}"
    return [{"says": claim["says"], "here": here, "n": n, **verdict}]


def _exceeds(
    claim: Mapping[str, Any], rule: Mapping[str, Any], summary: pd.DataFrame
) -> list[dict[str, str]]:
    """One row: by how much a defense's metric is above another's, over cells."""
    means, n = _means(rule, [rule["defense"], rule["other"]], summary)
    difference = (means[rule["defense"]] - means[rule["other"]]).to_numpy()
    sign = np.sign(rule["by"])
    verdict = _verdict(
        sign * difference.mean() >= sign * rule["by"] - ROUNDING,
        sign * difference.mean() > 0 and (sign * difference > 0).mean() > 0.5,
    )
    low, high, mean = _range(difference)
    here = f"{low} to {high} points, mean {mean}{_part(means, rule)}"
    return [{"says": claim["says"], "here": here, "n": n, **verdict}]


def _means(
    rule: Mapping[str, Any], defenses: Sequence[str], summary: pd.DataFrame
) -> tuple[pd.DataFrame, str]:
    """Mean of a rule's metric, a row per cell and a column per defense; and over how many seeds.

    A cell counts if all of the defenses have it.

    Raises:
        _UnrunError: where none does.
    """
    found = _cells(summary, rule["attack"], rule["ratio"], defenses)
    found = found[found["metric"] == rule["metric"]]
    means = found.pivot_table(index=["attack", "ratio"], columns="defense", values="mean")
    means = means.reindex(columns=list(defenses)).dropna()
    if means.empty:
        raise _UnrunError
    return means, _counts(found["n"])


def _part(means: pd.DataFrame, rule: Mapping[str, Any]) -> str:
    """How many of a rule's cells were run, where it is not all."""
    wanted = len(rule["attack"]) * len(rule["ratio"])
    return "" if len(means) == wanted else f", {len(means)} of {wanted} cells"


def _verdict(reproduced: Any, direction: Any) -> dict[str, str]:
    return {"verdict": REPRODUCED if reproduced else DIRECTION if direction else REFUTED}


def _range(values: np.ndarray) -> tuple[str, str, str]:
    """Least, largest and mean, in per cent."""
    low, high, mean = (_percent(v) for v in (values.min(), values.max(), values.mean()))
    return low, high, mean


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
