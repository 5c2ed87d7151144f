"""Tidy metrics to tables: mean and 95 % t-interval over seeds; frames in, frames or text out.

Rates are fractions in frames of numbers and per cent in frames of text. ``order`` lists the
labels of defenses and attacks as the config has them: rows and columns follow it, and labels that
it lacks come after, as they appear.
"""

import html
import re
from collections.abc import Collection, Hashable, Sequence

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler
from tabulate import tabulate

from fedsieve.statistics import LABELS, UNATTACKED, n_seeds, percent, positions

UNDEFINED = "\N{EN DASH}"
WIDTH, HEIGHT = 100, 39
"""Columns and lines that the headline may fill in a terminal."""

_PAPER = {"accuracy": "accuracy", "asr": "ASR", "asr_floor": "ASR floor"}
_SANITIZATION = {
    "sanitization.recall": "recall",
    "sanitization.precision": "precision",
    "sanitization.clean_lost": "clean lost",
    "sanitization.honest_lost": "honest lost",
}
_TITLES = _PAPER | _SANITIZATION
_DAGGER = "†"
_TEX_ESCAPES = str.maketrans({"%": r"\%", "_": r"\_", "&": r"\&", "#": r"\#"})
_TEX_SYMBOLS = str.maketrans({"±": r"$\pm$", UNDEFINED: "--", _DAGGER: r"$^\dagger$"})
_CSS = [
    {"selector": "", "props": "border-collapse: collapse; font: 14px sans-serif; margin: 16px"},
    {"selector": "caption", "props": "caption-side: bottom; text-align: left; padding: 8px"},
    {"selector": "th, td", "props": "padding: 3px 10px; border-bottom: 1px solid #ddd"},
    {"selector": "thead th.index_name", "props": "text-align: left"},
    {"selector": "td", "props": "text-align: right; white-space: nowrap"},
    {"selector": "tbody th", "props": "text-align: left; vertical-align: top; font-weight: normal"},
]


def paper_table(summary: pd.DataFrame, order: Sequence[str]) -> pd.DataFrame:
    """Lay accuracy and attack success rate out as the papers do.

    Returns:
        Text cells in per cent; rows (ratio, defense), below task and partition where there are
        several; columns (attack, measure). Rows of ratio 0 hold the accuracy without any
        attack, the same under each. An attack of several kinds has an ASR per kind as well.
    """
    shown = _of(summary, _PAPER)
    shown = shown[~shown["metric"].str.startswith("asr_floor.")]
    attacked = shown[shown["attack"] != UNATTACKED]
    shown = pd.concat([_spread_unattacked(shown), attacked], ignore_index=True)
    return _layout(shown, ["task", "partition", "ratio", "defense"], ["attack", "measure"], order)


def sanitization_table(summary: pd.DataFrame, order: Sequence[str]) -> pd.DataFrame:
    """Lay out what was removed, for the defenses that remove samples.

    Returns:
        Text cells in per cent; rows (attack, ratio, defense), below task and partition where
        there are several; a column per measure that is defined anywhere.
    """
    shown = _of(summary, _SANITIZATION).dropna(subset="mean")
    return _layout(shown, LABELS, ["measure"], order)


def paper_note(summary: pd.DataFrame) -> str:
    """Caption of ``paper_table``: what its cells are, and over how many seeds."""
    return (
        f"{_cells_are(_of(summary, _PAPER))} ASR: attack success rate; its floor is that of a "
        "model trained without the attack. Ratio: share of malicious clients."
    )


def sanitization_note(summary: pd.DataFrame) -> str:
    """Caption of ``sanitization_table``: what its cells are, and over how many seeds."""
    shown = _of(summary, _SANITIZATION).dropna(subset="mean")
    if shown.empty:
        return "No defense here removes samples."
    return (
        f"{_cells_are(shown)} Recall: poisoned samples removed; precision: removed samples that "
        "were poisoned; clean lost: clean samples removed, of all clients and (honest lost) of "
        "the honest ones. Ratio: share of malicious clients."
    )


def to_markdown(table: pd.DataFrame, note: str, oracles: Collection[str] = ()) -> str:
    """Render a table of text as Markdown, its caption below."""
    if table.empty:
        return f"{note}\n"
    table, note = _marked(table, note, oracles)
    columns = [c if isinstance(c, str) else " ".join(c) for c in table.columns]
    body = table.set_axis(columns, axis=1).reset_index()
    align = ["left"] * table.index.nlevels + ["right"] * len(columns)
    rows = body.to_numpy().tolist()
    text = tabulate(rows, [*map(str, body)], "pipe", colalign=align, disable_numparse=True)
    return f"{text}\n\n{note}\n"


def to_latex(table: pd.DataFrame, note: str, oracles: Collection[str] = ()) -> str:
    """Render a table of text for LaTeX with booktabs."""
    table, note = _marked(table, note, oracles)
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


def to_html(table: pd.DataFrame, note: str, oracles: Collection[str] = ()) -> str:
    """Render a table of text as HTML; several of them, one after another, make a page."""
    table, note = _marked(table, note, oracles)
    styler = _styler(table, "html").set_caption(html.escape(note)).set_table_styles(_CSS)  # type: ignore[arg-type]
    return f'<meta charset="utf-8">\n{styler.to_html()}'


def headline(
    summary: pd.DataFrame, order: Sequence[str], oracles: Collection[str] = ()
) -> list[str]:
    """Return accuracy and attack success rate of every defense as lines for a terminal."""
    lines = []
    for (task, partition), rows in summary.groupby(["task", "partition"], sort=False):
        seeds = n_seeds(rows.loc[rows["metric"] == "accuracy", "n"])
        lines += [
            f"{task}, {partition}: test accuracy / attack success rate in %, mean over {seeds}"
        ]
        lines += _blocks(_marked(_pairs(rows, order), "", oracles)[0])
    if set(oracles) & set(summary["defense"]):
        lines.append(f"{_DAGGER} sees the ground truth")
    if len(lines) > HEIGHT:
        lines[HEIGHT - 1 :] = [f"... and {len(lines) - HEIGHT + 1} more lines: see the tables"]
    return lines


def _layout(
    shown: pd.DataFrame, index: list[str], columns: list[str], order: Sequence[str]
) -> pd.DataFrame:
    metrics = sorted(shown.dropna(subset="mean")["metric"].unique(), key=_metric_order)
    shown = _without_lone_kinds(shown)
    half = shown["high"] - shown["mean"]
    cells = shown.assign(
        cell=[_cell(m, h) for m, h in zip(shown["mean"], half, strict=True)],
        measure=shown["metric"].map(_title),
    )
    table = cells.pivot(index=index, columns=columns, values="cell").fillna(UNDEFINED)
    labels = cells[["task", "partition", "attack", "defense"]].to_numpy().ravel("F")
    table = _sort(table, positions([*order, *map(_title, metrics), *cells["measure"]], labels))
    single: list[Hashable] = [k for k in ("task", "partition") if shown[k].nunique() == 1]
    return table.droplevel(single).rename(index=percent, level="ratio")


def _sort(table: pd.DataFrame, rank: dict[str, int]) -> pd.DataFrame:
    def key(level: pd.Index) -> pd.Index:
        return level if level.name == "ratio" else level.map(rank)

    return table.sort_index(key=key).sort_index(axis=1, key=key)


def _spread_unattacked(shown: pd.DataFrame) -> pd.DataFrame:
    """Repeat the accuracy without attack under each attack of the same task and partition."""
    place = ["task", "partition"]
    attacks = shown.loc[shown["attack"] != UNATTACKED, [*place, "attack"]].drop_duplicates()
    clean = shown[(shown["attack"] == UNATTACKED) & (shown["metric"] == "accuracy")]
    spread = clean.drop(columns="attack").merge(attacks, on=place, how="left")
    return spread.fillna({"attack": UNATTACKED})


def _without_lone_kinds(shown: pd.DataFrame) -> pd.DataFrame:
    """Drop the rates per kind of poison where an attack has but one: they are the attack's own."""
    kind = shown["metric"].map(lambda metric: _split(metric)[1])
    is_kind, defined = kind != "", shown["mean"].notna()
    kinds = kind[is_kind & defined].groupby(shown["attack"]).nunique()
    several = shown["attack"].isin(kinds.index[kinds > 1])
    return shown[~is_kind | (several & defined)]


def _of(summary: pd.DataFrame, titles: Collection[str]) -> pd.DataFrame:
    """Rows of these metrics, and of their parts per kind of poison."""
    return summary[[_split(metric)[0] in titles for metric in summary["metric"]]]


def _title(metric: str) -> str:
    """Column title of a metric, or of one kind of it: ``asr.flip`` is "ASR flip %"."""
    base, kind = _split(metric)
    return " ".join([_TITLES[base], kind, "%"] if kind else [_TITLES[base], "%"])


def _split(metric: str) -> tuple[str, str]:
    base, _, kind = metric.rpartition(".")
    return (metric, "") if metric in _TITLES else (base, kind)


def _metric_order(metric: str) -> tuple[int, bool]:
    base, kind = _split(metric)
    return list(_TITLES).index(base), bool(kind)


def _cell(mean: float, half: float) -> str:
    if np.isnan(mean):
        return UNDEFINED
    return f"{100 * mean:.1f}" + ("" if np.isnan(half) else f" ± {100 * half:.1f}")


def _cells_are(shown: pd.DataFrame) -> str:
    places = ((k, shown[k].unique()) for k in ("task", "partition"))
    single = "".join(f"{k.capitalize()} {v[0]}. " for k, v in places if len(v) == 1)
    if shown["n"].max() < 2:
        return f"{single}Per cent, {n_seeds(shown['n'])}; {UNDEFINED}: undefined."
    half = "mean ± half-width of the 95 % t-interval over"
    return f"{single}Per cent, {half} {n_seeds(shown['n'])}; {UNDEFINED}: undefined."


def _marked(table: pd.DataFrame, note: str, oracles: Collection[str]) -> tuple[pd.DataFrame, str]:
    """Mark the defenses that see the ground truth, and say so."""
    marks = {name: f"{name} {_DAGGER}" for name in oracles}
    if not set(marks) & set(table.index.get_level_values("defense")):
        return table, note
    return table.rename(index=marks, level="defense"), f"{note} {_DAGGER}: sees the ground truth."


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
    means = rows.pivot(index=LABELS, columns="metric", values="mean")
    means = means.reindex(columns=["accuracy", "asr"]).reset_index()
    cells = [_pair(a, b) for a, b in zip(means["accuracy"], means["asr"], strict=True)]
    table = means.assign(cell=cells).pivot(
        index="defense", columns=["ratio", "attack"], values="cell"
    )
    return _sort(table.fillna(""), positions(order, [*rows["attack"], *rows["defense"]]))


def _pair(accuracy: float, asr: float) -> str:
    text = _cell(accuracy, np.nan)
    return text if np.isnan(asr) else f"{text}/{_cell(asr, np.nan):>5}"


def _blocks(table: pd.DataFrame) -> list[str]:
    """Write a table as aligned lines, in as many blocks of columns as the width asks for."""
    ratios, attacks = (table.columns.get_level_values(k) for k in ("ratio", "attack"))
    headers = [f"{a}\n{percent(r)}" for a, r in zip(attacks, ratios, strict=True)]
    cell = 2 + max(map(len, [*attacks, "100.0/100.0"]))
    per_block = max(1, (WIDTH - max(map(len, table.index))) // cell)
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
