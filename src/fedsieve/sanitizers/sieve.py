"""Sieve: drop a sample only where its client's off-label mass is statistically excessive.

FedSieve's own sanitizer, in the family of FDSD: clients cluster their features together, and a
sample's label is compared with what its cluster is like. Unlike FDSD it drops nothing at a client
whose counts do not exceed those of others, needs no honest majority, and judges again while the
network learns. Clients send cluster centers, sums and counts, nothing else.
"""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int64

from fedsieve import prototypes
from fedsieve.errors import InputError, check_single_label
from fedsieve.excess import off_label, origins, own_clusters, posterior
from fedsieve.ranges import NonNegative, OneOf, PerJudgement, Share, Size
from fedsieve.record_keys import put_in_layer, split_layers
from fedsieve.records import Message, View

EXCHANGES = 10
"""Clusters of each client; three steps of Lloyd's algorithm on the joint ones; then three times
what each cluster is like, and what is off label."""

SINGLE_LABEL = True
"""It compares the one label of a sample with what the sample looks like."""

RECORDS_EXCESS = True
"""The server keeps "excess" [clients, classes, classes] of each layer: the workflow draws it."""

LLOYD, PROFILE, LAST = (1, 2, 3), (4, 6, 8), EXCHANGES - 1
OUTPUT = "output"
BY = ("clusters", "clusters", "clusters", "mean", "network")
TAU = (0.3, 0.1, 0.05, 0.05, 0.03)

T = TypeVar("T")


def client(
    view: View,
    broadcast: Message,
    memory: Message,
    *,
    rng: np.random.Generator,
    exchange: int,
    judgement: int,
    by: PerJudgement[Annotated[str, OneOf("clusters", "network", "mean")]] = BY,
    tau: PerJudgement[Share] = TAU,
    n_local: Size = 50,
) -> tuple[Message, Message]:
    """Send what the exchange asks for, of each layer of features or of the network's output.

    Args:
        by: For each judgement, what tells the class that a sample looks like: "clusters", the
            "network", or in the last exchange the "mean" of both; the last entry goes on.
        tau: For each judgement, the probability, from 0 to 1, of being mislabeled above which a
            flagged client drops a sample. Strict while training: what survives is learned, and
            hides then.
        n_local: Number of clusters of a client before they are joined, from 1 to 8192.
    """
    how = _at(by, judgement)
    if exchange == 0:
        _check(view, how)
    if how == "network":
        looks = view.layers[OUTPUT].argmax(axis=1)
        return put_in_layer(OUTPUT, {"alike": _counts(looks, view)} if exchange == LAST else {}), {}
    message: Message = {}
    remembered: Message = {}
    for layer, features in view.layers.items():
        if layer == OUTPUT:
            continue
        told, known = _part(broadcast, layer), _part(memory, layer)
        if exchange == 0:
            sent = prototypes.own_centers(features, n_local, rng)
        elif exchange in LLOYD:
            sent = prototypes.sums(features, told["prototypes"])
        elif exchange == PROFILE[0]:
            known = prototypes.neighbors(features, told["prototypes"])
            count = partial(_counts, known["near"][:, 0], view, len(told["prototypes"]))
            sent = {"whole": count(), "kept": count(view.kept)}
        elif exchange in PROFILE:
            kept = _kept(view, known["likeness"], told["excess"], _at(tau, judgement))
            sent = {"kept": _counts(known["near"][:, 0], view, len(known["own"]), kept)}
        else:
            known = _informed(view, known, told, blend=how == "mean" and exchange == LAST)
            sent = {"alike": _counts(known["likeness"].argmax(axis=1), view)}
        message |= put_in_layer(layer, sent)
        remembered |= put_in_layer(layer, known)
    return message, remembered


def server(
    messages: list[Message],
    state: Message,
    *,
    rng: np.random.Generator,
    exchange: int,
    judgement: int,
    n_clusters: PerJudgement[Size] = (50, 20),
    ratio: NonNegative = 2.0,
    least: Share = 0.02,
    tests: Annotated[int, OneOf(1, 2)] = 2,
    weighting: Annotated[str, OneOf("lift", "mode")] = "lift",
    own_cluster_test: bool = True,
) -> tuple[Message, Message]:
    """Join what the clients send, and flag clients in cells (looks like a, labeled y).

    Args:
        n_clusters: For each judgement, the number of joint clusters, from 1 to 8192; the last entry
            goes on.
        ratio: How many times the odds of the others those of a flagged client's rate must be, at
            least 0.
        least: By how much the rate must exceed theirs, as a share, from 0 to 1, of what looks like
            a class.
        tests: 2, or 1 for the share of what looks like a alone.
        weighting: "lift" or "mode", see ``prototypes.profile``.
        own_cluster_test: Whether to look for clusters that a trigger has made for itself.

    Returns:
        To the clients: "prototypes", or what each is like ("profile"), or for each client the
        "excess" of each cell, and at last its "origin" and the "share" of it that is known to be
        from there. The server keeps the counts, for the record.
    """
    if weighting not in ("lift", "mode"):
        raise InputError(f"sanitizer sieve: weighting: {weighting!r} is neither lift nor mode")
    if tests not in (1, 2):
        raise InputError(f"sanitizer sieve: tests: {tests!r} is neither 1 nor 2")
    broadcast: Message = {}
    after: Message = {}
    for layer in _layers([*messages, state]):
        said, known = [_part(m, layer) for m in messages], _part(state, layer)
        if exchange == 0:
            answer = known = {"prototypes": prototypes.join(said, _at(n_clusters, judgement), rng)}
        elif exchange in LLOYD:
            answer = known = {"prototypes": prototypes.moved(said, known["prototypes"])}
        elif exchange in PROFILE:
            if exchange == PROFILE[0]:
                whole = np.stack([m["whole"] for m in said])
                known = {"whole": whole, "own": own_clusters(whole) & own_cluster_test}
            answer = _profiled(said, known["own"], weighting)
        else:
            alike = np.stack([m["alike"] for m in said])
            answer = {"excess": off_label(alike, ratio=ratio, least=least, tests=tests)}
            known = known | answer | {"alike": alike}
            if exchange == LAST:
                label, share = origins(alike, answer["excess"])
                answer = answer | {"origin": label, "share": share}
        broadcast |= put_in_layer(layer, answer)
        after |= put_in_layer(layer, known)
    return broadcast, after


def keep(
    view: View,
    broadcast: Message,
    memory: Message,
    *,
    judgement: int,
    tau: PerJudgement[Share] = TAU,
) -> Bool[np.ndarray, " samples"]:
    """Keep what no layer finds to be off label."""
    found = np.ones(len(view.labels), bool)
    for layer in _layers([broadcast]):
        known, excess = _part(memory, layer), _part(broadcast, layer)["excess"]
        found &= _kept(view, _looks(view, known), excess, _at(tau, judgement))
        if known:
            found &= ~known["own"][known["near"][:, 0], view.labels]
    return found


def repair(
    view: View,
    broadcast: Message,
    memory: Message,
    *,
    judgement: int,
    tau: PerJudgement[Share] = TAU,
    repair_by: Annotated[str, OneOf("counts", "looks")] = "counts",
    repair_above: NonNegative = 0.8,
) -> Int64[np.ndarray, " samples"]:
    """Label dropped samples anew where there is evidence of what their label was.

    It gives a malicious client samples of the class back that it has flipped away.

    Args:
        repair_by: "counts": with the label that is missing at the client among what looks the same
            (``origins``). "looks": with the class that clusters and network agree on, for
            comparison; where classes overlap both are sure of the wrong one.
        repair_above: What each layer must reach, at least 0: by counts, the probability that a
            sample is mislabeled times the share of such that had the label before; by looks, the
            probability of the class. Above 1 repairs nothing.

    Raises:
        InputError: for another ``repair_by``.
    """
    if repair_by not in ("counts", "looks"):
        raise InputError(f"sanitizer sieve: repair_by: {repair_by!r} is neither counts nor looks")
    tell = _missing if repair_by == "counts" else _looked
    label, sure = tell(view, broadcast, memory)
    dropped = ~keep(view, broadcast, memory, judgement=judgement, tau=tau)
    return np.where(dropped & (label != view.labels) & (sure >= repair_above), label, -1)


def _missing(
    view: View, broadcast: Message, memory: Message
) -> tuple[Int64[np.ndarray, " samples"], Float[np.ndarray, " samples"]]:
    """Label that each sample had before, by what is missing, and how sure the layers are of it.

    As sure as the least sure layer; 0 where they tell different labels.
    """
    labels, sures = [], []
    for layer in _layers([broadcast]):
        told, looks = _part(broadcast, layer), _looks(view, _part(memory, layer))
        cell = view.client, looks.argmax(axis=1), view.labels
        labels.append(told["origin"][cell])
        mislabeled = posterior(looks, view.labels, told["excess"][view.client])
        sures.append(told["share"][cell] * mislabeled)
    agree = np.all(np.equal(labels, labels[0]), axis=0)
    return labels[0], np.where(agree, np.min(sures, axis=0), 0.0)


def _looked(
    view: View, broadcast: Message, memory: Message
) -> tuple[Int64[np.ndarray, " samples"], Float[np.ndarray, " samples"]]:
    """Class that each sample looks like to the network, and how sure it and the clusters are."""
    if OUTPUT not in view.layers:
        return view.labels, np.zeros(len(view.labels))
    known = [_part(memory, layer)["likeness"] for layer in _layers([memory])]
    opinions = [view.layers[OUTPUT], *known]
    label = opinions[0].argmax(axis=1)
    agree = np.all([opinion.argmax(axis=1) == label for opinion in opinions], axis=0)
    sure = np.min([opinion.max(axis=1) for opinion in opinions], axis=0)
    return label, np.where(agree, sure, 0.0)


def _check(view: View, how: str) -> None:
    """Raise InputError unless the view has what the judgement needs."""
    check_single_label("sanitizer sieve", view.labels)
    if how not in ("clusters", "network", "mean"):
        known = "clusters, network, mean; list one of them for each judgement"
        raise InputError(f"sanitizer sieve: by: {how!r} is none of {known}")
    if how != "clusters" and OUTPUT not in view.layers:
        seen = "+".join(view.layers)
        raise InputError(f"sanitizer sieve: by: {how} needs output among the features, not {seen}")
    if how != "network" and set(view.layers) == {OUTPUT}:
        raise InputError(f"sanitizer sieve: by: {how} needs a layer besides output to cluster")


def _profiled(said: list[Message], own: np.ndarray, weighting: str) -> Message:
    """What each cluster is like by the labels kept in it, without those of triggers' own."""
    kept = np.stack([m["kept"] for m in said]) * ~own
    profile = prototypes.profile(kept.sum(axis=0), lift=weighting == "lift")
    return {"profile": profile, "own": own}


def _counts(
    rows: Int64[np.ndarray, " samples"],
    view: View,
    n_rows: int | None = None,
    kept: Bool[np.ndarray, " samples"] | None = None,
) -> Int64[np.ndarray, "rows classes"]:
    """Count a client's samples, or those that are kept, by row (cluster or class) and label."""
    n_rows = view.n_classes if n_rows is None else n_rows
    cells = rows * view.n_classes + view.labels
    cells = cells if kept is None else cells[kept]
    size = n_rows * view.n_classes
    return np.bincount(cells, minlength=size).reshape(n_rows, view.n_classes)


def _informed(view: View, known: Message, told: Message, *, blend: bool) -> Message:
    """What the client knows once it has been told what each cluster is like."""
    looks = prototypes.likeness(known, told["profile"])
    if blend:
        looks = (looks + view.layers[OUTPUT]) / 2
    return known | {"likeness": looks, "own": told["own"][view.client]}


def _looks(view: View, known: Message) -> Float[np.ndarray, "samples classes"]:
    """What the samples look like by a layer's clusters, or by the network's output."""
    return known["likeness"] if known else view.layers[OUTPUT]


def _kept(
    view: View,
    looks: Float[np.ndarray, "samples classes"],
    excess: Float[np.ndarray, "clients classes classes"],
    tau: float,
) -> Bool[np.ndarray, " samples"]:
    """Drop what lies in a flagged cell, and what is mislabeled too probably."""
    own = excess[view.client]
    in_cell = own[looks.argmax(axis=1), view.labels] > 0
    return ~(in_cell | (posterior(looks, view.labels, own) > tau))


def _at(values: Sequence[T], judgement: int) -> T:
    """The value for a judgement; the last one goes on."""
    return values[min(judgement, len(values) - 1)]


def _layers(messages: Sequence[Message]) -> list[str]:
    return list(dict.fromkeys(layer for message in messages for layer in split_layers(message)))


def _part(message: Message, layer: str) -> Message:
    return split_layers(message).get(layer, {})
