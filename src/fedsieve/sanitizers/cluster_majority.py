"""Keep the samples that carry their cluster's majority label (FDSD, Algorithms 1 to 3)."""

from typing import Annotated

import numpy as np
from jaxtyping import Bool, Int64

from fedsieve.clustering import aggregate_centers, local_clusters, separation
from fedsieve.errors import InputError, check_count, check_single_label
from fedsieve.ranges import OneOf, Range, Size
from fedsieve.records import Message, View

EXCHANGES = 1

SINGLE_LABEL = True
"""It compares the one label of a sample with that of its cluster."""

OWN = "own"
"""In place of a number of clusters: each client's own number of labels."""

Clusters = Size | Annotated[str, OneOf("own")]


def client(
    view: View,
    broadcast: Message,
    memory: Message,
    *,
    rng: np.random.Generator,
    n_clusters: Clusters = 10,
    restarts: Annotated[int, Range(least=1, most=1000)] = 3,
) -> tuple[Message, Message]:
    """Cluster the client's own features (Algorithm 1).

    Args:
        n_clusters: k, from 1 to 8192, or ``own``: as many as there are different labels among the
            client's samples, card{y_i} of section III-A. A client whose 3s all became 2s then has
            nine.
        restarts: Of k-means, from 1 to 1000, of which the best counts.

    Returns:
        To the server: centers [clusters, features] and counts [clusters, classes] of the labels
        in each. Kept by the client: the cluster of each of its samples. Also the separation of
        eq. 4, for the record.
    """
    check_single_label("sanitizer cluster_majority", view.labels)
    k = len(np.unique(view.labels)) if n_clusters == OWN else _number(n_clusters)
    found = local_clusters(view.features, k, restarts=restarts, rng=rng)
    counts = label_counts(view.labels, found.assignment, len(found.centers), view.n_classes)
    gap = np.array(separation(view.features, found))
    message = {"centers": found.centers, "counts": counts, "separation": gap}
    return message, {"cluster": found.assignment}


def server(
    messages: list[Message],
    state: Message,
    *,
    n_clusters: Clusters = 10,
    seeding: Annotated[str, OneOf("client", "farthest")] = "client",
    vote: Annotated[str, OneOf("global", "local")] = "global",
) -> tuple[Message, Message]:
    """Join the clients' clusters and give each a label (Algorithm 2; Algorithm 3, line 4).

    Args:
        n_clusters: k of the server's clusters; with ``own`` the most that a client has.
        seeding: "client" or "farthest", see ``clustering.aggregate_centers``.
        vote: "global": one label per server cluster, from all clients' counts; "local": every
            client has its own label for a server cluster.

    Returns:
        For each client and local cluster the label to keep: [clients, clusters], -1 where the
        cluster is empty.

    Source: FDSD, Algorithms 2 and 3.
    ASSUME: the mode is taken over the server's cluster (vote: global): a cluster's majority at a
    malicious client may be the poison. Ties go to the smaller label.
    """
    if vote not in ("global", "local"):
        raise InputError(f"sanitizer cluster_majority: vote: {vote!r} is neither global nor local")
    own_centers = [m["centers"] for m in messages]
    k = max(map(len, own_centers)) if n_clusters == OWN else _number(n_clusters)
    centers, joined = aggregate_centers(own_centers, k, seeding=seeding)
    local = [_pool(m["counts"], to, len(centers)) for m, to in zip(messages, joined, strict=True)]
    total = np.sum(local, axis=0)
    labels = np.full((len(messages), k), -1)
    for row, (own, to) in enumerate(zip(local, joined, strict=True)):
        labels[row, : len(to)] = majority_label(total if vote == "global" else own)[to]
    return {"labels": labels, "centers": centers, "counts": total}, {}


def keep(view: View, broadcast: Message, memory: Message) -> Bool[np.ndarray, " samples"]:
    """Keep what carries the label of its cluster (Algorithm 3, line 5)."""
    return broadcast["labels"][view.client][memory["cluster"]] == view.labels


def majority_label(counts: Int64[np.ndarray, "clusters classes"]) -> Int64[np.ndarray, " clusters"]:
    """Most frequent label of each cluster; -1 where a cluster is empty."""
    return np.where(counts.sum(axis=1) > 0, counts.argmax(axis=1), -1)


def label_counts(
    labels: Int64[np.ndarray, " samples"],
    cluster: Int64[np.ndarray, " samples"],
    n_clusters: int,
    n_classes: int,
) -> Int64[np.ndarray, "clusters classes"]:
    """Count the labels in each cluster."""
    counts = np.zeros((n_clusters, n_classes), np.int64)
    np.add.at(counts, (cluster, labels), 1)
    return counts


def _number(n_clusters: int | str) -> int:
    check_count(f"sanitizer cluster_majority: n_clusters (or {OWN})", n_clusters, 1)
    return int(n_clusters)


def _pool(counts: np.ndarray, joined: np.ndarray, n_clusters: int) -> np.ndarray:
    pooled = np.zeros((n_clusters, counts.shape[1]), np.int64)
    np.add.at(pooled, joined, counts)
    return pooled
