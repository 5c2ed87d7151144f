"""Hybrid: every malicious client runs several attacks, each on samples of its own."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import numpy as np
from jaxtyping import Int64

from fedsieve import registry
from fedsieve.attacks import backdoor, label_flip
from fedsieve.attacks.backdoor import Pattern, Position
from fedsieve.errors import InputError, check_share
from fedsieve.poisonings import (
    NOTHING_TAKEN,
    check_class,
    check_poisoning,
    merge,
    probes,
    spare,
)
from fedsieve.ranges import Count, Share, Specs, Whole
from fedsieve.records import Dataset, Poisoning, Probe

EXAMPLE = {"source": 3, "target": 2, "flip_fraction": 0.5, "backdoor_target": 0}
"""A valid spec, for the documentation and the contract tests."""

DIFFERENT = ("source", "target")
"""Parameters that must not have the same value."""

EITHER = {"parts": ("source", "target")}
"""A parameter that says it all, and those that are needed where it is not given."""

Parts = Annotated[Sequence[dict], Specs("attacks")]

Step = Callable[[Dataset, Int64[np.ndarray, " rows"], Int64[np.ndarray, " taken"]], Poisoning]


def poison(
    data: Dataset,
    rows: Int64[np.ndarray, " rows"],
    taken: Int64[np.ndarray, " taken"] = NOTHING_TAKEN,
    *,
    rng: np.random.Generator,
    common: np.random.Generator | None = None,
    parts: Parts = (),
    source: Whole | None = None,
    target: Whole | None = None,
    flip_fraction: Share = 1.0,
    backdoor_target: Whole = 0,
    backdoor_fraction: Share = 0.2,
    size: Count = 3,
    margin: Whole = 1,
    position: Position = "bottom_right",
    pattern: Pattern = "square",
    value: Share = 1.0,
) -> Poisoning:
    """Run the parts in turn, each on samples that none before it has taken.

    Without ``parts``, flip labels as ``label_flip``, then patch samples that were not flipped as
    ``backdoor``: the hybrid of FDSD.

    Args:
        data: The training set.
        rows: The samples of one malicious client.
        taken: Those of them that are not to be touched.
        rng: Draws for each part in turn.
        common: Draws the same for each malicious client of a run; parts may need it.
        parts: Attacks, each with ``use`` and its parameters, one or more. A part's share counts all
            of the client's samples, taken or not; where its attack does not know ``taken``, it
            counts those that are left. Where an attack is there twice, its kinds of poison are
            told apart by their places, as in ``flip-1`` and ``flip-3``.
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
        InputError: as the attacks do, and unless there are either parts or source and target.

    Source: FDSD, section IV.
    ASSUME: the paper "mixes" the attacks without saying how; here every malicious client does
    both, and no sample is poisoned twice.
    """
    pair = _check(data, parts, source, target, flip_fraction, backdoor_target, backdoor_fraction)
    if pair is None:
        supplied = {"rng": rng} | ({} if common is None else {"common": common})
        steps = [partial(_run_part, place, parts, supplied) for place in range(len(parts))]
        return _run_in_turn(data, rows, taken, steps)
    flip = partial(
        label_flip.poison, rng=rng, source=pair[0], target=pair[1], poison_fraction=flip_fraction
    )
    patch = partial(
        backdoor.poison,
        rng=rng,
        target=backdoor_target,
        poison_fraction=backdoor_fraction,
        size=size,
        margin=margin,
        position=position,
        pattern=pattern,
        value=value,
    )
    return _run_in_turn(data, rows, taken, [flip, patch])


def probe(
    test: Dataset,
    *,
    parts: Parts = (),
    source: Whole | None = None,
    target: Whole | None = None,
    flip_fraction: Share = 1.0,
    backdoor_target: Whole = 0,
    backdoor_fraction: Share = 0.2,
    size: Count = 3,
    margin: Whole = 1,
    position: Position = "bottom_right",
    pattern: Pattern = "square",
    value: Share = 1.0,
) -> dict[str, Probe]:
    """Ask what each part asks, apart: pooled, the many triggered images would drown the flip."""
    pair = _check(test, parts, source, target, flip_fraction, backdoor_target, backdoor_fraction)
    if pair is None:
        return _probe_parts(test, parts)
    flips = label_flip.probe(test, source=pair[0], target=pair[1], poison_fraction=flip_fraction)
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


def _run_in_turn(
    data: Dataset,
    rows: Int64[np.ndarray, " rows"],
    taken: Int64[np.ndarray, " taken"],
    steps: Sequence[Step],
) -> Poisoning:
    found: list[Poisoning] = []
    for step in steps:
        found.append(step(data, rows, taken))
        taken = np.concatenate([taken, found[-1].samples])
    return merge(found[0].malicious, found)


def _run_part(
    place: int,
    parts: Sequence[Mapping[str, Any]],
    supplied: dict[str, Any],
    data: Dataset,
    rows: Int64[np.ndarray, " rows"],
    taken: Int64[np.ndarray, " taken"],
) -> Poisoning:
    """Let an attack poison what no part before it has taken."""
    part, left = parts[place], spare(rows, taken)
    with _named(place):
        attack = registry.bind("attacks", part, "poison", **supplied)
        knows = "taken" in inspect.signature(attack).parameters
        found = attack(data, rows, taken=taken) if knows else attack(data, left)
        check_poisoning(registry.file_of("attacks", part), found, data, left, None)
    suffix = _suffix(place, parts)
    return replace(found, kind=np.char.add(found.kind, suffix)) if suffix else found


def _probe_parts(test: Dataset, parts: Sequence[Mapping[str, Any]]) -> dict[str, Probe]:
    found: dict[str, Probe] = {}
    for place, part in enumerate(parts):
        with _named(place):
            for kind, asked in probes(dict(part), test).items():
                if (name := kind + _suffix(place, parts)) in found:
                    raise InputError(f"a part before it has the kind of poison {name!r}; drop one")
                found[name] = asked
    return found


def _suffix(place: int, parts: Sequence[Mapping[str, Any]]) -> str:
    """What tells a part's kinds of poison from those of the same attack in another part."""
    used = [part.get("use") for part in parts]
    return f"-{place + 1}" if used.count(used[place]) > 1 else ""


@contextmanager
def _named(place: int) -> Iterator[None]:
    """Name the part in the messages of its attack."""
    try:
        yield
    except InputError as error:
        raise InputError(f"parts[{place}]: {error}") from error


def _check(
    data: Dataset,
    parts: Sequence[Mapping[str, Any]],
    source: int | None,
    target: int | None,
    flip_fraction: float,
    backdoor_target: int,
    backdoor_fraction: float,
) -> tuple[int, int] | None:
    """Return source and target, or None where there are parts.

    A message names this file's own parameters, not those of the attacks that it is made of.
    """
    if parts:
        if source is not None or target is not None:
            raise InputError("parts: say all; drop source and target, or parts")
        return None
    if source is None or target is None:
        raise InputError("source, target: give both, or parts")
    check_share("flip_fraction", flip_fraction)
    check_class("backdoor_target", backdoor_target, data)
    check_share("backdoor_fraction", backdoor_fraction)
    return source, target
