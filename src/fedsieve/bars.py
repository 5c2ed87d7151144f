"""Draw what each defense has achieved at the end of a run.

``draw_*`` draw on an axis that they are given; the others return a figure. From ``ENOUGH`` seeds on
a mean has whiskers of its interval; with fewer, or where runs lie far apart, each run is a dot.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fedsieve import look
from fedsieve.statistics import (
    ENOUGH,
    SCENARIO,
    SPLIT,
    alone,
    positions,
    shown_of,
    split,
    summarize,
)
from fedsieve.wording import say_points, say_share

Style = dict[str, dict[str, Any]]
"""Look of each defense, from ``look.styles``; bars stand in its order."""

Groups = Sequence[tuple[Any, ...]]
"""Values of some columns; the rows that have them stand together."""

_REMOVED = {
    "sanitization.recall": "poisoned samples\nremoved (%)",
    "sanitization.clean_lost": "clean samples\nremoved (%)",
}
_END = {"accuracy": "test accuracy (%)", "asr": "attack success rate (%)"}
_REFERENCE = {"accuracy": "accuracy_unattacked", "asr": "asr_floor"}
_SETTING = {"partition": "partition", "ratio": "share of malicious clients"}
_WHISKER: dict[str, Any] = {"elinewidth": 0.9, "capsize": 1.5}
_ON_BAR: dict[str, Any] = {"facecolor": "black", "edgecolor": "white", "lw": 0.3, "zorder": 4}
"""A run on a bar of any color."""

_AT_POINT: dict[str, Any] = {"lw": 0, "alpha": 0.6, "zorder": 1.5}
"""A run beside the point of its mean, in its color."""


def draw_bars(
    ax: Axes, runs: pd.DataFrame, groups: Groups, keys: Sequence[str], style: Style
) -> None:
    """Draw a bar per defense of ``style`` in each group of runs, with whiskers or dots.

    Args:
        runs: One metric of each run, tidy, with its labels and ``value``.
        groups: Values of the columns ``keys``, from left to right.
    """
    for name, x, bars in _placed(summarize(runs), groups, keys, style):
        filled = {"color": style[name]["color"], "hatch": look.hatch(style[name])}
        ax.bar(x, bars["mean"], 0.9 * _pitch(style), label=name, **filled)
        _draw_whiskers(ax, x, bars, "black")
    for _, x, dots in _placed(_dots(runs, keys, style), groups, keys, style):
        ax.scatter(x + dots["aside"], dots["value"], 5, clip_on=False, **_ON_BAR)
    ax.grid(visible=False, axis="x")
    look.percent_axis(ax, full=False)
    ax.set_ylim(bottom=0)


def draw_points(
    ax: Axes, runs: pd.DataFrame, groups: Groups, keys: Sequence[str], style: Style
) -> None:
    """Draw points where ``draw_bars`` draws bars, on an axis that need not begin at 0."""
    for name, x, points in _placed(summarize(runs), groups, keys, style):
        color, marker = style[name]["color"], style[name]["marker"]
        _draw_whiskers(ax, x, points, color)
        ax.plot(x, points["mean"], marker, color=color, markersize=4, label=name)
    for name, x, dots in _placed(_dots(runs, keys, style), groups, keys, style):
        color = style[name]["color"]
        ax.scatter(x + dots["aside"], dots["value"], 5, color=color, clip_on=False, **_AT_POINT)
    ax.grid(visible=False, axis="x")
    look.percent_axis(ax, full=False)


def sanitization_bars(runs: pd.DataFrame, order: Sequence[str]) -> Figure:
    """Draw recall and clean samples lost of each sanitizing defense.

    Args:
        runs: Every metric of every run, tidy.
    """
    shown = runs[runs["metric"].isin(_REMOVED)].dropna(subset="value")
    style = _present(shown, order)
    scenarios = look.scenarios(shown, order)
    with matplotlib.rc_context(look.STYLE):
        width = 1.6 + max(3.5, len(scenarios) * (0.3 + 0.18 * len(style)))
        figure = Figure((width, 5), layout="constrained")
        if shown.empty:
            figure.text(0.5, 0.5, "no defense here removes samples", ha="center")
            return figure
        for ax, metric in zip(figure.subplots(2, 1, sharex=True), _REMOVED, strict=True):
            draw_bars(ax, shown[shown["metric"] == metric], scenarios, SCENARIO, style)
            ax.set_ylabel(_REMOVED[metric])
        named = ["\n".join(map(look.short, name)) for name in look.names(scenarios).values()]
        ax.set_xticks(range(len(scenarios)), named)
        ax.set_xlabel("attack and share of malicious clients")
        look.legend(figure, list(style), _drawn(shown))
    return figure


def success_bars(runs: pd.DataFrame, order: Sequence[str]) -> Figure:
    """Draw accuracy and attack success at the end, a line of panels for each attack.

    Each panel has a group for each partition and ratio, and through it a line at what a model
    trained without attack and defense shows: its accuracy, and the floor of the attack's success.

    Args:
        runs: Every metric of every run, tidy.
    """
    shown = runs[runs["metric"].isin([*_END, *_REFERENCE.values()])].dropna(subset="value")
    style = _present(shown, order)
    metrics = [metric for metric in _END if metric in set(shown["metric"])]
    if not metrics:
        return look.blank("Neither accuracy nor attack success is defined in any run.")
    attacks = _attacks(shown, order)
    keys = [k for k in _SETTING if any(rows[k].nunique() > 1 for rows in attacks)] or ["ratio"]
    groups = [_groups(rows, keys) for rows in attacks]
    across = max(map(len, groups))
    with matplotlib.rc_context(look.STYLE):
        width = 0.8 + across * (0.3 + 0.11 * max(len(style), 3))
        size = (max(width * len(metrics), 6), 1.2 + 0.05 * len(style) + 1.9 * len(attacks))
        figure = Figure(size, layout="constrained")
        axes = figure.subplots(len(attacks), len(metrics), squeeze=False)
        for line, rows, own in zip(axes, attacks, groups, strict=True):
            for ax, metric in zip(line, metrics, strict=True):
                _draw_end(ax, rows, metric, own, keys, style)
                ax.set(xlim=(-0.5, across - 0.5), title=_title(rows, shown, keys))
        for ax in axes[-1]:
            ax.set_xlabel(", ".join(_SETTING[key] for key in keys))
        for column in axes.T:
            look.share_limits([ax for ax in column if ax.get_visible()])
        look.legend(figure, list(style), _drawn(shown))
    return figure


def _draw_end(
    ax: Axes,
    rows: pd.DataFrame,
    metric: str,
    groups: Groups,
    keys: Sequence[str],
    style: Style,
) -> None:
    """Draw a metric of one attack and its reference; hide the axis where it is undefined."""
    values = rows[rows["metric"] == metric]
    ax.set_visible(not values.empty)
    draw = draw_points if metric == "accuracy" else draw_bars
    draw(ax, values, groups, keys, style)
    if draw is draw_bars:
        ax.set_ylim(bottom=-0.03 * ax.get_ylim()[1])  # room for a floor of almost 0
    reference = summarize(rows[rows["metric"] == _REFERENCE[metric]]).drop_duplicates(list(keys))
    x = _places(reference, groups, keys)
    ax.hlines(reference["mean"], x - 0.46, x + 0.46, "black", lw=0.8, label="no attack, no defense")
    ax.set_xticks(range(len(groups)), ["\n".join(map(_name, group)) for group in groups])
    ax.set_ylabel(_END[metric])


def _placed(
    rows: pd.DataFrame, groups: Groups, keys: Sequence[str], style: Style
) -> Iterator[tuple[str, np.ndarray, pd.DataFrame]]:
    """Yield each defense with the places of its rows, side by side in their group, and the rows."""
    for i, name in enumerate(style):
        found = rows[rows["defense"] == name]
        aside = (i - (len(style) - 1) / 2) * _pitch(style)
        yield name, _places(found, groups, keys) + aside, found


def _places(rows: pd.DataFrame, groups: Groups, keys: Sequence[str]) -> np.ndarray:
    """Place of each row's group."""
    place = {group: float(x) for x, group in enumerate(groups)}
    found = rows[list(keys)].itertuples(index=False, name=None)
    return np.array([place[group] for group in found])


def _pitch(style: Style) -> float:
    """From one defense to the next, where groups are 1 apart."""
    return 0.8 / max(len(style), 3)


def _draw_whiskers(ax: Axes, x: np.ndarray, rows: pd.DataFrame, color: Any) -> None:
    """Draw the interval of each mean that has one."""
    has = rows["low"].notna().to_numpy()
    at, ends = x[has], rows[has]
    reach = [ends["mean"] - ends["low"], ends["high"] - ends["mean"]]
    ax.errorbar(at, ends["mean"], yerr=reach, fmt="none", ecolor=color, **_WHISKER)


def _dots(runs: pd.DataFrame, keys: Sequence[str], style: Style) -> pd.DataFrame:
    """Runs to be drawn by themselves, with how far each lies ``aside`` of its bar's middle."""
    cells = runs.groupby([*keys, "defense"])["value"]
    place = (cells.cumcount() + 0.5) / cells.transform("count") - 0.5
    # side by side, or equal runs would look like one
    return runs.assign(aside=0.6 * _pitch(style) * place)[alone(cells)]


def _drawn(shown: pd.DataFrame) -> str:
    """What a figure of these runs says of itself."""
    summary = summarize(shown)
    drawn = shown_of(summary["n"], "each run (dots)")
    sure = summary["n"] >= ENOUGH
    dotted = f"; dots: runs more than {say_points(SPLIT)} points apart"
    return look.statistic(shown, drawn + dotted * bool((sure & split(summary)).any()))


def _present(shown: pd.DataFrame, order: Sequence[str]) -> Style:
    """Look of the defenses that there are, by their place in the order."""
    present = set(shown["defense"])
    return {k: v for k, v in look.styles([*order, *shown["defense"]]).items() if k in present}


def _attacks(shown: pd.DataFrame, order: Sequence[str]) -> list[pd.DataFrame]:
    """Rows of each attack, of each task by itself."""
    rank = positions(order, shown["attack"])
    parts = [rows for _, rows in shown.groupby(["task", "attack"], sort=False)]
    return sorted(parts, key=lambda rows: rank[rows["attack"].iloc[0]])


def _groups(rows: pd.DataFrame, keys: Sequence[str]) -> list[tuple[Any, ...]]:
    """Values of the keys that there are: partitions as listed, ratios by size."""
    rank = positions([], rows["partition"])
    found = rows[list(keys)].drop_duplicates().itertuples(index=False, name=None)
    return sorted(found, key=lambda group: [rank.get(value, value) for value in group])


def _name(value: str | float) -> str:
    return look.short(value) if isinstance(value, str) else say_share(value)


def _title(rows: pd.DataFrame, shown: pd.DataFrame, keys: Sequence[str]) -> str:
    """Name an attack, with what its panel does not vary."""
    name = [rows["task"].iloc[0]] if shown["task"].nunique() > 1 else []
    name += [rows["attack"].iloc[0]]
    if "ratio" not in keys:
        name += [f"{say_share(rows['ratio'].iloc[0])} malicious"]
    return ", ".join(name)
