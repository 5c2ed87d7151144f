"""What all figures share: colors and markers, scales, names of panels, the legend, the format.

Rates are fractions in frames and per cent on axes. ``order`` lists the labels of defenses and
attacks as the config has them; a defense's place in it is its color in every figure.
"""

import textwrap
import traceback
import warnings
from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple

from fedsieve.artifacts import replacing
from fedsieve.errors import InputError
from fedsieve.statistics import SCENARIO, positions
from fedsieve.wording import say_points, say_share

STYLE = {
    **seaborn.axes_style("ticks", {"axes.grid": True, "grid.color": "#e6e6e6"}),
    **seaborn.plotting_context("paper"),
    "font.family": ["DejaVu Sans"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,
}
"""Settings under which every figure is drawn: ``with matplotlib.rc_context(STYLE)``.

Text is shown as it is: names of classes and labels are the user's, and dollars no formulas.
"""

LONGEST = 48
"""Characters of a name that figures show; longer ones would leave no room for axes."""

MOST_PIXELS = 16383
"""Length of a picture's longest side, beyond which a page could not hold it as WebP."""

_COLORS = [*(seaborn.color_palette("colorblind")[i] for i in (0, 1, 2, 3, 4, 5, 9)), "#6e6e6e"]
_LINES = ["-", "--", ":", "-."]
_HATCHES = ["", "///", "...", "xxx"]
_MARKERS = ["o", "s", "^", "D", "v", "P", "X", "<", ">"]
_METADATA: dict[str, dict[str, None]] = {
    ".pdf": {"CreationDate": None},
    ".png": {"Software": None},
    ".svg": {"Date": None},
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


def hatch(style: dict[str, Any]) -> str:
    """Hatch of a bar where a line would have this style."""
    return _HATCHES[_LINES.index(style["linestyle"])]


def percent_axis(ax: Axes, *, full: bool) -> None:
    """Label fractions as per cent, between 0 and 100 with some room; ``full``: all of that."""
    low, high = (0, 1) if full else ax.get_ylim()
    ax.set_ylim(max(low - 0.03 * full, -0.03), min(high + 0.03 * full, 1.03))
    ax.yaxis.set_major_formatter(lambda rate, _: say_points(rate, 4))


def share_limits(axes: Sequence[Axes]) -> None:
    """Give axes the range of values that all of them need."""
    limits = np.array([ax.get_ylim() for ax in axes])
    for ax in axes:
        ax.set_ylim(limits[:, 0].min(), limits[:, 1].max())


def legend(figure: Figure, order: Sequence[str], title: str) -> None:
    """Draw one legend for all axes of a figure, below them.

    A name that axes draw in several ways, such as bars here and points there, shows them all.
    """
    found: dict[str, dict[type, Any]] = {}
    for ax in figure.axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, {})[type(handle)] = handle
    names = [name for name in dict.fromkeys([*order, *found]) if name in found]
    handles: list[Any] = [tuple(found[name].values()) for name in names]
    figure.legend(
        handles,
        [short(name) for name in names],
        loc="outside lower center",
        ncols=_columns(names, figure.get_figwidth()),
        title=title,
        frameon=False,
        handler_map={tuple: HandlerTuple(None)},
        handlelength=3,
    )


def _columns(names: Sequence[str], width: float) -> int:
    """Number of a legend's columns, at most 6, that fit into so many inches."""
    fits = [
        n
        for n in range(2, min(len(names), 6) + 1)
        if sum(
            0.75 + 0.07 * max(len(short(name)) for name in part)
            for part in np.array_split(names, n)
        )
        < width
    ]
    return max(fits, default=1)


def scenarios(frame: pd.DataFrame, order: Sequence[str]) -> list[tuple]:
    """List task, partition, attack and ratio of each panel, ratio before attack."""
    rank = positions(order, frame[["task", "partition", "attack"]].to_numpy().ravel("F"))
    found = frame[SCENARIO].drop_duplicates().itertuples(index=False, name=None)
    return sorted(found, key=lambda s: (rank[s[0]], rank[s[1]], s[3], rank[s[2]]))


def names(scenarios: Sequence[tuple]) -> dict[tuple, list[str]]:
    """Name scenarios by attack and ratio, before them task and partition where they differ."""
    differs = [len(set(values)) > 1 for values in zip(*scenarios, strict=True)][:2]
    return {
        scenario: [*compress(scenario, differs), scenario[2], say_share(scenario[3])]
        for scenario in scenarios
    }


def statistic(frame: pd.DataFrame, drawn: str) -> str:
    """Say what is drawn: task and partition where there is but one, ``drawn``."""
    single = [frame[k].iloc[0] for k in ("task", "partition") if frame[k].nunique() == 1]
    return ", ".join([*single, drawn])


def short(name: str, most: int = LONGEST) -> str:
    """A name that fits a figure: beginning and end of one that is longer."""
    end = most // 3
    return (
        name
        if len(name) <= most
        else f"{name[: most - end - 1]}\N{HORIZONTAL ELLIPSIS}{name[-end:]}"
    )


def blank(reason: str) -> Figure:
    """A picture that says why there is nothing to see in its place."""
    with matplotlib.rc_context(STYLE):
        figure = Figure((6, 2.5))
        figure.text(0.5, 0.5, textwrap.fill(reason, 75), ha="center", va="center", color="gray")
    return figure


def draw(drawing: Callable[[], Figure], *paths: Path) -> None:
    """Draw a figure and write it; where it cannot be drawn, write a picture that says why.

    So it costs nothing else: the other figures, the tables and the page do not wait for it. The
    log has the traceback.

    Raises:
        InputError: as ``drawing`` does, and where the disk takes no file.
    """
    try:
        save(drawing(), *paths)
    except (InputError, OSError):
        raise
    except Exception as error:
        traceback.print_exc()
        save(blank(f"This figure cannot be drawn: {type(error).__name__}: {error}"), *paths)


def save(figure: Figure, *paths: Path) -> None:
    """Write a figure as PDF, PNG or SVG; the same figure gives the same bytes."""
    dpi = min(150, MOST_PIXELS / max(figure.get_size_inches()))
    for path in paths:
        metadata = _METADATA[path.suffix]
        with (
            replacing(path) as partial,
            matplotlib.rc_context({"svg.hashsalt": "fedsieve", "text.parse_math": False}),
            warnings.catch_warnings(),
        ):
            # a box stands for a character that the font lacks
            warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
            figure.savefig(partial, format=path.suffix[1:], dpi=dpi, metadata=metadata)
