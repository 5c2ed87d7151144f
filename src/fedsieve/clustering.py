"""k-means, projection and the one-shot federated clustering of FDSD (Algorithms 1 and 2).

scikit-learn is imported where it is used: it takes a second, and a client's decision needs none.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from fedsieve.errors import InputError

Features = Float[np.ndarray, "samples features"]
Centers = Float[np.ndarray, "clusters features"]
Assignment = Int64[np.ndarray, " samples"]


@dataclass(frozen=True)
class Clustering:
    """Centers, and the cluster of each row."""

    centers: Centers
    assignment: Assignment


def local_clusters(
    features: Features, n_clusters: int, *, restarts: int, rng: np.random.Generator
) -> Clustering:
    """Cluster one client's features (FDSD Algorithm 1, the local step of k-FED).

    Project on the top ``n_clusters`` right singular vectors, run k-means++ there, start each
    cluster from the mean of the points that lie at least three times nearer to its center than
    to any other, and run Lloyd's algorithm on the unprojected features to convergence. A client
    with fewer samples than clusters gets one cluster per sample.

    Args:
        restarts: k-means++ starts, of which the one with the least cost counts.

    Source: FDSD, Algorithm 1; Dennis, Li and Smith, ICML 2021, Algorithm 1; Awasthi and
    Sheffet 2012.
    ASSUME: a cluster without such points starts from its own center, projected back.
    """
    n_clusters = min(n_clusters, len(features))
    if n_clusters == 0:
        return Clustering(np.zeros((0, features.shape[1]), features.dtype), np.zeros(0, np.int64))
    axes = top_axes(features, n_clusters)
    projected = features @ axes
    rough = _kmeans(projected, n_clusters, "k-means++", restarts, rng)
    seeds = _core_means(features, projected, rough.centers, axes)
    return _kmeans(features, n_clusters, seeds, 1, rng)


def top_axes(features: Features, n_axes: int) -> Float[np.ndarray, "features axes"]:
    """Top right singular vectors of the uncentered features.

    From the smaller Gram matrix, which is exact and far cheaper than a full decomposition.
    """
    vectors = np.linalg.eigh(_gram(features))[1]
    return vectors[:, ::-1][:, :n_axes].astype(features.dtype)


def aggregate_centers(
    centers: list[Float[np.ndarray, "_ features"]], n_clusters: int, *, seeding: str
) -> tuple[Centers, list[Int64[np.ndarray, " _"]]]:
    """Cluster the clients' centers at the server in one round (FDSD Algorithm 2).

    Args:
        centers: Each client's local centers.
        seeding: "client" starts from the centers of the first client that has any, as k-FED does;
            "farthest" from the first of them only. Either way the farthest center from those
            chosen is added until there are ``n_clusters``.

    Returns:
        The global centers, and for each client the global cluster of each local one.

    Source: FDSD, Algorithm 2; k-FED, Algorithm 2.
    ASSUME: "run one round" is one assignment and one mean update.
    """
    if seeding not in ("client", "farthest"):
        raise InputError(f"seeding: {seeding!r} is neither client nor farthest")
    everything = np.concatenate(centers)
    first = next(own for own in centers if len(own))
    chosen = farthest_first(first if seeding == "client" else first[:1], everything, n_clusters)
    nearest = _distances(everything, chosen).argmin(axis=1)
    means = np.stack(
        [
            everything[nearest == c].mean(axis=0) if (nearest == c).any() else chosen[c]
            for c in range(len(chosen))
        ]
    )
    ends = np.cumsum([len(own) for own in centers])[:-1]
    return means, np.split(nearest.astype(np.int64), ends)


def farthest_first(
    start: Float[np.ndarray, "_ features"], points: Float[np.ndarray, "_ features"], n_clusters: int
) -> Centers:
    """Add the point farthest from those chosen until there are ``n_clusters`` (or no point)."""
    chosen = start[:n_clusters]
    while len(chosen) < min(n_clusters, len(points)):
        distance = _distances(points, chosen).min(axis=1)
        chosen = np.concatenate([chosen, points[[distance.argmax()]]])
    return chosen


def separation(features: Features, clustering: Clustering) -> float:
    """Largest m for which every pair of clusters satisfies FDSD eq. 4.

    eq. 3: D_c = sqrt(k) ||A - C|| / sqrt(n_c), the spectral norm of the features minus their
    centers; eq. 4: ||mu_r - mu_s|| >= m (D_r + D_s). The theory behind it wants a large constant
    (k-FED: 100); the paper computes it and says nothing of what follows when it fails, so
    FedSieve reports the number and never acts on it. 0 where there is
    nothing to separate: one cluster, or clusters without spread.
    """
    sizes = np.bincount(clustering.assignment, minlength=len(clustering.centers))
    used = np.flatnonzero(sizes)
    residual = features - clustering.centers[clustering.assignment]
    norm = np.sqrt(max(np.linalg.eigvalsh(_gram(residual))[-1], 0.0))
    spread = np.sqrt(len(used)) * norm / np.sqrt(sizes[used])
    if len(used) < 2 or norm == 0:
        return 0.0
    gap = _distances(clustering.centers[used])
    r, s = np.triu_indices(len(used), 1)
    return float((gap[r, s] / (spread[r] + spread[s])).min())


def _core_means(
    features: Features,
    projected: Float[np.ndarray, "samples axes"],
    rough: Float[np.ndarray, "clusters axes"],
    axes: Float[np.ndarray, "features axes"],
) -> Centers:
    distance = _distances(projected, rough)
    nearest = distance.argmin(axis=1)
    seeds = rough @ axes.T
    if len(rough) == 1:
        return seeds
    two = np.partition(distance, 1, axis=1)
    core = 3 * two[:, 0] <= two[:, 1]
    for c in range(len(rough)):
        if (members := core & (nearest == c)).any():
            seeds[c] = features[members].mean(axis=0)
    return seeds


def _kmeans(
    points: Features, n_clusters: int, init: str | Centers, restarts: int, rng: np.random.Generator
) -> Clustering:
    from sklearn.cluster import KMeans

    seed = int(rng.integers(2**31))
    found = KMeans(n_clusters, init=init, n_init=restarts, random_state=seed).fit(points)
    return Clustering(found.cluster_centers_, found.labels_.astype(np.int64))


def _distances(
    points: Float[np.ndarray, "_ features"], others: Float[np.ndarray, "_ features"] | None = None
) -> Float[np.ndarray, "_ _"]:
    """Euclidean distances of points to others, or to each other."""
    from sklearn.metrics import euclidean_distances

    found: np.ndarray = euclidean_distances(points, others)
    return found


def _gram(features: Features) -> Float[np.ndarray, "features features"]:
    return features.T.astype(np.float64) @ features
