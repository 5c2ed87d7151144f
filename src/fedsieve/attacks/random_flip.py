"""Random flip: attackers draw the class that they relabel, and the class that they give it."""

from typing import Annotated

import numpy as np
from jaxtyping import Int64

from fedsieve.attacks import label_flip
from fedsieve.errors import InputError, check_share
from fedsieve.poisonings import NOTHING_TAKEN
from fedsieve.ranges import OneOf, Share
from fedsieve.records import Dataset, Poisoning, Probe

EXAMPLE = {"drawn": "each", "poison_fraction": 0.5}
"""A valid spec, for the documentation and the contract tests."""

Drawn = Annotated[str, OneOf("each", "together")]

UNTARGETED = True
"""It wants no class of any one image: it has no probe, and its success shows in accuracy."""


def poison(
    data: Dataset,
    rows: Int64[np.ndarray, " rows"],
    taken: Int64[np.ndarray, " taken"] = NOTHING_TAKEN,
    *,
    rng: np.random.Generator,
    common: np.random.Generator,
    drawn: Drawn = "each",
    poison_fraction: Share = 1.0,
) -> Poisoning:
    """Draw two classes, source and target, and flip labels as ``label_flip`` does.

    Args:
        data: The training set.
        rows: The samples of one malicious client.
        taken: Those of them that are not to be flipped; the share counts them.
        rng: Draws for this client alone.
        common: Draws the same for each malicious client of a run.
        drawn: ``each``, every attacker has a pair of its own; ``together``, they share one, which
            another seed changes.
        poison_fraction: Share of the client's images of the source class to flip, from 0 to 1.

    Raises:
        InputError: unless drawn is one of the two, and the fraction lies in [0, 1].

    Source: MCDFL, section V-D ("the source class which is tampered is randomly selected by
    attackers").
    ASSUME: the target is drawn as well, evenly among the other classes, of which the paper is
    silent; whether attackers draw each for itself or all together it leaves open, too.
    """
    _check(drawn, poison_fraction)
    source, target = (common if drawn == "together" else rng).permutation(len(data.classes))[:2]
    return label_flip.poison(
        data,
        rows,
        taken,
        rng=rng,
        source=int(source),
        target=int(target),
        poison_fraction=poison_fraction,
    )


def probe(
    test: Dataset, *, drawn: Drawn = "each", poison_fraction: Share = 1.0
) -> dict[str, Probe]:
    """Ask nothing: who has drawn what is not known here."""
    _check(drawn, poison_fraction)
    return {}


def _check(drawn: str, poison_fraction: float) -> None:
    if drawn not in ("each", "together"):
        raise InputError(f"drawn: {drawn!r} is neither each nor together")
    check_share("poison_fraction", poison_fraction)
