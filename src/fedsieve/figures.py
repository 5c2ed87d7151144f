"""Draw tidy frames: curves over rounds, feature spaces, sanitization rates.

``draw_*`` draw on an axis that they are given; the others return a figure; only ``save`` writes.
Rates are fractions in the frames and per cent on the axes. ``order`` lists the labels of defenses
and attacks as the config has them; a defense's place in it is its color in every figure.
"""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fedsieve.artifacts import replacing
from fedsieve.statistics import LABELS, SCENARIO, n_seeds, over_seeds, percent, positions

FEATURE_GROUPS: dict[str, dict[str, Any]] = {
    "clean kept": {"color": "#9fb4c7", "marker": ".", "s": 14, "linewidths": 0},
    "clean dropped": {"color": "#0173b2", "marker": "x", "s": 18, "linewidths": 0.9},
    "poisoned dropped": {"color": "#de8f05", "marker": "^", "s": 20, "linewidths": 0},
    "poisoned kept": {"color": "#b2182b", "marker": "D", "s": 24, "linewidths": 0},
}
"""What became of a sample, and how it is drawn."""

PER_LINE = 4
"""Panels beside each other."""

_COLORS = [*(seaborn.color_palette("colorblind")[i] for i in (0, 1, 2, 3, 4, 5, 9)), "#6e6e6e"]
_LINES = ["-", "--", ":", "-."]
_MARKERS = ["o", "s", "^", "D", "v", "P", "X", "<", ">"]
_HATCHES = ["", "///", "...", "xxx"]
_COLUMNS = {
    "accuracy": "test accuracy (%)",
    "asr": "attack success rate (%)",
    "source_recall": "source-class recall (%)",
}
_RATES = {
    "sanitization.recall": "poisoned samples\nremoved (%)",
    "sanitization.clean_lost": "clean samples\nremoved (%)",
}
_METADATA: dict[str, dict[str, None]] = {
    ".pdf": {"CreationDate": None},
    ".png": {"Software": None},
    ".svg": {"Date": None},
}
_STYLE = {
    **seaborn.axes_style("ticks", {"axes.grid": True, "grid.color": "#e6e6e6"}),
    **seaborn.plotting_context("paper"),
    "font.family": ["DejaVu Sans"],
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def styles(order: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Give each defense a color, line style and marker, by its position in the order alone.

    The pairs of color-blind-safe color and line style repeat after 32 defenses.
    """
    return {
        name: {
            "color": _COLORS[i % len(_COLORS)],
            "linestyle": _LINES[i // len(_COLORS) % len(_LINES)],
            "marker": _MARKERS[i % len(_MARKERS)],
        }
        for i, name in enumerate(dict.fromkeys(order))
    }


def draw_curves(ax: Axes, rounds: pd.DataFrame, column: str, order: Sequence[str]) -> None:
    """Draw a rate over the rounds of one scenario: mean over seeds and 95 % t-interval.

    Args:
        order: Every defense of the figure, so that panels agree on colors; a defense whose
            values are all undefined is left out.
    """
    defined = rounds.dropna(subset=column)
    for i, (name, style) in enumerate(styles([*order, *rounds["defense"]]).items()):
        values = defined[defined["defense"] == name]
        if values.empty:
            continue
        line = over_seeds(values.groupby("round")[column])
        step = max(1, len(line) // 6)
        every = (i * step // 4 % step, step)  # staggered: markers of close lines stay apart
        ax.plot(line.index, line["mean"], label=name, markevery=every, **style)
        ax.fill_between(
            line.index, line["low"], line["high"], color=style["color"], alpha=0.15, lw=0
        )
    if defined.empty:
        ax.text(0.5, 0.5, "undefined", transform=ax.transAxes, ha="center", color="gray")
    ax.set(xlabel="communication round", ylabel=_column_label(column))
    ax.set_xlim(0, rounds["round"].max() + 1)
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
    _percent_axis(ax, full=column != "accuracy")


def curves(
    rounds: pd.DataFrame, order: Sequence[str], columns: Sequence[str] = ("accuracy", "asr")
) -> Figure:
    """Draw accuracy above attack success rate for each attack and ratio.

    Panels stand beside each other, at most ``PER_LINE``; ratios that do not fit go below. A
    column that is defined nowhere is left out.
    """
    columns = [c for c in columns if c in rounds and rounds[c].notna().any()]
    scenarios = _scenarios(rounds, order)
    lines = _lines(scenarios)
    titles = {s: ", ".join(name) for s, name in _names(scenarios).items()}
    width, height = max(map(len, lines)), len(lines) * len(columns)
    with matplotlib.rc_context(_STYLE):
        figure = Figure((1 + 2.5 * max(width, 2), 0.9 + 1.9 * height), layout="constrained")
        grid = figure.add_gridspec(len(lines))
        for i, line in enumerate(lines):
            block = grid[i].subgridspec(len(columns), width).subplots(squeeze=False)
            for axes, scenario in itertools.zip_longest(block.T, line):
                _draw_panel(axes, scenario, rounds, columns, order)
                axes[0].set_title(f"{titles[scenario]} malicious" if scenario else "")
        for column in columns:
            _share_limits([ax for ax in figure.axes if ax.get_label() == column])
        _legend(figure, order, _statistic(rounds, rounds.groupby(LABELS)["seed"].nunique()))
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
    return min(1.0, 1000 / n_points)


def features(
    panels: Sequence[tuple[str, Float[np.ndarray, "samples 2"], Sequence[str] | np.ndarray]],
) -> Figure:
    """Draw feature spaces beside each other, each below its title."""
    width = min(len(panels), 3)
    height = -(-len(panels) // width)
    with matplotlib.rc_context(_STYLE):
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


def sanitization_bars(summary: pd.DataFrame, order: Sequence[str]) -> Figure:
    """Draw recall and clean samples lost of each sanitizing defense, with 95 % t-intervals."""
    shown = summary[summary["metric"].isin(_RATES)].dropna(subset="mean")
    present = set(shown["defense"])
    style = {k: v for k, v in styles([*order, *shown["defense"]]).items() if k in present}
    scenarios = _scenarios(shown, order)
    with matplotlib.rc_context(_STYLE):
        width = 1.6 + max(3.5, len(scenarios) * (0.3 + 0.18 * len(style)))
        figure = Figure((width, 5), layout="constrained")
        if shown.empty:
            figure.text(0.5, 0.5, "no defense here removes samples", ha="center")
            return figure
        for ax, metric in zip(figure.subplots(2, 1, sharex=True), _RATES, strict=True):
            rows = shown[shown["metric"] == metric]
            _draw_bars(ax, rows, scenarios, style)
            ax.set_ylabel(_RATES[metric])
        ax.set_xticks(range(len(scenarios)), map("\n".join, _names(scenarios).values()))
        ax.set_xlabel("attack and share of malicious clients")
        _legend(figure, list(style), _statistic(shown, shown["n"]))
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PDF, PNG or SVG; the same figure gives the same bytes."""
    with replacing(path) as partial, matplotlib.rc_context({"svg.hashsalt": "fedsieve"}):
        metadata = _METADATA[path.suffix]
        figure.savefig(partial, format=path.suffix[1:], dpi=150, metadata=metadata)


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


def _draw_bars(
    ax: Axes, rows: pd.DataFrame, scenarios: list[tuple], style: dict[str, dict[str, Any]]
) -> None:
    """Draw a group of bars per scenario, in it a bar per defense of ``style``."""
    width = 0.8 / max(len(style), 3)
    place = {scenario: x for x, scenario in enumerate(scenarios)}
    for i, name in enumerate(style):
        bars = rows[rows["defense"] == name]
        x = np.array([place[s] for s in bars[SCENARIO].itertuples(index=False, name=None)])
        whiskers = [bars["mean"] - bars["low"], bars["high"] - bars["mean"]]
        ax.bar(
            x + (i - (len(style) - 1) / 2) * width,
            bars["mean"],
            0.9 * width,
            yerr=whiskers,
            label=name,
            color=style[name]["color"],
            hatch=_HATCHES[_LINES.index(style[name]["linestyle"])],
            error_kw={"elinewidth": 0.9, "capsize": 1.5},
        )
    ax.grid(visible=False, axis="x")
    _percent_axis(ax, full=False)
    ax.set_ylim(bottom=0)


def _percent_axis(ax: Axes, *, full: bool) -> None:
    """Label fractions as per cent, between 0 and 100 with some room; ``full``: all of that."""
    low, high = (0, 1) if full else ax.get_ylim()
    ax.set_ylim(max(low - 0.03 * full, -0.03), min(high + 0.03 * full, 1.03))
    ax.yaxis.set_major_formatter(lambda rate, _: f"{100 * rate:.4g}")


def _share_limits(axes: list[Axes]) -> None:
    limits = np.array([ax.get_ylim() for ax in axes])
    for ax in axes:
        ax.set_ylim(limits[:, 0].min(), limits[:, 1].max())


def _legend(figure: Figure, order: Sequence[str], title: str) -> None:
    """Draw one legend for all axes of a figure, below them."""
    found: dict[str, Any] = {}
    for ax in figure.axes:
        handles, labels = ax.get_legend_handles_labels()
        found.update(zip(labels, handles, strict=True))
    names = [*(name for name in dict.fromkeys([*order, *found]) if name in found)]
    figure.legend(
        [found[name] for name in names],
        names,
        loc="outside lower center",
        ncols=min(len(names), 6),
        title=title,
        frameon=False,
        handlelength=3,
    )


def _scenarios(frame: pd.DataFrame, order: Sequence[str]) -> list[tuple]:
    """List task, partition, attack and ratio of each panel, ratio before attack."""
    rank = positions(order, frame[["task", "partition", "attack"]].to_numpy().ravel("F"))
    scenarios = frame[SCENARIO].drop_duplicates().itertuples(index=False, name=None)
    return sorted(scenarios, key=lambda s: (rank[s[0]], rank[s[1]], s[3], rank[s[2]]))


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


def _names(scenarios: Sequence[tuple]) -> dict[tuple, list[str]]:
    """Name scenarios by attack and ratio, before them task and partition where they differ."""
    differs = [len(set(values)) > 1 for values in zip(*scenarios, strict=True)][:2]
    return {
        scenario: [*itertools.compress(scenario, differs), scenario[2], percent(scenario[3])]
        for scenario in scenarios
    }


def _column_label(column: str) -> str:
    base, _, kind = column.partition(".")
    return f"{kind}: {_COLUMNS[base]}" if kind else _COLUMNS[base]


def _statistic(frame: pd.DataFrame, n: pd.Series) -> str:
    """Say what is drawn: task and partition where there is but one, interval, seeds."""
    single = [frame[k].iloc[0] for k in ("task", "partition") if frame[k].nunique() == 1]
    interval = "mean and 95 % t-interval over " if n.max() > 1 else ""
    return ", ".join([*single, interval + n_seeds(n)])
