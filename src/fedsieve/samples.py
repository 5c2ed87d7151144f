"""Draw images of samples, by what a sanitizer made of them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fedsieve import look

FATES = ("poisoned, removed", "poisoned, kept", "clean, removed")
"""What may become of a sample that is of interest, from left to right."""

PER_FATE = 8
"""Images of each fate that are drawn."""

_GAP = 2
"""Pixels between images."""


class Shown(NamedTuple):
    """Some images of one fate with a label each, and how many there are, of how many."""

    images: UInt8[np.ndarray, "shown channels height width"]
    labels: Sequence[str]
    n: int
    of: int


def mosaic(images: UInt8[np.ndarray, "shown channels height width"]) -> np.ndarray:
    """Set images beside each other: [height, width of all, channels], values from 0 to 1.

    There is room for PER_FATE of them, white where there are fewer, and between them. Other
    channels than one of gray or three of color are shown as their mean.
    """
    if images.shape[1] not in (1, 3):
        images = images.mean(axis=1, keepdims=True).astype(np.uint8)
    _, channels, height, width = images.shape
    found = np.ones((height, PER_FATE * (width + _GAP) - _GAP, channels))
    for i, image in enumerate(images):
        left = i * (width + _GAP)
        found[:, left : left + width] = image.transpose(1, 2, 0) / 255
    return found


def draw_shown(ax: Axes, shown: Shown) -> None:
    """Draw images in a line, below them their labels, above them how many there are."""
    width = shown.images.shape[-1]
    set_out = mosaic(shown.images)
    picture = set_out[..., 0] if set_out.shape[-1] == 1 else set_out
    ax.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    for i, label in enumerate(shown.labels):
        center = i * (width + _GAP) + width / 2
        ax.annotate(
            label, (center, 0), (0, -2), ("data", "axes fraction"), "offset points",
            ha="center", va="top", fontsize=6,
        )  # fmt: skip
    ax.set_title(f"{shown.n:,} of {shown.of:,}", fontsize=7, loc="left", pad=2)
    ax.set_axis_off()


def caught(lines: Mapping[str, Mapping[str, Shown]], title: str) -> Figure:
    """Draw a line for each run, in it the images of each of FATES."""
    if not lines:
        return look.blank("No run of this grid is one that this figure shows.")
    with matplotlib.rc_context(look.STYLE):
        figure = Figure((9.5, 0.6 + 0.7 * len(lines)), layout="constrained")
        axes = figure.subplots(len(lines), len(FATES), squeeze=False)
        for line, (name, fates) in zip(axes, lines.items(), strict=True):
            for ax, fate in zip(line, FATES, strict=True):
                draw_shown(ax, fates[fate])
            line[0].annotate(
                "\n".join(map(look.short, name.splitlines())),
                (0, 0.5), (-8, 0), "axes fraction", "offset points",
                ha="right", va="center", fontsize=8,
            )  # fmt: skip
        for ax, fate in zip(axes[0], FATES, strict=True):
            ax.annotate(
                fate, (0.5, 1), (0, 13), "axes fraction", "offset points",
                ha="center", va="bottom", fontsize=9,
            )  # fmt: skip
        figure.supxlabel(title, fontsize=8)
    return figure
