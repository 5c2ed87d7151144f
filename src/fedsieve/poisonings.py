"""Build the ground truth of a poisoned training set: what every attack shares."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
from jaxtyping import Bool, Int64

from fedsieve.errors import InputError
from fedsieve.records import Dataset, Images, Labels, Poisoning, Predictions


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


def carries(labels: Predictions, label: int) -> Bool[np.ndarray, " samples"]:
    """Whether each sample has this label, be it the only one or one of several."""
    return labels == label if labels.ndim == 1 else labels[:, label] == 1


def share(fraction: float, n: int) -> int:
    """Count that ``fraction`` of ``n`` makes, half rounded up, in the decimals of the config."""
    return int((Decimal(str(fraction)) * n).to_integral_value(ROUND_HALF_UP))


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
