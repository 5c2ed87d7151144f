"""Score models, sanitizers and detectors: arrays in, numbers out.

Every rate is a fraction in [0, 1]; a rate of nothing (0 of 0) is None, never NaN.
"""

from collections.abc import Mapping
from typing import SupportsFloat

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int64

from fedsieve.poisonings import carries, poisoners
from fedsieve.records import Labels, Partition, Poisoning, Predictions, Probe

Rate = float | None


def accuracy(predicted: Predictions, labels: Labels) -> Rate:
    """Share of samples predicted right; multi-label: share of all samples' single 0/1 labels."""
    return _rate((predicted == labels).sum(), labels.size)


def class_accuracy(predicted: Predictions, labels: Labels, n_classes: int) -> list[Rate]:
    """Recall of each class: of the samples that have the label, the share predicted to.

    None for a class that no sample has.
    """
    has = [carries(labels, label) for label in range(n_classes)]
    return [_rate((own & carries(predicted, c)).sum(), own.sum()) for c, own in enumerate(has)]


def success_rate(predicted: Predictions, wanted: int) -> Rate:
    """Share of a probe's images that are predicted, or in multi-label data also, as ``wanted``.

    None for a probe without images.
    """
    return _rate(carries(predicted, wanted).sum(), len(predicted))


def attack_success(rates: Mapping[str, Rate]) -> Rate:
    """Mean success rate over the kinds of an attack, each counting the same; None if no kind."""
    defined = [rate for rate in rates.values() if rate is not None]
    return _rate(sum(defined), len(defined))


def measurable(
    poisoning: Poisoning, probes: Mapping[str, Probe], *, took_part: bool
) -> frozenset[str]:
    """Kinds of poison whose success a run can show: those that some sample was poisoned by.

    All of them where nobody is malicious: such a run is a control.

    Args:
        poisoning: The ground truth.
        probes: That of each kind of poison.
        took_part: Whether an attacker took part.
    """
    if not len(poisoning.malicious):
        return frozenset(probes)
    return frozenset(poisoning.kind.tolist() if took_part else ())


def mark_shortcomings(
    poisoning: Poisoning, partition: Partition, probes: Mapping[str, Probe], *, took_part: bool
) -> dict[str, float]:
    """What keeps a run under attack from being the experiment that was asked for, each as 1.

    Args:
        poisoning: The ground truth.
        partition: Who holds which sample.
        probes: That of each kind of poison.
        took_part: Whether an attacker took part.

    Returns:
        ``no_attack``: nothing was poisoned, or nobody who poisoned took part. ``partial_attack``:
        some malicious clients poisoned nothing, or nothing was poisoned by some kind of the attack.
        ``unprobed``: no test image can show whether some kind succeeds. Those that hold alone, none
        where nobody is malicious.
    """
    if not len(poisoning.malicious):
        return {}
    idle = len(poisoners(poisoning, partition)) < len(poisoning.malicious)
    missing = not set(probes) <= set(poisoning.kind.tolist())
    said = {
        "no_attack": not took_part,
        "partial_attack": took_part and (idle or missing),
        "unprobed": any(not len(probe.samples) for probe in probes.values()),
    }
    return {name: 1.0 for name, so in said.items() if so}


def sanitization(
    keep: Bool[np.ndarray, " samples"],
    poisoning: Poisoning,
    labels: Labels,
    partition: Partition,
) -> dict[str, Rate | list[int]]:
    """Score a keep mask over the training set against what was poisoned.

    Args:
        keep: True where a sample is trained on.
        poisoning: The ground truth.
        labels: The training set's labels before any attack.
        partition: Who holds which sample.

    Returns:
        ``recall``: share of the poisoned samples that is removed, and ``recall_<kind>`` for each
        kind of poison there is; ``precision``: share of the removed samples that is poisoned;
        ``removed_clean_share``: share of them that is clean; ``clean_lost``: share of all clean
        samples that is removed; ``honest_lost``: the same at clients that poison nothing;
        ``vanished``: classes that some sample carried in training and no kept sample does.
        A rate of no samples is None: recalls where nothing is poisoned, precision where nothing
        is removed, ``honest_lost`` where nobody is honest.
    """
    removed, poisoned = ~keep, poisoning.mask(len(keep))
    honest = ~np.isin(partition.client, poisoners(poisoning, partition))
    kinds = {
        f"recall_{kind}": _among(removed[poisoning.samples], poisoning.kind == kind)
        for kind in np.unique(poisoning.kind)
    }
    return {
        "recall": _among(removed, poisoned),
        **kinds,
        "precision": _among(poisoned, removed),
        "removed_clean_share": _among(~poisoned, removed),
        "clean_lost": _among(removed, ~poisoned),
        "honest_lost": _among(removed, honest),
        "vanished": _vanished(keep, poisoning, labels),
    }


def repair(repaired: Int64[np.ndarray, " samples"], labels: Labels) -> dict[str, Rate]:
    """Score the labels that a sanitizer gave to samples it dropped.

    Args:
        repaired: The label given to each sample of the training set, -1 where none was.
        labels: The training set's labels before any attack.

    Returns:
        ``repaired``: share of the training set that got a label; ``repaired_right``: share of
        these labels that are the true ones. Both None where nothing was repaired.
    """
    given = repaired >= 0
    if not given.any():
        return {"repaired": None, "repaired_right": None}
    right = _rate((repaired[given] == labels[given]).sum(), given.sum())
    return {"repaired": _rate(given.sum(), len(repaired)), "repaired_right": right}


def macro_auc(scores: Float[np.ndarray, "samples classes"], labels: Labels) -> Rate:
    """Mean area under the ROC curve over the classes that have samples with and without them.

    Args:
        scores: Any increasing function of a model's confidence in each class.
        labels: 0 or 1 per class (multi-label).

    Source: the area is the Mann-Whitney statistic of the ranks, with mean ranks for ties.
    """
    ranks = pd.DataFrame(scores).rank().to_numpy()
    areas = []
    for label in range(labels.shape[1]):
        has = labels[:, label] == 1
        n, m = int(has.sum()), int((~has).sum())
        if n and m:
            areas.append((ranks[has, label].sum() - n * (n + 1) / 2) / (n * m))
    return float(np.mean(areas)) if areas else None


def client_detection(
    flagged: Int64[np.ndarray, " flagged"],
    malicious: Int64[np.ndarray, " malicious"],
    n_clients: int,
) -> dict[str, Rate]:
    """Score flags against the malicious clients, both given as client ids without repeats.

    Args:
        flagged: Clients that the defense mistrusts.
        malicious: Clients among those considered that are malicious.
        n_clients: Clients considered: all, or one cohort (then pass its part of ``malicious``).

    Returns:
        ``precision`` (None where nobody is flagged), ``recall`` and ``f1`` (None where nobody is
        malicious, so that there is nobody to find), ``false_positive_rate``: share of honest
        clients flagged (None where nobody is honest), ``trusted_malicious_share``: share of clients
        not flagged that is malicious (None where all are flagged).
    """
    caught = len(np.intersect1d(flagged, malicious))
    false, missed = len(flagged) - caught, len(malicious) - caught
    return {
        "precision": _rate(caught, len(flagged)),
        "recall": _rate(caught, len(malicious)),
        "f1": _rate(2 * caught, len(malicious) and 2 * caught + false + missed),
        "false_positive_rate": _rate(false, n_clients - len(malicious)),
        "trusted_malicious_share": _rate(missed, n_clients - len(flagged)),
    }


def _vanished(keep: np.ndarray, poisoning: Poisoning, labels: Labels) -> list[int]:
    carried = labels.copy()
    carried[poisoning.samples] = poisoning.labels_after
    n_classes = labels.shape[1] if labels.ndim == 2 else int(carried.max(initial=-1)) + 1
    masks = [carries(carried, label) for label in range(n_classes)]
    return [label for label, has in enumerate(masks) if has.any() and not (has & keep).any()]


def _among(part: np.ndarray, whole: np.ndarray) -> Rate:
    """Share of ``whole`` (a mask) that is in ``part`` as well."""
    return _rate((part & whole).sum(), whole.sum())


def _rate(part: SupportsFloat, whole: SupportsFloat) -> Rate:
    return float(part) / float(whole) if whole else None
