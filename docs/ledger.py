"""Judge every claim by the published values, and put the ledger's tables into its page.

Usage: python docs/ledger.py        (as `make ledger` does)

Writes docs/reproduction/ledger.csv, every claim and reading, and in docs/reproduction/ledger.md
what stands between the marks: what was measured, and what was not, with the reason.
"""

import re
from collections import Counter
from pathlib import Path

import pandas as pd

from fedsieve.stages.ledger import markdown_table
from fedsieve.tools.judge import judge_files
from fedsieve.verdicts import UNTESTED

ROOT = Path(__file__).resolve().parent.parent
CLAIMS = sorted((ROOT / "config/claims").glob("*.yaml"))
VALUES = sorted((ROOT / "docs/reproduction/values").glob("*.csv"))
PAGE = ROOT / "docs/reproduction/ledger.md"
TABLE = PAGE.with_suffix(".csv")

_MARK = r"(<!-- {name} -->\n).*?(<!-- end -->)"


def page(text: str, rows: pd.DataFrame) -> str:
    """The page with its tables made anew: ``counts``, ``PAPER tested`` and ``PAPER untested``."""
    found = {"counts": _counts(rows)}
    for paper, part in rows.groupby("paper", sort=False):
        found[f"{paper} tested"] = _tested(part[part["verdict"] != UNTESTED])
        found[f"{paper} untested"] = _untested(part)
    for name, table in found.items():
        mark = _MARK.format(name=re.escape(name))
        text, n = re.subn(mark, lambda m, t=table: f"{m[1]}\n{t}\n{m[2]}", text, flags=re.DOTALL)
        assert n == 1, f"{PAGE.name} has {n} places for <!-- {name} -->"
    return text


def _counts(rows: pd.DataFrame) -> str:
    lines = []
    for paper, part in rows.groupby("paper", sort=False):
        said = Counter(part.groupby(["claim", "says"], sort=False)["verdict"].first())
        verdicts = ", ".join(f"{n} {verdict}" for verdict, n in said.most_common())
        n, run = sum(said.values()), int((part["verdict"] != UNTESTED).sum())
        lines += [
            f"* **{paper}**: {n} statements in {len(part)} readings, of which {run} were run.",
            f"  By the default reading: {verdicts}.",
        ]
    return "\n".join(lines)


def _tested(rows: pd.DataFrame) -> str:
    """A line per reading that was run; what the paper says stands in the first of several."""
    lines = [
        ["the paper says (settings given)", "reading", "here", "seeds", "verdict"],
        ["---"] * 5,
    ]
    for (_, says), part in rows.groupby(["claim", "says"], sort=False):
        for number, row in enumerate(part.to_dict("records")):
            given = f" ({row['settings']})" if row["settings"] else ""
            said = "" if number else f"{row['where']}: {says}{given}"
            default = " (default)" if row["default"] else ""
            wanted = f"; it would take {row['seeds']}" if row["seeds"] else ""
            verdict = f"**{row['verdict']}**{wanted}"
            lines.append([said, row["reading"] + default, row["here"], row["n"], verdict])
    return markdown_table(lines)


def _untested(rows: pd.DataFrame) -> str:
    """What no reading tests, a line each."""
    lines = [["where", "the paper says", "why not"], ["---"] * 3]
    for (_, says), part in rows.groupby(["claim", "says"], sort=False):
        if (part["verdict"] == UNTESTED).all():
            first = part.iloc[0]
            lines.append([first["where"], says, first["why"]])
    return markdown_table(lines)


if __name__ == "__main__":
    judgement = judge_files(CLAIMS, VALUES)
    TABLE.write_text(judgement.to_csv(index=False), encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), judgement), encoding="utf-8")
