"""Draw where the time of training goes.

``draw_*`` draw on an axis that they are given; the others return a figure.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from fedsieve import look

PARTS: dict[str, dict[str, Any]] = {
    "train": {"color": "#9fb4c7", "hatch": ""},
    "judge": {"color": "#de8f05", "hatch": "///", "marker": "D"},
    "screen": {"color": "#0173b2", "hatch": "...", "marker": "s"},
    "aggregate": {"color": "#b2182b", "hatch": "xxx", "marker": "^"},
    "learn": {"color": "#029e73", "hatch": "|||", "marker": "v"},
}
"""Parts of a round, from left to right, and how they are drawn."""


def draw_stacked(ax: Axes, table: pd.DataFrame) -> None:
    """Draw a bar of stacked parts for each defense, from top to bottom, with its length.

    Args:
        table: Milliseconds; a row per defense, columns (``mean`` or ``sd``, part), of which "all"
            is no part.
    """
    y, end = np.arange(len(table)), np.zeros(len(table))
    for part, style in PARTS.items():
        length = table["mean"][part].to_numpy()
        look_of = {"color": style["color"], "hatch": style["hatch"], "edgecolor": "white"}
        ax.barh(y, length, 0.7, end, label=part, linewidth=0, **look_of)
        end = end + length
    spread = table["sd"]["all"].fillna(0).to_numpy()
    ax.errorbar(end, y, xerr=spread, fmt="none", ecolor="black", elinewidth=0.9, capsize=1.5)
    for place, length, room in zip(y, end, spread, strict=True):
        text: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": "small"}
        ax.annotate(f"{length:#.3g}", (length + room, place), (4, 0), **text)
    ax.set_yticks(y, map(look.short, table.index))
    ax.set(xlabel="wall time per batch (ms)", ylim=(len(table) - 0.4, -0.6))
    ax.set_xlim(0, 1.15 * (end + spread).max() or 1)  # no time at all is no length
    ax.grid(visible=False, axis="y")


def draw_parts(ax: Axes, table: pd.DataFrame) -> None:
    """Draw each part but local training on a logarithmic scale; see ``draw_stacked``."""
    for part, style in PARTS.items():
        if part != "train":
            look_of = {"color": style["color"], "marker": style["marker"], "markersize": 4.5}
            mean = table["mean"][part].where(lambda ms: ms > 0)
            ax.plot(mean, np.arange(len(table)), linestyle="none", label=part, **look_of)
    ax.set(xlabel="of that, beside local training (ms)", xscale="log")
    for axis_of in (ax.xaxis.set_major_formatter, ax.xaxis.set_minor_formatter):
        axis_of(LogFormatter())  # the default one writes formulas


def batch_times(times: pd.DataFrame, order: Sequence[str], title: str) -> Figure:
    """Draw the time per batch of each defense: all of it, and what is not local training.

    A defense under which no client trained on a batch is left out.

    Args:
        times: Seconds of each defense and part, and of part "all": ``mean`` and ``sd``.
    """
    table = 1000 * times.pivot(index="defense", columns="part", values=["mean", "sd"])
    table = table[table["mean"]["all"].notna()]
    if table.empty:
        return look.blank("No client trained on a batch in any round.")
    table = table.loc[list(dict.fromkeys(n for n in [*order, *table.index] if n in table.index))]
    with matplotlib.rc_context(look.STYLE):
        figure = Figure((8, 1.4 + 0.22 * len(table)), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
        draw_stacked(axes[0], table)
        draw_parts(axes[1], table)
        look.legend(figure, list(PARTS), title)
    return figure
