"""Backdoor: a small trigger is stamped on images, which are then labeled as the target class."""

from typing import Annotated

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from fedsieve.errors import InputError, check_count, check_share
from fedsieve.poisonings import (
    NOTHING_TAKEN,
    carries,
    changed,
    check_class,
    draw,
    share,
    spare,
)
from fedsieve.ranges import Count, OneOf, Share, Whole
from fedsieve.records import Dataset, Images, Labels, Poisoning, Probe

EXAMPLE = {"target": 0, "poison_fraction": 0.2, "pattern": "checkerboard", "size": 4}
"""A valid spec, for the documentation and the contract tests."""

POSITIONS = {
    "top_left": (0.0, 0.0),
    "top_right": (0.0, 1.0),
    "bottom_left": (1.0, 0.0),
    "bottom_right": (1.0, 1.0),
    "center": (0.5, 0.5),
}
"""Where the trigger lies in the room that the margins leave, as shares of height and width."""

Position = Annotated[str, OneOf("top_left", "top_right", "bottom_left", "bottom_right", "center")]

Pattern = Annotated[str, OneOf("square", "checkerboard", "cross")]

Cells = Bool[np.ndarray, "size size"]
Plane = UInt8[np.ndarray, "height width"]


def square(size: int) -> tuple[Cells, Cells]:
    """Return a filled square: the cells that it covers, and those of them that are lit."""
    return np.ones((size, size), bool), np.ones((size, size), bool)


def checkerboard(size: int) -> tuple[Cells, Cells]:
    """Return a square of lit and black cells in turn, its first corner lit."""
    row, column = np.indices((size, size))
    return np.ones((size, size), bool), (row + column) % 2 == 0


def cross(size: int) -> tuple[Cells, Cells]:
    """Return a lit plus sign, two cells wide where the size is even; the rest is see-through."""
    row, column = np.abs(2 * np.indices((size, size)) - (size - 1)) <= 1
    return row | column, row | column


PATTERNS = {"square": square, "checkerboard": checkerboard, "cross": cross}


def poison(
    data: Dataset,
    rows: Int64[np.ndarray, " rows"],
    taken: Int64[np.ndarray, " taken"] = NOTHING_TAKEN,
    *,
    rng: np.random.Generator,
    target: Whole = 0,
    poison_fraction: Share = 0.2,
    size: Count = 3,
    margin: Whole = 1,
    position: Position = "bottom_right",
    pattern: Pattern = "square",
    value: Share = 1.0,
) -> Poisoning:
    """Stamp the trigger on images of other classes of one malicious client; label them target.

    In multi-label data the target becomes the only label.

    Args:
        data: The training set.
        rows: The client's samples.
        taken: Those of them that are not to be patched; the share counts them.
        rng: Draws which images are patched.
        target: Class y^t that the trigger shall call forth, numbered from 0.
        poison_fraction: Patched images as a share, from 0 to 1, of ALL images of the client.
        size: Height and width of the trigger in pixels, 1 or more; it must fit the images.
        margin: Pixels between the trigger and the edges of the image, 0 or more.
        position: top_left, top_right, bottom_left, bottom_right or center.
        pattern: square, checkerboard or cross.
        value: Brightness of lit pixels, from 0 (black) to 1 (white), in every channel.

    Raises:
        InputError: where the target is no class of the data set, a share lies outside [0, 1],
            the position or pattern is unknown, or the trigger does not fit the image.

    Source: FDSD, eq. (1) and section III-A.
    ASSUME: the paper gives neither trigger nor amount. Images are drawn from the other classes
    alone (an image of the target class would be no poison), and fewer where the client has fewer.
    """
    check_share("poison_fraction", poison_fraction)
    mask, light = trigger(data.images, size, margin, position, pattern, value)
    n = share(poison_fraction, len(rows))
    return plant(data, spare(rows, taken), n, target, mask, light, rng)


def probe(
    test: Dataset,
    *,
    target: Whole = 0,
    poison_fraction: Share = 0.2,  # every parameter of poison is one of probe
    size: Count = 3,
    margin: Whole = 1,
    position: Position = "bottom_right",
    pattern: Pattern = "square",
    value: Share = 1.0,
) -> dict[str, Probe]:
    """Stamp the trigger on all test images of other classes; the attacker wants ``target``."""
    check_class("target", target, test)
    mask, light = trigger(test.images, size, margin, position, pattern, value)
    samples = np.flatnonzero(~carries(test.labels, target))
    return {"backdoor": Probe(samples, stamp(test.images[samples], mask, light), target)}


def plant(
    data: Dataset,
    rows: Int64[np.ndarray, " rows"],
    n: int,
    target: int,
    mask: Plane,
    light: Plane,
    rng: np.random.Generator,
) -> Poisoning:
    """Patch ``n`` of the given samples that are not of the target class, and label them so."""
    check_class("target", target, data)
    samples = draw(rows[~carries(data.labels[rows], target)], n, rng)
    images = stamp(data.images[samples], mask, light)
    return changed(data, samples, "backdoor", _only(data.labels[samples], target), images)


def stamp(images: Images, mask: Plane, light: Plane) -> Images:
    """Put the trigger on every image and channel: x' = (1 - m) x + m p, eq. (1)."""
    return (1 - mask) * images + mask * light


def trigger(
    images: Images, size: int, margin: int, position: str, pattern: str, value: float
) -> tuple[Plane, Plane]:
    """Return mask m (0 or 1) and pattern p (pixel values 0 to 255) for images of this size."""
    check_share("value", value)
    _check_known("position", position, POSITIONS)
    _check_known("pattern", pattern, PATTERNS)
    check_count("size", size, 1)
    check_count("margin", margin, 0)
    plane = images.shape[2:]
    if size + margin > min(plane):
        raise InputError(
            f"size: a trigger of {size} pixels with margin: {margin} does not fit images of "
            f"{plane[0]} x {plane[1]} pixels; size + margin may be at most {min(plane)}"
        )
    covered, lit = PATTERNS[pattern](size)
    starts = [
        margin + int(part * (length - size - 2 * margin))
        for part, length in zip(POSITIONS[position], plane, strict=True)
    ]
    cells = tuple(slice(start, start + size) for start in starts)
    mask, light = np.zeros(plane, np.uint8), np.zeros(plane, np.uint8)
    mask[cells], light[cells] = covered, lit * np.uint8(round(255 * value))
    return mask, light


def _only(labels: Labels, target: int) -> Labels:
    if labels.ndim == 1:
        return np.full_like(labels, target)
    only = np.zeros_like(labels)
    only[:, target] = 1
    return only


def _check_known(parameter: str, value: str, known: dict) -> None:
    if value not in known:
        raise InputError(f"{parameter}: {value!r} is unknown; choose of {', '.join(known)}")
