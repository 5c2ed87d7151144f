"""Clusters that clients find together (federated k-means), and what samples near them look like.

What clients send are centers, sums and counts; samples stay with them.
"""

import numpy as np
from jaxtyping import Float, Int64
from scipy.sparse import csr_array
from sklearn.cluster import KMeans
from sklearn.neighbors import NearestNeighbors

from fedsieve.clustering import top_axes
from fedsieve.errors import InputError
from fedsieve.records import Message

NEAREST = 5
"""Clusters that tell what a sample looks like."""

LOCAL_STEPS = 10
"""Steps of a client's own k-means; the joint clusters move on from there."""

Features = Float[np.ndarray, "samples features"]
Prototypes = Float[np.ndarray, "clusters features"]
Profile = Float[np.ndarray, "clusters classes"]


def own_centers(features: Features, n_clusters: int, rng: np.random.Generator) -> Message:
    """A client's own clusters, found on its top axes: ``centers`` and their ``sizes``.

    A client of few samples has at most one cluster per ten, and none below ten.
    """
    n_clusters = min(n_clusters, len(features) // 10)
    if not n_clusters:
        return {"centers": features[:0], "sizes": np.zeros(0, np.int64)}
    projected = (features @ top_axes(features, n_clusters)).astype(np.float64)
    seed = int(rng.integers(2**31))
    found = KMeans(n_clusters, n_init=1, max_iter=LOCAL_STEPS, random_state=seed).fit(projected)
    total = _totals(features, found.labels_, n_clusters)
    used = total["sizes"] > 0
    sizes = total["sizes"][used]
    return {"centers": total["sums"][used] / sizes.astype(features.dtype)[:, None], "sizes": sizes}


def join(said: list[Message], n_clusters: int, rng: np.random.Generator) -> Prototypes:
    """Cluster the clients' centers, weighted by their sizes, into joint prototypes."""
    centers, sizes = (np.concatenate([m[key] for m in said]) for key in ("centers", "sizes"))
    if not len(centers):
        raise InputError("no client has ten samples to cluster; give clients more samples")
    seed = int(rng.integers(2**31))
    joint = KMeans(min(n_clusters, len(centers)), n_init=3, random_state=seed)
    return joint.fit(centers, sample_weight=sizes).cluster_centers_


def sums(features: Features, prototypes: Prototypes) -> Message:
    """``sums`` and ``sizes`` of a client's samples nearest to each prototype."""
    _, near = _nearest(features, prototypes, 1)
    return _totals(features, near[:, 0], len(prototypes))


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
    distances, near = _nearest(features, prototypes, min(NEAREST, len(prototypes)))
    unit = np.median(distances[:, 0]) if len(features) else 1.0
    beyond = distances - distances[:, :1]
    weight = np.exp(-beyond / max(unit, np.finfo(np.float32).tiny))
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


def _nearest(
    features: Features, prototypes: Prototypes, n_nearest: int
) -> tuple[Float[np.ndarray, "samples nearest"], Int64[np.ndarray, "samples nearest"]]:
    """Squared distances to, and numbers of, the prototypes nearest to each sample."""
    if not len(features):  # scikit-learn refuses to measure no samples
        return np.zeros((0, n_nearest)), np.zeros((0, n_nearest), np.int64)
    search = NearestNeighbors(n_neighbors=n_nearest, algorithm="brute", metric="sqeuclidean")
    distances, near = search.fit(prototypes).kneighbors(features)
    return distances.astype(np.float64), near.astype(np.int64)


def _totals(features: Features, cluster: np.ndarray, n_clusters: int) -> Message:
    """``sums`` and ``sizes`` of the samples in each cluster.

    A sample alone in its cluster is left out: its sum would be the sample itself.
    """
    sizes = np.bincount(cluster, minlength=n_clusters)
    rows = np.flatnonzero(sizes[cluster] > 1)
    ones, start = np.ones(len(rows), features.dtype), np.arange(len(rows) + 1)
    member = csr_array((ones, cluster[rows], start), shape=(len(rows), n_clusters))
    return {"sums": member.T @ features[rows], "sizes": np.where(sizes > 1, sizes, 0)}
