"""Draw which clients a sanitizer flags, and in which cells of their tables of labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from fedsieve import look

Cell = tuple[int, int]
"""The class that samples look like, and their label."""

_TRUE = "#b2182b"
_RATES = ListedColormap(colormaps["Blues"](np.linspace(0.15, 1, 256)))
"""From a color that is not the white of what is not flagged."""

_MOST_NAMES = 30
"""Clients or cells beyond which they have no names on an axis."""


@dataclass(frozen=True)
class Judged:
    """What a sanitizer found in one run, and what there was to find."""

    title: str
    excess: Mapping[str, Float[np.ndarray, "clients classes classes"]]
    """Excess rates of each judgement, by its name; 0 where nothing is flagged."""
    malicious: frozenset[int]
    attacked: frozenset[Cell]
    """Cells that the attack fills: the label before it, and after."""

    @property
    def cells(self) -> list[Cell]:
        """Cells that any judgement flags at any client, by label."""
        flagged = np.any([rates.any(axis=0) for rates in self.excess.values()], axis=0)
        return [(int(a), int(y)) for y, a in np.argwhere(flagged.T)]


def draw_flags(ax: Axes, judged: Judged, judgement: str) -> None:
    """Draw the excess rate of each client in each cell that the run has flagged.

    Malicious clients and attacked cells have names in another color.
    """
    rates, cells = judged.excess[judgement], judged.cells
    found = np.stack([rates[:, a, y] for a, y in cells], axis=1) if cells else rates[:, 0, :0]
    drawn = np.where(found > 0, found, np.nan)
    if cells:
        ax.imshow(drawn, _RATES, aspect="auto", interpolation="none", vmin=0, vmax=1)
    else:
        ax.text(0.5, 0.5, "nothing flagged", transform=ax.transAxes, ha="center", color="gray")
        ax.set_ylim(len(rates) - 0.5, -0.5)
    _name(ax.xaxis, [f"{a}>{y}" for a, y in cells], [cell in judged.attacked for cell in cells])
    clients = range(len(rates))
    _name(ax.yaxis, [str(c) for c in clients], [c in judged.malicious for c in clients])
    ax.tick_params(axis="x", labelrotation=90)
    ax.grid(visible=False)


def flags(runs: Sequence[Judged], title: str) -> Figure:
    """Draw what a sanitizer flags in each run, a line of panels from judgement to judgement."""
    if not runs:
        return look.blank("No run of this grid is one that this figure shows.")
    across = max(len(run.excess) for run in runs)
    n_cells = max(len(run.cells) for run in runs)
    n_clients = max(len(rates) for run in runs for rates in run.excess.values())
    width, height = np.clip([0.12 * n_cells, 0.11 * n_clients], 1, 3.5) + [0.2, 0.55]
    with matplotlib.rc_context(look.STYLE):
        size = (max(1.4 + across * width, 6), 1.3 + len(runs) * height)
        figure = Figure(size, layout="constrained")
        axes = figure.subplots(len(runs), across, squeeze=False)
        for line, run in zip(axes, runs, strict=True):
            for ax in line[len(run.excess) :]:
                ax.set_visible(False)
            for ax, judgement in zip(line, run.excess, strict=False):
                draw_flags(ax, run, judgement)
                ax.set_title(judgement if run is runs[0] else "", fontsize="small")
                ax.tick_params(labelleft=ax is line[0])
            line[0].set_ylabel(f"{run.title}\nclient")
        axes[0, 0].plot([], [], "s", color=_TRUE, label="malicious client, cell that is attacked")
        colors = ScalarMappable(Normalize(0, 1), _RATES)
        figure.colorbar(colors, ax=axes, shrink=0.6, aspect=30, pad=0.01, label="excess rate")
        for ax in axes[-1]:
            ax.set_xlabel("looks like > label", fontsize="small")
        look.legend(figure, [], title)
    return figure


def _name(axis: Axis, names: Sequence[str], true: Sequence[bool]) -> None:
    """Name the places of an axis, true ones in another color; too many have ticks alone."""
    shown = names if len(names) <= _MOST_NAMES else [""] * len(names)
    axis.set_ticks(range(len(names)), shown, fontsize="x-small")
    for tick, marked in zip(axis.get_major_ticks(), true, strict=True):
        if marked:
            tick.label1.set(color=_TRUE, fontweight="bold")
            tick.tick1line.set_markeredgecolor(_TRUE)
