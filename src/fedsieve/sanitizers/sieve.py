"""Sieve: drop a sample only where its client's off-label mass is statistically excessive.

FedSieve's own sanitizer, in the family of FDSD: clients cluster their features together, and a
sample's label is compared with what its cluster is like. Unlike FDSD it drops nothing at a client
whose counts do not exceed those of others, needs no honest majority, and judges again while the
network learns. Clients send cluster centers, sums and counts, nothing else.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int64

from fedsieve import prototypes
from fedsieve.errors import InputError, check_single_label
from fedsieve.excess import off_label, origins, own_clusters, posterior
from fedsieve.ranges import NonNegative, OneOf, PerJudgement, Share, Size
from fedsieve.record_keys import put_in_layer, split_layers
from fedsieve.records import Message, View

EXCHANGES = 10
"""As many as ``PHASES`` has; written as a number, since the workflow reads it from the source."""

SINGLE_LABEL = True
"""It compares the one label of a sample with what the sample looks like."""

RECORDS_EXCESS = True
"""The server keeps "excess" [clients, classes, classes] of each layer: the workflow draws it."""

OUTPUT = "output"
BY = ("clusters", "clusters", "clusters", "mean", "network")
TAU = (0.3, 0.1, 0.05, 0.05, 0.03)

T = TypeVar("T")


@dataclass(frozen=True)
class Own:
    """What a client has of one layer: its samples, what it was told last, what it remembers.

    ``blends`` is whether the network has a say at last, beside the clusters.
    """

    view: View
    features: Float[np.ndarray, "samples features"]
    told: Message
    known: Message
    n_local: int
    tau: float
    blends: bool
    rng: np.random.Generator


@dataclass(frozen=True)
class Joint:
    """What the server has of one layer: what all clients say, and what it remembers.

    ``bounds`` say from when on a cell is off label; ``lift`` is how clusters are profiled.
    """

    said: list[Message]
    known: Message
    n_clusters: int
    bounds: dict[str, Any]
    lift: bool
    own_cluster_test: bool
    rng: np.random.Generator

    def stacked(self, name: str) -> np.ndarray:
        """An array of all clients, one below the other."""
        return np.stack([message[name] for message in self.said])


Said = tuple[Message, Message]
"""What is sent, and what is remembered."""


def send_clusters(own: Own) -> Said:
    """A client's own clusters."""
    return prototypes.own_centers(own.features, own.n_local, own.rng), own.known


def join_clusters(joint: Joint) -> Said:
    """The joint clusters of all clients: the prototypes."""
    found = {"prototypes": prototypes.join(joint.said, joint.n_clusters, joint.rng)}
    return found, found


def send_sums(own: Own) -> Said:
    """Sums of the samples nearest to each prototype."""
    return prototypes.sums(own.features, own.told["prototypes"]), own.known


def move_prototypes(joint: Joint) -> Said:
    """The prototypes after a step of Lloyd's algorithm."""
    found = {"prototypes": prototypes.moved(joint.said, joint.known["prototypes"])}
    return found, found


def send_counts(own: Own) -> Said:
    """Labels in each cluster, of all samples and of those kept up to now."""
    known = prototypes.neighbors(own.features, own.told["prototypes"])
    count = partial(_counts, known["near"][:, 0], own.view, len(own.told["prototypes"]))
    return {"whole": count(), "kept": count(own.view.kept)}, known


def profile_clusters(joint: Joint) -> Said:
    """What each cluster is like, and which clusters a trigger has made for itself."""
    whole = joint.stacked("whole")
    known = {"whole": whole, "own": own_clusters(whole) & joint.own_cluster_test}
    return profile_again(replace(joint, known=known))


def send_kept(own: Own) -> Said:
    """Labels in each cluster, of the samples that would be kept by what is known now."""
    kept = _kept(own.view, own.known["likeness"], own.told["excess"], own.tau)
    counts = _counts(own.known["near"][:, 0], own.view, len(own.known["own"]), kept)
    return {"kept": counts}, own.known


def profile_again(joint: Joint) -> Said:
    """What each cluster is like by the labels kept in it, without those of triggers' own."""
    own = joint.known["own"]
    kept = joint.stacked("kept") * ~own
    profile = prototypes.profile(kept.sum(axis=0), lift=joint.lift)
    return {"profile": profile, "own": own}, joint.known


def send_looks(own: Own) -> Said:
    """How many samples of each label look like each class, by the clusters."""
    return _send_looks(own, prototypes.likeness(own.known, own.told["profile"]))


def find_excess(joint: Joint) -> Said:
    """Which clients have too many samples of a label that look like another class."""
    alike = joint.stacked("alike")
    excess = {"excess": off_label(alike, **joint.bounds)}
    return excess, joint.known | excess | {"alike": alike}


def send_last_looks(own: Own) -> Said:
    """The same at last, where the network may have a say."""
    looks = prototypes.likeness(own.known, own.told["profile"])
    return _send_looks(own, (looks + own.view.layers[OUTPUT]) / 2 if own.blends else looks)


def find_origins(joint: Joint) -> Said:
    """The same at last, and which label the excess samples had before."""
    excess, known = find_excess(joint)
    label, share = origins(known["alike"], known["excess"])
    return excess | {"origin": label, "share": share}, known


@dataclass(frozen=True)
class Phase:
    """What clients send of each layer, and what the server makes of it."""

    send: Callable[[Own], Said]
    answer: Callable[[Joint], Said]


CLUSTER = Phase(send_clusters, join_clusters)
MOVE = Phase(send_sums, move_prototypes)
PROFILE = Phase(send_counts, profile_clusters)
COMPARE = Phase(send_looks, find_excess)
REFINE = Phase(send_kept, profile_again)
CONCLUDE = Phase(send_last_looks, find_origins)

PHASES = (CLUSTER, MOVE, MOVE, MOVE, PROFILE, COMPARE, REFINE, COMPARE, REFINE, CONCLUDE)
"""Of the exchanges, in turn."""


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
    how, phase = _at(by, judgement), PHASES[exchange]
    if exchange == 0:
        _check(view, how)
    if how == "network":
        return _send_by_network(view) if phase == CONCLUDE else {}, {}
    message: Message = {}
    remembered: Message = {}
    for layer in (name for name in view.layers if name != OUTPUT):
        own = Own(
            view,
            view.layers[layer],
            _part(broadcast, layer),
            _part(memory, layer),
            n_local=n_local,
            tau=_at(tau, judgement),
            blends=how == "mean",
            rng=rng,
        )
        sent, known = phase.send(own)
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
        joint = Joint(
            [_part(message, layer) for message in messages],
            _part(state, layer),
            n_clusters=_at(n_clusters, judgement),
            bounds={"ratio": ratio, "least": least, "tests": tests},
            lift=weighting == "lift",
            own_cluster_test=own_cluster_test,
            rng=rng,
        )
        answer, known = PHASES[exchange].answer(joint)
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


def _send_looks(own: Own, looks: Float[np.ndarray, "samples classes"]) -> Said:
    known = own.known | {"likeness": looks, "own": own.told["own"][own.view.client]}
    return {"alike": _counts(looks.argmax(axis=1), own.view)}, known


def _send_by_network(view: View) -> Message:
    """How many samples of each label look like each class, to the network alone."""
    return put_in_layer(OUTPUT, {"alike": _counts(view.layers[OUTPUT].argmax(axis=1), view)})


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
