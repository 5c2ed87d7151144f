"""Clusters that clients find together (federated k-means), and what samples near them look like.

What clients send are centers, sums and counts; samples stay with them.
"""

import numpy as np
from jaxtyping import Float, Int64
from sklearn.cluster import KMeans
from sklearn.metrics import euclidean_distances

from fedsieve.clustering import local_clusters
from fedsieve.records import Message

NEAREST = 5
"""Clusters that tell what a sample looks like."""

Features = Float[np.ndarray, "samples features"]
Prototypes = Float[np.ndarray, "clusters features"]
Profile = Float[np.ndarray, "clusters classes"]


def own_centers(features: Features, n_clusters: int, rng: np.random.Generator) -> Message:
    """A client's own clusters: ``centers`` and their ``sizes``.

    A client of few samples has one cluster per ten, so that no center is a sample.
    """
    found = local_clusters(features, min(n_clusters, len(features) // 10), restarts=1, rng=rng)
    sizes = np.bincount(found.assignment, minlength=len(found.centers))
    return {"centers": found.centers, "sizes": sizes}


def join(said: list[Message], n_clusters: int, rng: np.random.Generator) -> Prototypes:
    """Cluster the clients' centers, weighted by their sizes, into joint prototypes."""
    centers, sizes = (np.concatenate([m[key] for m in said]) for key in ("centers", "sizes"))
    seed = int(rng.integers(2**31))
    joint = KMeans(min(n_clusters, len(centers)), n_init=3, random_state=seed)
    return joint.fit(centers, sample_weight=sizes).cluster_centers_


def sums(features: Features, prototypes: Prototypes) -> Message:
    """``sums`` and ``sizes`` of a client's samples nearest to each prototype."""
    nearest = _distances(features, prototypes).argmin(axis=1)
    member = np.eye(len(prototypes), dtype=features.dtype)[nearest]
    return {"sums": member.T @ features, "sizes": member.sum(axis=0).astype(np.int64)}


def moved(said: list[Message], prototypes: Prototypes) -> Prototypes:
    """Take a step of Lloyd's algorithm over all clients; a prototype without samples stays."""
    total, sizes = (np.sum([m[key] for m in said], axis=0) for key in ("sums", "sizes"))
    means = total / np.maximum(sizes, 1)[:, None]
    return np.where(sizes[:, None] > 0, means, prototypes).astype(prototypes.dtype)


def neighbors(features: Features, prototypes: Prototypes) -> Message:
    """The prototypes ``near`` each sample, nearest first, and the ``weight`` of each.

    Weights fall with the squared distance beyond the nearest, in units of the client's median
    distance to the nearest.
    """
    if not len(features):
        shape = (0, min(NEAREST, len(prototypes)))
        return {"near": np.zeros(shape, np.int64), "weight": np.zeros(shape)}
    distances = _distances(features, prototypes)
    near = np.argsort(distances, axis=1, kind="stable")[:, :NEAREST]
    beyond = np.take_along_axis(distances, near, axis=1)
    unit = max(float(np.median(beyond[:, 0])), np.finfo(np.float32).tiny)
    weight = np.exp(-(beyond - beyond[:, :1]) / unit)
    return {"near": near, "weight": weight / weight.sum(axis=1, keepdims=True)}


def profile(counts: Int64[np.ndarray, "clusters classes"], *, lift: bool) -> Profile:
    """What each cluster is like: a distribution over the classes, from the labels in it.

    ``lift`` divides counts by how frequent a label is, so that a class whose labels were mostly
    flipped away still has its clusters; without it the most frequent label wins. A tenth of a
    sample is added to each count.
    """
    weights = counts + 0.1
    if lift:
        weights = weights / weights.sum(axis=0)
    return weights / weights.sum(axis=1, keepdims=True)


def likeness(known: Message, classes: Profile) -> Float[np.ndarray, "samples classes"]:
    """What each sample looks like, by the clusters near it (``neighbors``)."""
    return (known["weight"][:, :, None] * classes[known["near"]]).sum(axis=1)


def _distances(features: Features, prototypes: Prototypes) -> Float[np.ndarray, "samples clusters"]:
    """Squared distances; scikit-learn refuses to measure no samples."""
    if not len(features):
        return np.zeros((0, len(prototypes)))
    return euclidean_distances(features, prototypes, squared=True)
