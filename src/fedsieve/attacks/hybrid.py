"""Hybrid: every malicious client flips labels and plants a backdoor, on different samples."""

import numpy as np
from jaxtyping import Int64

from fedsieve.attacks import backdoor, label_flip
from fedsieve.attacks.backdoor import Pattern, Position
from fedsieve.errors import check_share
from fedsieve.poisonings import check_class, merge, share
from fedsieve.ranges import Count, Share, Whole
from fedsieve.records import Dataset, Poisoning, Probe

EXAMPLE = {"source": 3, "target": 2, "flip_fraction": 0.5, "backdoor_target": 0}
"""A valid spec, for the documentation and the contract tests."""

DIFFERENT = ("source", "target")
"""Parameters that must not have the same value."""


def poison(
    data: Dataset,
    rows: Int64[np.ndarray, " rows"],
    *,
    rng: np.random.Generator,
    source: Whole,
    target: Whole,
    flip_fraction: Share = 1.0,
    backdoor_target: Whole = 0,
    backdoor_fraction: Share = 0.2,
    size: Count = 3,
    margin: Whole = 1,
    position: Position = "bottom_right",
    pattern: Pattern = "square",
    value: Share = 1.0,
) -> Poisoning:
    """Flip labels as ``label_flip``, then patch samples that were not flipped as ``backdoor``.

    Args:
        data: The training set.
        rows: The samples of one malicious client.
        rng: Draws which images are flipped, then which are patched.
        source: Class whose images are relabeled, numbered from 0.
        target: Class that they are given, numbered from 0.
        flip_fraction: Share of the client's images of class ``source`` to flip, from 0 to 1.
        backdoor_target: Class that the trigger shall call forth, numbered from 0.
        backdoor_fraction: Patched images as a share, from 0 to 1, of ALL images of the client.
        size: Trigger, as are the parameters below: see ``backdoor``.
        margin: See ``backdoor``.
        position: See ``backdoor``.
        pattern: See ``backdoor``.
        value: See ``backdoor``.

    Raises:
        InputError: as the two attacks do.

    Source: FDSD, section IV.
    ASSUME: the paper "mixes" the attacks without saying how; here every malicious client does
    both, and no sample is poisoned twice.
    """
    _check(data, flip_fraction, backdoor_target, backdoor_fraction)
    flipped = label_flip.poison(
        data, rows, rng=rng, source=source, target=target, poison_fraction=flip_fraction
    )
    mask, light = backdoor.trigger(data.images, size, margin, position, pattern, value)
    patched = backdoor.plant(
        data,
        np.setdiff1d(rows, flipped.samples),
        share(backdoor_fraction, len(rows)),
        backdoor_target,
        mask,
        light,
        rng,
    )
    return merge(flipped.malicious, [flipped, patched])


def probe(
    test: Dataset,
    *,
    source: Whole,
    target: Whole,
    flip_fraction: Share = 1.0,
    backdoor_target: Whole = 0,
    backdoor_fraction: Share = 0.2,
    size: Count = 3,
    margin: Whole = 1,
    position: Position = "bottom_right",
    pattern: Pattern = "square",
    value: Share = 1.0,
) -> dict[str, Probe]:
    """Ask what both attacks ask, apart: pooled, the many triggered images would drown the flip."""
    _check(test, flip_fraction, backdoor_target, backdoor_fraction)
    flips = label_flip.probe(test, source=source, target=target, poison_fraction=flip_fraction)
    patches = backdoor.probe(
        test,
        target=backdoor_target,
        poison_fraction=backdoor_fraction,
        size=size,
        margin=margin,
        position=position,
        pattern=pattern,
        value=value,
    )
    return flips | patches


def _check(data: Dataset, flip_fraction: float, target: int, backdoor_fraction: float) -> None:
    """Name this file's own parameters in a message, not those of the attacks it composes."""
    check_share("flip_fraction", flip_fraction)
    check_class("backdoor_target", target, data)
    check_share("backdoor_fraction", backdoor_fraction)
