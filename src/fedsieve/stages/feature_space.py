"""Draw one malicious client's samples in feature space: clean and poisoned, kept and dropped."""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from sklearn.decomposition import PCA

from fedsieve import figures as draw
from fedsieve import look
from fedsieve.artifacts import read_partition, read_poisoning, read_verdict, read_view


def feature_space(
    *,
    attacks: list[str],
    poisonings: list[Path],
    clients: list[Path],
    keeps: list[Path],
    views: list[Path],
    figures: list[Path],
) -> None:
    """Write one panel per attack, of the malicious client with the lowest id.

    Args:
        attacks: Titles of the panels.
        poisonings, clients, keeps: Ground truth, partition and keep mask of each attack.
        views: Features of all clients, attack by attack.
        figures: Written: the same figure in each format that the endings name.
    """
    per_attack = len(views) // len(attacks)
    panels = []
    for i, attack in enumerate(attacks):
        truth, held = read_poisoning(poisonings[i]), read_partition(clients[i])
        if not len(truth.malicious):
            continue
        shown = int(truth.malicious[0])
        rows = held.rows(shown)
        view = read_view({"": views[i * per_attack + shown]}, shown)
        points = _plane(view.features)
        kept = read_verdict(keeps[i], len(held.client)).keep
        groups = _groups(truth.mask(len(held.client))[rows], kept[rows])
        panels.append((f"{attack}, client {shown}", points, groups))
    look.draw(lambda: draw.features(panels), *figures)


def _plane(features: Float[np.ndarray, "samples features"]) -> Float[np.ndarray, "samples 2"]:
    """Features in the plane of their main axes; zeros along an axis that there is not."""
    if len(features) < 2:
        return np.zeros((len(features), 2))
    axes = min(2, features.shape[1])
    with np.errstate(invalid="ignore"):  # shares of no variance, where all features are the same
        points = PCA(axes, svd_solver="full").fit_transform(features)
    return np.pad(points, ((0, 0), (0, 2 - axes)))


def _groups(poisoned: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Name of each sample's group, as ``figures.FEATURE_GROUPS`` has them."""
    return np.char.add(np.where(poisoned, "poisoned ", "clean "), np.where(keep, "kept", "dropped"))
