"""Draw where a label flip begins to win: share of a class by share of malicious clients."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from fedsieve import look
from fedsieve.ratios import n_malicious
from fedsieve.statistics import positions
from fedsieve.wording import say_share

CLEAN = "trained without attack"
"""Title of the panel of the clean model: the floor of attack success."""

COLORS = "viridis_r"


def boundary_map(
    values: pd.DataFrame, shares: Mapping[str, float], order: Sequence[str], n_clients: int
) -> Figure:
    """Draw attack success of each defense, and of the clean model, as panels side by side.

    A point is a run: its color is the attack's success, its place the share of a malicious client's
    source class that is flipped, and the share of clients that are malicious; seeds stand side by
    side. The line is where the flipped samples of the class become its majority over all clients,
    share of the class times share of the clients = 1/2: beyond it a cluster of that class carries
    the attacker's label most often.

    Args:
        values: Every metric of every run (stage ``values``), of one task and partition.
        shares: Attacks to draw, each with the share of the source class that it flips.
        order: Defenses from left to right.
        n_clients: Number of clients, which says how many of them a ratio makes malicious.
    """
    shown = values[values["attack"].isin(list(shares))]
    shown = shown.assign(share=shown["attack"].map(dict(shares)))
    if not shown["metric"].isin(["asr", "asr_floor"]).any():
        return look.blank("Attack success is defined in no run of a label flip.")
    asr, floor = (shown[shown["metric"] == metric] for metric in ("asr", "asr_floor"))
    rank = positions(order, asr["defense"])
    names = sorted(set(asr["defense"]), key=lambda name: rank[name])
    panels = {name: asr[asr["defense"] == name] for name in names}
    panels[CLEAN] = floor[floor["defense"].isin(names[:1])]
    tips = {
        ratio: n_clients / (2 * n_malicious(ratio, n_clients))
        for ratio in sorted(set(shown["ratio"]))
        if n_malicious(ratio, n_clients)
    }
    with matplotlib.rc_context(look.STYLE | {"axes.grid": False}):
        figure = Figure((1.2 + 3.1 * len(panels), 3.9), layout="constrained")
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for ax, (name, rows) in zip(axes, panels.items(), strict=True):
            _draw(ax, rows, sorted(set(shown["share"])), tips)
            ax.set_title(name)
        axes[0].set_ylabel("share of the class flipped at a malicious client")
        figure.supxlabel(
            "share of malicious clients; line: half of the class is flipped", size="medium"
        )
        bar = figure.colorbar(ScalarMappable(Normalize(0, 100), COLORS), ax=axes[-1])
        bar.set_label("attack success (%), a point per seed")
    return figure


def _draw(
    ax: Axes, rows: pd.DataFrame, shares: Sequence[float], tips: Mapping[float, float]
) -> None:
    """Draw one panel: a column for each ratio, with the share that tips it; shares to scale."""
    column = {ratio: place for place, ratio in enumerate(tips)}
    seeds = sorted(set(rows["seed"]))
    aside = {seed: (i + 0.5) / len(seeds) - 0.5 for i, seed in enumerate(seeds)}
    x = [column[r] + 0.75 * aside[s] for r, s in zip(rows["ratio"], rows["seed"], strict=True)]
    ax.scatter(
        x,
        rows["share"],
        c=100 * rows["value"],
        cmap=COLORS,
        vmin=0,
        vmax=100,
        s=26,
        lw=0.4,
        edgecolors="black",
    )
    for ratio, place in column.items():
        if tips[ratio] <= 1:
            ax.hlines(tips[ratio], place - 0.45, place + 0.45, "crimson", lw=1)
    ax.set_xticks(range(len(tips)), [say_share(ratio) for ratio in tips])
    ax.set_yticks(shares, [say_share(share) for share in shares])
    ax.set(xlim=(-0.5, len(tips) - 0.5), ylim=(0, 1.07 * max(shares)))
    ax.set_axisbelow(True)
    ax.grid(axis="y", color="#eeeeee")
    if np.size(x) == 0:
        ax.text(0.5, 0.5, "nothing measured", ha="center", transform=ax.transAxes)
