"""Render tables of text as Markdown, LaTeX, HTML and lines for a terminal."""

import html
import re
from collections.abc import Collection, Mapping, Sequence

import pandas as pd
from pandas.io.formats.style import Styler
from tabulate import tabulate

from fedsieve.statistics import LABELS, SPLIT, n_seeds, positions
from fedsieve.tables import (
    MARKS,
    NOTHING,
    RIGHT,
    UNDEFINED,
    UNLIKE,
    cell,
    marks_of,
    sort,
)
from fedsieve.tables import marks as earned_marks
from fedsieve.wording import say_points, say_rate, say_share

WIDTH, HEIGHT = 100, 39
"""Columns and lines that the headline may fill in a terminal."""

ORACLE, TOLD, COUNTS = "†", "‡", "§"
"""Marks of a defense that sees the ground truth, of one that is told n_malicious, and of one that
the clients send their label counts."""

FACTS = {
    ORACLE: "sees the ground truth",
    TOLD: "is told how many clients of each cohort are malicious",
    COUNTS: "is told the clients' label counts",
    "f =": "malicious clients in a cohort that the defense assumes",
}
"""What is said of a defense beside its name, and what that means."""

EVENTS = {
    RIGHT: "the f that the defense assumes, without being told, is the true number in every cohort",
    MARKS["outside_domain"]: "outside the defense's own conditions (such as n > 2f + 2 for Krum) "
    "in some round",
    MARKS["diverged"]: "training diverged in some run: its loss was no number any more",
    MARKS["unfinished"]: "not all runs are finished: some failed, or wait for something that did",
    MARKS["no_attack"]: "no attack took place in some run: nothing was poisoned, or nobody who "
    "poisoned took part; the run has no attack success",
    MARKS["partial_attack"]: "the attack took place in part in some run: malicious clients that "
    "poisoned nothing count as honest, a kind of poison that was not planted is left out",
    MARKS["unprobed"]: "no test image can show in some run whether the attack, or a kind of it, "
    "succeeds",
    MARKS["clean_fails"]: "in some run the model trained without attack fails by itself: it gives "
    "most images the class that the attacker wants, or is no better than the most frequent class",
    UNLIKE: f"runs differ by more than {say_points(SPLIT)} points, so that their mean says little",
}
"""What is said of a cell beside its number, and what that means."""

_URGENT = "".join(sign for metric, sign in MARKS.items() if metric != "outside_domain")
"""Marks of a cell that the headline shows, too: of experiments that are none, or not quite."""

_TEX_ESCAPES = str.maketrans(
    {sign: f"\\{sign}" for sign in "%_&#${}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)
_TEX_SYMBOLS = str.maketrans(
    {UNDEFINED: "--", ORACLE: r"$^\dagger$", TOLD: r"$^\ddagger$", COUNTS: r"\S{}"}
    | {MARKS["no_attack"]: r"$\emptyset$", MARKS["unfinished"]: r"\ldots{}"}
    # in LaTeX's default encoding they are inverted marks
    | {"<": "$<$", ">": "$>$"}
)
_CSS = [
    {"selector": "", "props": "border-collapse: collapse; font: 14px sans-serif; margin: 16px"},
    {"selector": "caption", "props": "caption-side: bottom; text-align: left; padding: 8px"},
    {"selector": "th, td", "props": "padding: 3px 10px; border-bottom: 1px solid #ddd"},
    {"selector": "thead th.index_name", "props": "text-align: left"},
    {"selector": "td", "props": "text-align: right; white-space: nowrap"},
    {"selector": "tbody th", "props": "text-align: left; vertical-align: top; font-weight: normal"},
]


def to_markdown(table: pd.DataFrame, note: str, marks: Mapping[str, str] = NOTHING) -> str:
    """Render a table of text as Markdown, its caption below."""
    if table.empty:
        return f"{note}\n"
    table, note = _marked(table, note, marks)
    columns = [c if isinstance(c, str) else " ".join(c) for c in table.columns]
    body = table.set_axis(columns, axis=1).reset_index()
    align = ["left"] * table.index.nlevels + ["right"] * len(columns)
    lines = [[str(c).replace("|", r"\|") for c in line] for line in (body, *body.to_numpy())]
    text = tabulate(lines[1:], lines[0], "pipe", colalign=align, disable_numparse=True)
    return f"{text}\n\n{note}\n"


def to_latex(table: pd.DataFrame, note: str, marks: Mapping[str, str] = NOTHING) -> str:
    """Render a table of text for LaTeX with booktabs."""
    table, note = _marked(table, note, marks)
    text = _styler(table, "latex").to_latex(
        caption=note.translate(_TEX_ESCAPES),
        column_format="l" * table.index.nlevels + "r" * table.shape[1],
        position="htbp",
        position_float="centering",
        hrules=True,
        multirow_align="naive",
        multicol_align="c",
    )
    head, rule, body = text.partition("\\midrule\n")
    # a row that does not start blank opens a block of rows
    body = re.sub(r"(\\\\\n)(?=[^\s\\])", r"\1\\addlinespace\n", body)
    return (head + rule + body).translate(_TEX_SYMBOLS)


def to_html(table: pd.DataFrame, note: str, marks: Mapping[str, str] = NOTHING) -> str:
    """Render a table of text as HTML; several of them, one after another, make a page."""
    table, note = _marked(table, note, marks)
    styler = _styler(table, "html").set_caption(html.escape(note)).set_table_styles(_CSS)  # type: ignore[arg-type]
    return f'<meta charset="utf-8">\n{styler.to_html()}'


def headline(
    summary: pd.DataFrame, order: Sequence[str], marks: Mapping[str, str] = NOTHING
) -> list[str]:
    """Return accuracy and attack success rate of every defense as lines for a terminal."""
    lines, cells = [], ""
    for (task, partition), rows in summary.groupby(["task", "partition"], sort=False):
        seeds = n_seeds(rows.loc[rows["metric"] == "accuracy", "n"])
        lines += [
            f"{task}, {partition}: test accuracy / attack success rate in %, mean over {seeds}"
        ]
        lines += trivial(rows)
        pairs = _pairs(rows, order)
        cells += "".join(pairs.to_numpy().flat)
        lines += _blocks(_marked(pairs, "", marks)[0])
    ran = set(summary["defense"])
    told = legend([mark for name, mark in marks.items() if name in ran], cells)
    room = HEIGHT - len(told)
    if len(lines) > room:
        lines[room - 1 :] = [f"... and {len(lines) - room + 1} more lines: see the tables"]
    return lines + told


def trivial(rows: pd.DataFrame) -> list[str]:
    """Say, in a line, what a model that looks at no image scores on several labels per image."""
    found = rows[rows["metric"].isin(["accuracy_trivial", "accuracy_majority"])]
    if found["mean"].isna().all():
        return []
    most = say_rate(found["mean"].max())
    return [f"several labels per image: a model that looks at none has accuracy {most}"]


def _marked(table: pd.DataFrame, note: str, marks: Mapping[str, str]) -> tuple[pd.DataFrame, str]:
    """Mark the defenses that know or assume something, and say what the marks mean."""
    if "defense" not in table.index.names:
        return table, note
    present = set(table.index.get_level_values("defense"))
    shown = {name: f"{name} {mark}" for name, mark in marks.items() if name in present}
    told = "; ".join(legend([marks[name] for name in shown], "".join(table.to_numpy().flat)))
    renamed = table.rename(index=shown, level="defense")
    return renamed, f"{note} {told[0].upper()}{told[1:]}." if told else note


def legend(beside: Collection[str], cells: str) -> list[str]:
    """Say what the marks beside these names, and in the text of these cells, mean, each once."""
    return [
        f"{sign.removesuffix(' =')}: {meaning}"
        for meanings, texts in ((FACTS, beside), (EVENTS, [cells]))
        for sign, meaning in meanings.items()
        if any(sign in text for text in texts)
    ]


def _styler(table: pd.DataFrame, escape: str) -> Styler:
    identity = "-".join(str(name) for name in table.index.names)  # pandas' own is random
    styler = Styler(table, uuid=identity, cell_ids=False).hide(axis="columns", names=True)
    return (
        styler.format(escape=escape)
        .format_index(escape=escape, axis=0)
        .format_index(escape=escape, axis=1)
    )


def _pairs(rows: pd.DataFrame, order: Sequence[str]) -> pd.DataFrame:
    """Lay out rows (defense), columns (ratio, attack), cells "accuracy/ASR"."""
    shown = rows[rows["metric"].isin(["accuracy", "asr"])]
    earned = {
        labels: "".join(sign for sign in marked if sign in _URGENT)
        for labels, marked in earned_marks(rows).items()
    }
    marks = marks_of(shown, earned)
    texts = [cell(100 * mean, mark=mark) for mean, mark in zip(shown["mean"], marks, strict=True)]
    wide = shown.assign(text=texts).pivot(index=LABELS, columns="metric", values="text")
    wide = wide.reindex(columns=["accuracy", "asr"]).astype(object).fillna(UNDEFINED).reset_index()
    pairs = [_pair(a, b) for a, b in zip(wide["accuracy"], wide["asr"], strict=True)]
    table = wide.assign(cell=pairs).pivot(
        index="defense", columns=["ratio", "attack"], values="cell"
    )
    return sort(table.fillna(""), positions(order, [*rows["attack"], *rows["defense"]]))


def _pair(accuracy: str, asr: str) -> str:
    if UNDEFINED in (asr, accuracy[:1]):
        return accuracy
    # numbers below each other, marks behind
    width = 5 + len(asr) - len(asr.rstrip(_URGENT + UNLIKE))
    return f"{accuracy}/{asr:>{width}}"


def _blocks(table: pd.DataFrame) -> list[str]:
    """Write a table as aligned lines, in as many blocks of columns as the width asks for."""
    ratios, attacks = (table.columns.get_level_values(k) for k in ("ratio", "attack"))
    headers = [f"{a}\n{say_share(r)}" for a, r in zip(attacks, ratios, strict=True)]
    width = 2 + max(map(len, [*attacks, "100.0?/100.0?", *table.to_numpy().flat]))
    per_block = max(1, (WIDTH - max(map(len, table.index))) // width)
    lines = []
    for start in range(0, len(headers), per_block):
        block = table.iloc[:, start : start + per_block]
        body = [[name, *row] for name, row in zip(block.index, block.to_numpy(), strict=True)]
        text = tabulate(
            body,
            ["", *headers[start : start + per_block]],
            "plain",
            colalign=["left"] + ["right"] * block.shape[1],
            disable_numparse=True,
        )
        lines += [*text.splitlines(), ""]
    return lines
