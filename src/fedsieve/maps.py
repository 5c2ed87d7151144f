"""Draw how the layers of a network respond to an image with and without a trigger.

``draw_*`` draw on an axis that they are given; the others return a figure.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fedsieve import look
from fedsieve.wording import with_minus

SIDE = 2
"""Channels beside and below each other that are shown of a layer of maps."""

MODELS: dict[str, dict[str, Any]] = {
    "trained on the poisoned data": {"color": "#de8f05", "hatch": "///"},
    "trained without the attack": {"color": "#9fb4c7", "hatch": ""},
}
"""Models whose correlations are compared, from left to right."""

_LONGEST = 16
"""Characters that fit below the bar of a class."""

_LARGEST = "#b2182b"
_VALUES = "#0173b2"


def draw_vector(
    ax: Axes,
    values: Float[np.ndarray, " values"],
    limits: tuple[float, float],
    names: Sequence[str] = (),
) -> None:
    """Draw a bar for each value between two limits; where they have names, mark the largest."""
    places = np.arange(len(values))
    marked = (places == values.argmax()) & bool(names)
    ax.bar(places, values, 0.9, color=np.where(marked, _LARGEST, _VALUES), linewidth=0)
    ax.axhline(0, color="gray", lw=0.5)
    ax.grid(visible=False)
    ax.tick_params(length=0)
    rotation = 90 if max(map(len, names), default=0) > 2 else 0
    ax.set_xticks(places[: len(names)], names, rotation=rotation, fontsize="x-small")
    ax.set(yticks=[], ylim=limits)


def draw_correlations(ax: Axes, table: pd.DataFrame) -> None:
    """Draw how alike the responses to a clean image and its twin are, per layer and model.

    Args:
        table: ``layer``, ``model`` (of ``MODELS``), and over images ``mean`` and ``sd``.
    """
    layers = list(dict.fromkeys(table["layer"]))
    for i, (model, style) in enumerate(MODELS.items()):
        rows = table[table["model"] == model].set_index("layer").loc[layers]
        x = np.arange(len(layers)) + 0.36 * (i - (len(MODELS) - 1) / 2)
        whiskers = {"elinewidth": 0.9, "capsize": 2}
        ax.bar(x, rows["mean"], 0.33, yerr=rows["sd"], label=model, error_kw=whiskers, **style)
    ax.axhline(0, color="black", lw=0.8)
    ax.set_xticks(range(len(layers)), layers)
    ax.set(ylabel="Pearson\ncorrelation", xlim=(-0.5, len(layers) - 0.5))
    ax.grid(visible=False, axis="x")


def feature_maps(
    pair: Mapping[str, np.ndarray],
    alike: Mapping[str, float],
    table: pd.DataFrame,
    classes: Sequence[str],
    title: str,
) -> Figure:
    """Draw a clean image above its patched twin as each layer sees them, and how alike they are.

    Args:
        pair: Each layer's responses to the two, [2, channels, height, width] or [2, values]: the
            first are pixels between -1 and 1, the last is a value per class.
        alike: Correlation of the two in each layer.
        table: The same over many pairs; see ``draw_correlations``.
    """
    if not all(np.isfinite(responses).all() for responses in pair.values()):
        return look.blank("What the model says is no finite number: its training diverged.")
    names = {list(pair)[-1]: [look.short(name, _LONGEST) for name in classes]}
    with matplotlib.rc_context(look.STYLE):
        figure = Figure((0.9 + 1.3 * len(pair), 5), layout="constrained")
        grid = figure.add_gridspec(3, len(pair), height_ratios=[1, 1, 1.1])
        for column, (layer, responses) in enumerate(pair.items()):
            axes = [figure.add_subplot(grid[row, column]) for row in range(2)]
            _draw_pair(axes, responses, names.get(layer, ()), pixels=column == 0)
            axes[0].set_title(with_minus(f"{layer}\nr = {alike[layer]:.2f}"))
        for ax, name in zip(figure.axes, ("clean", "with trigger"), strict=False):
            ax.set_ylabel(name)
        draw_correlations(figure.add_subplot(grid[2, :]), table)
        look.legend(figure, list(MODELS), title)
    return figure


def _draw_pair(
    axes: Sequence[Axes], responses: np.ndarray, names: Sequence[str], *, pixels: bool
) -> None:
    """Draw a layer's two responses on the same scale."""
    room = 0.05 * float(np.ptp(responses))
    limits = float(responses.min()) - room, float(responses.max()) + room
    pictures = responses if responses.ndim == 2 else (_image if pixels else _tiles)(responses)
    for ax, picture in zip(axes, pictures, strict=True):
        for spine in ax.spines.values():
            spine.set_visible(False)
        if picture.ndim == 1:
            draw_vector(ax, picture, limits, names)
            ax.tick_params(labelbottom=ax is axes[-1])
        else:
            ax.imshow(picture, cmap="gray" if pixels else "viridis", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])


def _image(pixels: Float[np.ndarray, "2 channels height width"]) -> np.ndarray:
    """Turn pixels between -1 and 1 into what is drawn: gray, or three colors as the last axis."""
    colors = np.moveaxis((pixels + 1) / 2, 1, -1)
    return colors if colors.shape[-1] == 3 else colors[..., 0]


def _tiles(maps: Float[np.ndarray, "2 channels height width"]) -> np.ndarray:
    """Lay the channels that vary most out in a square, each scaled to [0, 1] over both images."""
    chosen = np.sort(np.argsort(-maps.std(axis=(0, 2, 3)), kind="stable")[: SIDE**2])
    low, high = (f(maps[:, chosen], axis=(0, 2, 3), keepdims=True) for f in (np.min, np.max))
    scaled = (maps[:, chosen] - low) / np.maximum(high - low, np.finfo(np.float32).tiny)
    gap = max(1, maps.shape[-1] // 12)
    room = ((0, 0), (0, SIDE**2 - len(chosen)), (0, gap), (0, gap))
    tiles = np.pad(scaled, room, constant_values=np.nan)
    height, width = tiles.shape[2:]
    square = tiles.reshape(-1, SIDE, SIDE, height, width).swapaxes(2, 3)
    return square.reshape(-1, SIDE * height, SIDE * width)[:, :-gap, :-gap]
