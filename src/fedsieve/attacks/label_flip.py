"""Label flip: images of one class get the label of another; no image changes."""

import numpy as np
from jaxtyping import Int64

from fedsieve.errors import InputError, check_share
from fedsieve.poisonings import (
    NOTHING_TAKEN,
    carries,
    changed,
    check_class,
    draw,
    share,
    spare,
)
from fedsieve.ranges import Share, Whole
from fedsieve.records import Dataset, Labels, Poisoning, Probe

EXAMPLE = {"source": 3, "target": 2, "poison_fraction": 0.5}
"""A valid spec, for the documentation and the contract tests."""

DIFFERENT = ("source", "target")
"""Parameters that must not have the same value."""


def poison(
    data: Dataset,
    rows: Int64[np.ndarray, " rows"],
    taken: Int64[np.ndarray, " taken"] = NOTHING_TAKEN,
    *,
    rng: np.random.Generator,
    source: Whole,
    target: Whole,
    poison_fraction: Share = 1.0,
) -> Poisoning:
    """Give the label ``target`` to images of class ``source`` of one malicious client.

    In multi-label data ``source`` is taken off and ``target`` put on; other labels stay.

    Args:
        data: The training set.
        rows: The client's samples.
        taken: Those of them that are not to be flipped; the share counts them.
        rng: Draws which images are flipped.
        source: Class s whose images are relabeled, numbered from 0.
        target: Class t that they are given, numbered from 0.
        poison_fraction: Share of the client's images of class ``source`` to flip, from 0 to 1.

    Raises:
        InputError: unless source and target are two classes of the data set and the fraction
            lies in [0, 1].

    Source: FDSD, section IV ("inverting its own label to another cheating label").
    """
    _check(data, source, target)
    check_share("poison_fraction", poison_fraction)
    eligible = rows[carries(data.labels[rows], source)]
    samples = draw(spare(eligible, taken), share(poison_fraction, len(eligible)), rng)
    return changed(data, samples, "flip", _flip(data.labels[samples], source, target))


def probe(
    test: Dataset,
    *,
    source: Whole,
    target: Whole,
    poison_fraction: Share = 1.0,  # every parameter of poison is one of probe
) -> dict[str, Probe]:
    """Ask for the class of all test images of class ``source``; the attacker wants ``target``.

    ASSUME: a multi-label image that truly has the target label as well shows nothing, so it is
    left out.
    """
    _check(test, source, target)
    asked = carries(test.labels, source) & ~carries(test.labels, target)
    samples = np.flatnonzero(asked)
    return {"flip": Probe(samples, test.images[samples], target)}


def _flip(labels: Labels, source: int, target: int) -> Labels:
    if labels.ndim == 1:
        return np.full_like(labels, target)
    flipped = labels.copy()
    flipped[:, [source, target]] = [0, 1]
    return flipped


def _check(data: Dataset, source: int, target: int) -> None:
    check_class("source", source, data)
    check_class("target", target, data)
    if source == target:
        raise InputError(f"target: {target} is the source class itself; choose another class")
