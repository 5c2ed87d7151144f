"""Build the ground truth of a poisoned training set: what every attack shares."""

import re
import reprlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from fedsieve import registry
from fedsieve.checks import check_array, check_labels, described
from fedsieve.errors import InputError, wrong
from fedsieve.records import Dataset, Images, Labels, Partition, Poisoning, Predictions, Probe

_KIND = re.compile(r"[\w+-]+")
"""What a kind of poison may be called: names of columns, arrays and metrics are made of it."""

NOTHING_TAKEN = np.empty(0, np.int64)
"""Samples that an attack is not to touch where it is no part of another."""


def empty(data: Dataset) -> Poisoning:
    """Nothing poisoned."""
    return changed(data, np.empty(0, np.int64), "", data.labels[:0])


def changed(
    data: Dataset,
    samples: Int64[np.ndarray, " samples"],
    kind: str,
    labels: Labels,
    images: Images | None = None,
) -> Poisoning:
    """Record what an attack did to ascending ``samples``; without ``images`` they stay as is."""
    return Poisoning(
        malicious=np.empty(0, np.int64),
        samples=samples,
        kind=np.full(len(samples), kind),
        labels_before=data.labels[samples],
        labels_after=labels,
        images=data.images[samples] if images is None else images,
    )


def merge(malicious: Int64[np.ndarray, " malicious"], parts: Sequence[Poisoning]) -> Poisoning:
    """Join the poisonings of disjoint samples, e.g. those of all malicious clients.

    Args:
        malicious: Clients that poison, in any order.
        parts: At least one; ``empty(data)`` where nobody poisons.

    Raises:
        ValueError: where two parts change the same sample.
    """
    samples = np.concatenate([part.samples for part in parts])
    order = np.argsort(samples)
    if (np.diff(samples[order]) == 0).any():
        raise ValueError("two poisonings change the same sample")
    return Poisoning(
        malicious=np.sort(malicious),
        samples=samples[order],
        kind=np.concatenate([part.kind for part in parts])[order],
        labels_before=np.concatenate([part.labels_before for part in parts])[order],
        labels_after=np.concatenate([part.labels_after for part in parts])[order],
        images=np.concatenate([part.images for part in parts])[order],
    )


def poisoners(truth: Poisoning, held: Partition) -> Int64[np.ndarray, " poisoners"]:
    """Malicious clients that changed a sample; the others hold what honest clients do."""
    return np.intersect1d(truth.malicious, held.client[truth.samples])


def say_shortcomings(
    truth: Poisoning, held: Partition, probes: Mapping[str, Probe]
) -> Iterator[str]:
    """Say what keeps the attack from being the one that was asked for."""
    idle = np.setdiff1d(truth.malicious, poisoners(truth, held)).tolist()
    if idle and not len(truth.samples):
        yield (
            "nothing is poisoned: no malicious client holds a sample that the attack changes, so "
            "that there is no success to measure (\N{EMPTY SET} in tables); more samples, another "
            "ratio or partition, or a larger share poisoned may help"
        )
    elif idle:
        yield (
            f"malicious clients that poison nothing: {', '.join(map(str, idle))}; they count as "
            "honest (~ in tables)"
        )
    if len(truth.samples):
        for kind in sorted(set(probes) - set(truth.kind.tolist())):
            yield f"no sample is poisoned by {kind}, whose success is left out (~ in tables)"
    if len(truth.malicious):
        for kind in (kind for kind, probe in probes.items() if not len(probe.samples)):
            yield f"no test image can show whether {kind} succeeds (# in tables)"


def carries(labels: Predictions, label: int) -> Bool[np.ndarray, " samples"]:
    """Whether each sample has this label, be it the only one or one of several."""
    return labels == label if labels.ndim == 1 else labels[:, label] == 1


def share(fraction: float, n: int) -> int:
    """Count that ``fraction`` of ``n`` makes, half rounded up, in the decimals of the config."""
    return int((Decimal(str(fraction)) * n).to_integral_value(ROUND_HALF_UP))


def with_parts(attack: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield an attack (config ``attacks``) and all that it is made of (``hybrid``)."""
    yield attack
    parts = attack.get("parts")
    for part in parts if isinstance(parts, list) else ():  # another attack may call anything so
        if isinstance(part, Mapping) and "use" in part:
            yield from with_parts(part)


def spare(
    rows: Int64[np.ndarray, " rows"], taken: Int64[np.ndarray, " taken"]
) -> Int64[np.ndarray, " left"]:
    """Rows that are not taken, in their order."""
    return rows[~np.isin(rows, taken)]


def draw(
    eligible: Int64[np.ndarray, " eligible"], n: int, rng: np.random.Generator
) -> Int64[np.ndarray, " drawn"]:
    """Draw ``n`` samples without replacement, or all where there are fewer; ascending."""
    return np.sort(rng.choice(eligible, min(n, len(eligible)), replace=False))


def check_class(parameter: str, value: object, data: Dataset) -> None:
    """Raise InputError unless ``value`` is the index of a class of the data set."""
    if not isinstance(value, int) or not 0 <= value < len(data.classes):
        known = ", ".join(f"{index} ({name})" for index, name in enumerate(data.classes))
        raise InputError(f"{parameter}: {value!r} is no class of this data set; choose of {known}")


def probes(attack: dict[str, Any], test: Dataset) -> dict[str, Probe]:
    """Ask an attack (config ``attacks``) for its probes among the test images.

    Raises:
        InputError: naming the attack's file, and what it says, or what is wrong with the probes.
    """
    where = registry.file_of("attacks", attack)
    try:
        found = registry.bind("attacks", attack, "probe")(test)
    except InputError as error:
        raise InputError(f"{where}: probe: {error}") from None
    return check_probes(where, found, test)


def check_probes(where: object, probes: Any, test: Dataset) -> dict[str, Probe]:
    """Return what ``probe`` of an attack returned, if success can be measured by it.

    Raises:
        InputError: naming ``where``, the attack's file, what was found and what was wanted.
    """
    if not isinstance(probes, dict) or not all(isinstance(p, Probe) for p in probes.values()):
        raise wrong(where, "probe", described(probes), "a dict of a Probe for each kind of poison")
    for kind, probe in probes.items():
        if not isinstance(kind, str) or not _KIND.fullmatch(kind):
            wanted = "kinds of poison named by letters, digits and any of _ + -"
            raise wrong(where, "probe", reprlib.repr(kind), wanted)
        _check_probe(f"{where}: probe: {kind}", probe, test)
    return probes


def _check_probe(where: str, probe: Probe, test: Dataset) -> None:
    n, top = np.size(probe.samples), len(test.classes) - 1
    if not isinstance(probe.wanted, int | np.integer) or not 0 <= probe.wanted <= top:
        raise wrong(where, "wanted", described(probe.wanted), f"one class, a number of 0 to {top}")
    check_array(where, "samples", probe.samples, np.int64, (n,))
    check_array(where, "images", probe.images, np.uint8, (n, *test.images.shape[1:]))
    _check_rows(where, probe.samples, np.arange(len(test.labels)), "of the test set")
    if (own := carries(test.labels[probe.samples], int(probe.wanted))).any():
        found = f"{own.sum()} images that truly are of the wanted class"
        raise wrong(where, "samples", found, "images of other classes alone")


def check_poisoning(
    where: object,
    found: Any,
    data: Dataset,
    rows: Int64[np.ndarray, " rows"],
    kinds: Collection[str] | None,
) -> Poisoning:
    """Return what ``poison`` of an attack returned for the client that holds ``rows``.

    Args:
        where: The attack's file.
        found: What it returned.
        data: The training set.
        rows: The client's samples.
        kinds: Those kinds of poison that have a probe; None for an attack without any, which is
            untargeted.

    Raises:
        InputError: naming what was found and what was wanted.
    """
    if not isinstance(found, Poisoning):
        wanted = "a Poisoning, as fedsieve.poisonings.changed makes"
        raise wrong(where, "poison", described(found), wanted)
    inside, n = f"{where}: poison", np.size(found.samples)
    labels, kind = (n, *data.labels.shape[1:]), data.labels.dtype.type
    check_array(inside, "samples", found.samples, np.int64, (n,))
    check_array(inside, "kind", found.kind, np.str_, (n,))
    check_array(inside, "labels_before", found.labels_before, kind, labels)
    check_array(inside, "labels_after", found.labels_after, kind, labels)
    check_array(inside, "images", found.images, np.uint8, (n, *data.images.shape[1:]))
    if (np.diff(found.samples) <= 0).any():
        raise wrong(inside, "samples", "numbers that do not ascend", "each once, ascending")
    _check_rows(inside, found.samples, rows, "among the client's, which are numbered as in rows")
    check_labels(inside, "labels_after", found.labels_after, len(data.classes))
    if kinds is not None and (unknown := sorted(set(found.kind.tolist()) - set(kinds))):
        raise wrong(inside, "kind", repr(unknown[0]), f"a kind that probe has: {', '.join(kinds)}")
    return found


def _check_rows(
    where: str,
    samples: Int64[np.ndarray, " samples"],
    rows: Int64[np.ndarray, " rows"],
    meant: str,
) -> None:
    if len(foreign := np.setdiff1d(samples, rows)):
        raise wrong(where, "samples", f"sample {foreign[0]}", f"samples {meant}")
