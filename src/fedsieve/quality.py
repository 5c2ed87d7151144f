"""Draw what a detector knows of clients: data quality of each, updates in the plane.

``draw_*`` draw on an axis that they are given; ``quality`` and ``updates`` return a figure.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import silhouette_score

from fedsieve import look
from fedsieve.statistics import SCENARIO
from fedsieve.wording import say_rate, with_minus

TRUTH: dict[str, dict[str, Any]] = {
    "benign": {"color": "#0173b2", "marker": "o"},
    "malicious": {"color": "#de8f05", "marker": "^"},
}
"""What a client is, and how its data and its updates are drawn."""

_RING: dict[str, Any] = {
    "marker": "o",
    "facecolors": "none",
    "edgecolors": "black",
    "linewidths": 0.8,
}

PER_LINE = 5
"""Panels of updates beside each other."""


@dataclass(frozen=True)
class Separation:
    """How far apart two groups of points lie; each number is None where it is undefined."""

    silhouette: float | None
    accuracy: float | None
    """Of linear discriminant analysis on the points that it was fitted to."""
    majority: float | None
    """Share of the larger group: the accuracy of calling every point the same."""


@dataclass(frozen=True)
class Updates:
    """Updates of a run in the plane of their main axes, and whether their clients are malicious."""

    title: str
    points: Float[np.ndarray, "updates 2"]
    malicious: Bool[np.ndarray, " updates"]


def separation(
    points: Float[np.ndarray, "updates 2"], malicious: Bool[np.ndarray, " updates"]
) -> Separation:
    """Measure how far apart benign and malicious updates lie, whatever a detector makes of them.

    Silhouette and accuracy are undefined unless there are both kinds, and three updates that are
    not all the same.
    """
    if len(points) == 0:
        return Separation(None, None, None)
    share = float(malicious.mean())
    if share in (0, 1) or len(points) < 3 or not np.ptp(points, axis=0).any():
        return Separation(None, None, max(share, 1 - share))
    fitted = LinearDiscriminantAnalysis().fit(points, malicious)
    return Separation(
        silhouette=float(silhouette_score(points, malicious)),
        accuracy=float(fitted.score(points, malicious)),
        majority=max(share, 1 - share),
    )


def draw_quality(ax: Axes, clients: pd.DataFrame, ylabel: str = "data quality") -> None:
    """Draw the score of every client, by what it is, with a ring around those flagged.

    Clients without a finite score are ticks on the axis.

    Args:
        clients: A row per client: ``client``, ``score``, and whether it is ``malicious`` and
            was ``flagged``.
    """
    has = np.isfinite(clients["score"].to_numpy(float))
    known = clients[has]
    for name, style in TRUTH.items():
        rows = known[known["malicious"] == (name == "malicious")]
        ax.scatter(rows["client"], rows["score"], 13, label=name, linewidths=0, **style)
    rings = known[known["flagged"]]
    ax.scatter(rings["client"], rings["score"], 42, label="flagged", zorder=3, **_RING)
    unknown = clients.loc[~has, "client"]
    if len(unknown):
        on_axis = ax.get_xaxis_transform()
        (ticks,) = ax.plot(unknown, np.zeros(len(unknown)), "|", transform=on_axis, clip_on=False)
        ticks.set(label="not scored", color="gray", markeredgewidth=0.5)
    ax.set(xlabel="client", ylabel=ylabel)
    ax.margins(x=0.06, y=0.08)
    ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def quality(
    clients: pd.DataFrame, order: Sequence[str], title: str, ylabel: str = "data quality"
) -> Figure:
    """Draw all clients' scores: a line of panels per attack, a panel per ratio.

    Args:
        clients: A row per client and scenario, with the labels of the scenario; see
            ``draw_quality``.
        order: Labels of attacks as the config has them.
    """
    if clients.empty:
        return look.blank("No client was screened before any round.")
    scenarios = look.scenarios(clients, order)
    titles = {s: f"{', '.join(name)} malicious" for s, name in look.names(scenarios).items()}
    attacks = list(dict.fromkeys(s[:3] for s in scenarios))
    lines = [[s for s in scenarios if s[:3] == attack] for attack in attacks]
    width = max(map(len, lines))
    with matplotlib.rc_context(look.STYLE):
        figure = Figure((max(0.7 + 1.6 * width, 5), 1 + 1.45 * len(lines)), layout="constrained")
        axes = figure.subplots(len(lines), width, squeeze=False, sharex=True, sharey=True)
        for row, line in zip(axes, lines, strict=True):
            for ax, scenario in itertools.zip_longest(row, line):
                ax.set_visible(scenario is not None)
                if scenario is not None:
                    panel = clients[(clients[SCENARIO] == list(scenario)).all(axis=1)]
                    draw_quality(ax, panel, ylabel if ax is row[0] else "")
                    ax.set_title(titles[scenario], fontsize="small")
        _label_lowest(axes)
        look.legend(figure, list(TRUTH), title)
    return figure


def draw_updates(ax: Axes, updates: Updates, measured: Separation) -> None:
    """Scatter updates by what their clients are, with the separation of the two."""
    for name, style in TRUTH.items():
        xy = updates.points[updates.malicious == (name == "malicious")]
        ax.scatter(xy[:, 0], xy[:, 1], 12, label=name, alpha=0.75, linewidths=0, **style)
    ax.set_title(f"{updates.title}\n{_in_words(measured)}", fontsize="small")
    ax.set(xlabel="component 1", ylabel="component 2", xticks=[], yticks=[])


def updates(panels: Sequence[Updates], title: str) -> Figure:
    """Draw the updates of runs beside each other, at most ``PER_LINE``."""
    if not panels:
        return look.blank("No run under attack recorded updates that are finite numbers.")
    width = min(len(panels), PER_LINE)
    height = -(-len(panels) // width)
    with matplotlib.rc_context(look.STYLE):
        figure = Figure((max(2.1 * width, 5), 0.8 + 2.3 * height), layout="constrained")
        axes = figure.subplots(height, width, squeeze=False)
        for ax, panel in itertools.zip_longest(axes.flat, panels):
            ax.set_visible(panel is not None)
            if panel is not None:
                draw_updates(ax, panel, separation(panel.points, panel.malicious))
                ax.set_ylabel(ax.get_ylabel() if ax in axes[:, 0] else "")
        _label_lowest(axes)
        look.legend(figure, list(TRUTH), title)
    return figure


def _label_lowest(axes: np.ndarray) -> None:
    """Label the x-axis of the lowest panel of each column alone."""
    for column in axes.T:
        *above, lowest = [ax for ax in column if ax.get_visible()]
        lowest.tick_params(labelbottom=True)
        for ax in above:
            ax.set_xlabel("")


def _in_words(measured: Separation) -> str:
    """Say how far apart two groups are, or that there is one."""
    if measured.accuracy is None or measured.silhouette is None or measured.majority is None:
        return "nothing to tell apart\n"
    shares = f"LDA {say_rate(measured.accuracy)} %, majority {say_rate(measured.majority)} %"
    return with_minus(f"{shares}\nsilhouette {measured.silhouette:.2f}")
