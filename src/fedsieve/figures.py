"""Draw curves over rounds, and feature spaces.

``draw_*`` draw on an axis that they are given; the others return a figure.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fedsieve import look
from fedsieve.statistics import LABELS, SCENARIO, limits, over_seeds, shown_of, spread

FEATURE_GROUPS: dict[str, dict[str, Any]] = {
    "clean kept": {"color": "#9fb4c7", "marker": ".", "s": 14, "linewidths": 0},
    "clean dropped": {"color": "#0173b2", "marker": "x", "s": 18, "linewidths": 0.9},
    "poisoned dropped": {"color": "#de8f05", "marker": "^", "s": 20, "linewidths": 0},
    "poisoned kept": {"color": "#b2182b", "marker": "D", "s": 24, "linewidths": 0},
}
"""What became of a sample, and how it is drawn."""

PER_LINE = 5
"""Panels beside each other."""

_COLUMNS = {
    "accuracy": "test accuracy (%)",
    "asr": "attack success rate (%)",
    "source_recall": "source-class recall (%)",
    "local_train": "local training accuracy (%)",
    "local_train_clean": "... on true labels (%)",
    "local_test": "local test accuracy (%)",
    "detection.f1": "F1 of flags (%)",
    "detection.false_positive_rate": "benign flagged (%)",
    "malicious_share": "malicious in cohort (%)",
}


def draw_curves(ax: Axes, rounds: pd.DataFrame, column: str, order: Sequence[str]) -> None:
    """Draw a rate over the rounds of one scenario: its mean, and a band of ``statistics.spread``.

    Args:
        order: Every defense of the figure, so that panels agree on colors; a defense whose
            values are all undefined is left out.
    """
    defined = rounds.dropna(subset=column)
    for i, (name, style) in enumerate(look.styles([*order, *rounds["defense"]]).items()):
        values = defined[defined["defense"] == name]
        if values.empty:
            continue
        line = over_seeds(values.groupby("round")[column], limits(column))
        band = spread(line)
        step = max(1, len(line) // 6)
        every = (i * step // 4 % step, step)  # staggered: markers of close lines stay apart
        ax.plot(line.index, line["mean"], label=name, markevery=every, **style)
        ax.fill_between(
            line.index, band["low"], band["high"], color=style["color"], alpha=0.15, lw=0
        )
    if defined.empty:
        ax.text(0.5, 0.5, "undefined", transform=ax.transAxes, ha="center", color="gray")
    ax.set(xlabel="communication round", ylabel=_column_label(column))
    ax.set_xlim(0, rounds["round"].max() + 1)
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
    look.percent_axis(ax, full="accuracy" not in column and "local" not in column)


def curves(
    rounds: pd.DataFrame, order: Sequence[str], columns: Sequence[str] = ("accuracy", "asr")
) -> Figure:
    """Draw accuracy above attack success rate for each attack and ratio.

    Panels stand beside each other, at most ``PER_LINE``; ratios that do not fit go below. A
    column that is defined nowhere is left out.
    """
    columns = [c for c in columns if c in rounds and rounds[c].notna().any()]
    if not columns:
        return look.blank("None of the rates that this figure shows is defined in any run.")
    scenarios = look.scenarios(rounds, order)
    lines = _lines(scenarios)
    titles = {s: ", ".join(name) for s, name in look.names(scenarios).items()}
    width, height = max(map(len, lines)), len(lines) * len(columns)
    with matplotlib.rc_context(look.STYLE):
        figure = Figure((1 + 2.5 * max(width, 2), 0.9 + 1.9 * height), layout="constrained")
        grid = figure.add_gridspec(len(lines))
        for i, line in enumerate(lines):
            block = grid[i].subgridspec(len(columns), width).subplots(squeeze=False)
            for axes, scenario in itertools.zip_longest(block.T, line):
                _draw_panel(axes, scenario, rounds, columns, order)
                axes[0].set_title(f"{titles[scenario]} malicious" if scenario else "")
        for column in columns:
            look.share_limits([ax for ax in figure.axes if ax.get_label() == column])
        drawn = shown_of(rounds.groupby(LABELS)["seed"].nunique())
        look.legend(figure, order, look.statistic(rounds, drawn))
    return figure


def draw_features(
    ax: Axes, points: Float[np.ndarray, "samples 2"], groups: Sequence[str] | np.ndarray
) -> None:
    """Scatter one client's samples in feature space, by what became of them.

    Rare groups are drawn on top; the legend counts the samples of each.

    Args:
        groups: One of ``FEATURE_GROUPS`` per sample.
    """
    groups = np.asarray(groups)
    if unknown := set(groups.tolist()) - set(FEATURE_GROUPS):
        raise ValueError(f"unknown group {sorted(unknown)[0]!r}")
    counts = {name: int(np.sum(groups == name)) for name in FEATURE_GROUPS}
    rarest_last = sorted(counts, key=lambda name: -counts[name])
    scale = _marker_scale(len(points))
    for name, style in FEATURE_GROUPS.items():
        xy = points[groups == name]
        drawn = style | {"s": style["s"] * scale, "linewidths": style["linewidths"] * scale**0.5}
        label = f"{name} ({counts[name]:,})"
        ax.scatter(*xy.T, label=label, zorder=2 + rarest_last.index(name), **drawn)
    ax.set(xlabel="feature component 1", ylabel="feature component 2", xticks=[], yticks=[])


def _marker_scale(n_points: int) -> float:
    """Factor of the markers' area that keeps many points from covering each other."""
    return min(1.0, 1000 / max(n_points, 1))


def features(
    panels: Sequence[tuple[str, Float[np.ndarray, "samples 2"], Sequence[str] | np.ndarray]],
) -> Figure:
    """Draw feature spaces beside each other, each below its title."""
    if not panels:
        return look.blank("Nobody is malicious, so there is no client to show.")
    width = min(len(panels), 3)
    height = -(-len(panels) // width)
    with matplotlib.rc_context(look.STYLE):
        figure = Figure((3.6 * width, 4.1 * height), layout="constrained")
        axes = figure.subplots(height, width, squeeze=False)
        for ax, panel in itertools.zip_longest(axes.flat, panels):
            ax.set_visible(panel is not None)
            if panel is not None:
                title, points, groups = panel
                draw_features(ax, points, groups)
                ax.set_title(title)
                ax.legend(
                    loc="upper center",
                    bbox_to_anchor=(0.5, -0.07),
                    ncols=2,
                    frameon=False,
                    markerscale=1.3 * _marker_scale(len(points)) ** -0.5,
                    columnspacing=0.8,
                    handletextpad=0.2,
                )
    return figure


def _draw_panel(
    axes: np.ndarray,
    scenario: tuple | None,
    rounds: pd.DataFrame,
    columns: Sequence[str],
    order: Sequence[str],
) -> None:
    """Draw each column of ``rounds`` for one scenario; hide the axes where there is none."""
    panel = rounds[(rounds[SCENARIO] == list(scenario or [None] * 4)).all(axis=1)]
    for ax, column in zip(axes, columns, strict=True):
        if panel.empty:
            ax.set_visible(False)
            continue
        draw_curves(ax, panel, column, order)
        ax.set_label(column)
        ax.label_outer()


def _lines(scenarios: list[tuple]) -> list[list[tuple]]:
    """Break scenarios into lines of panels, between ratios where possible."""
    lines: list[list[tuple]] = [[]]
    for _, ratio in itertools.groupby(scenarios, key=lambda s: (s[0], s[1], s[3])):
        panels = list(ratio)
        if len(lines[-1]) + len(panels) > PER_LINE:
            lines.append([])
        for panel in panels:
            if len(lines[-1]) == PER_LINE:
                lines.append([])
            lines[-1].append(panel)
    return [line for line in lines if line]


def _column_label(column: str) -> str:
    if column in _COLUMNS:
        return _COLUMNS[column]
    base, _, kind = column.partition(".")
    return f"{kind}: {_COLUMNS[base]}"
