"""MCDFL plus: find label flippers by how their samples' margins and label counts are distributed.

Like MCDFL the server judges the quality of each client's labels by what a global model says of
the client's own samples, knows nothing of the attack, and retrains nothing. In place of one
number per client it looks at every pair of classes, and asks whether some clients' samples of
one label contain a share that looks like the other; a share of honest clients is the reference,
so that a model that the attack has already poisoned still serves.

A client sends a histogram of 64 bins for each ordered pair of classes, and how many of its
samples the model agrees with: 6,401 integers of 32 bits for ten classes (25.6 kB), however many
samples it has. That contains its label counts. The rule trusts what clients report, as any does
that leaves their samples with them: one that reports an honest client's histograms is not found,
and one that claims very many samples moves what is taken for honest, since all samples count
alike.
"""

from typing import Annotated

import numpy as np
from jaxtyping import Float
from torch import Tensor, nn, tensor, zeros

from fedsieve import margins, rowmix
from fedsieve.errors import InputError, check_count, check_share, check_single_label
from fedsieve.flips import Rule, Suspects, detect
from fedsieve.ranges import Count, NonNegative, Range, Share
from fedsieve.records import Message, Screening, View
from fedsieve.vectors import Layout, State, Trained, flatten

N_BINS, LEAST_AGREEMENT, AVERAGE_FROM, DECAY = 5, 0.3, 35, 0.9
"""Defaults of parameters that are checked before training, and used in it."""

Bins = Annotated[int, Range(least=2, most=64)]

Decay = Annotated[float, Range(least=0, below=1)]

PARTS = ("soft", "softa", "joint")

SINGLE_LABEL = True
"""It counts samples by their one label."""

SCORE = "minus log-odds"
"""What its scores are; they are drawn."""

SENDS_LABEL_COUNTS = True
"""Clients send their label counts, or what contains them; tables mark it."""


def init(
    n_clients: int,
    layout: Layout,
    *,
    n_bins: Bins = N_BINS,
    least_agreement: Share = LEAST_AGREEMENT,
    average_from: Count = AVERAGE_FROM,
    decay: Decay = DECAY,
) -> State:
    """Start the average of global models, which no round has shaped.

    Returns:
        average [values], and rounds [], how many are in it.

    Raises:
        InputError: for parameters that no other function could use.
    """
    check_count("mcdfl_plus: n_bins", n_bins, 2)
    check_share("mcdfl_plus: least_agreement", least_agreement)
    check_count("mcdfl_plus: average_from", average_from, 1)
    check_share("mcdfl_plus: decay", decay)
    if decay == 1:
        raise InputError("mcdfl_plus: decay: at 1 the average would never move; use 0.9, say")
    return {"average": zeros(layout.n_values), "rounds": tensor(0)}


def judge(
    values: Float[Tensor, " values"], state: State, *, average_from: Count = AVERAGE_FROM
) -> Float[Tensor, " values"]:
    """Let the average of global models judge once it holds enough rounds.

    It is the better classifier late in training, and lags behind early.

    Args:
        average_from: Rounds that must have passed, 1 or more; until then the global model judges.
    """
    late = int(state["rounds"]) >= average_from
    return state["average"] if late else values


def report(view: View, broadcast: Message) -> Message:
    """Count margins, ``margins`` [classes, classes, 64], and agreeing samples, ``agreed`` [1].

    Of a model that has diverged, no sample agrees and nothing is counted.

    Raises:
        InputError: where samples have several labels.
    """
    check_single_label("detector mcdfl_plus", view.labels)
    logits = view.layers["logits"]
    if not np.isfinite(logits).all():
        logits, labels = logits[:0], view.labels[:0]
    else:
        labels = view.labels
    agreed = (logits.argmax(axis=1) == labels).sum(keepdims=True)
    counts = margins.histograms(logits, labels, view.n_classes)
    return {"margins": counts, "agreed": agreed.astype(np.int32)}


def flag(
    reports: list[Message],
    state: State,
    *,
    n_bins: Bins = N_BINS,
    cut: NonNegative = 2.2,
    cut_image: NonNegative = 9.2,
    least_agreement: Share = LEAST_AGREEMENT,
) -> Screening:
    """Flag clients by margins and label counts together, or by margins that leave no doubt.

    Args:
        n_bins: Bins that each pair's histogram is merged to, from 2 to 64.
        cut: Log-odds of being malicious, at least 0, above which a client is flagged; 2.2 is nine
            to one.
        cut_image: The same, at least 0, for margins alone, whatever the counts say.
        least_agreement: Share of all samples, from 0 to 1, whose label the model must predict.
            Below, it knows too little: nobody is flagged, and scores are NaN.

    Returns:
        Scores are minus the log-odds of the likelier part, shifted so that both have the same
        cut; where nobody is found, those of the best guess. Also found: whom each part would
        flag with its own gate (``soft`` and ``softa`` by margins alone, ``joint``; ``labhist`` by
        label counts alone, a control), ``image_gain`` and ``joint_gain`` of the first finding,
        and ``pairs`` [s, t], True where flips from s to t were found.
    """
    counts = np.stack([r["margins"] for r in reports])
    held = margins.label_counts(counts)
    agreed = sum(int(r["agreed"][0]) for r in reports)
    if not held.sum() or agreed < least_agreement * held.sum():
        return _undecided(*held.shape)
    found = detect(counts, Rule(n_bins, cut, cut_image))
    control = rowmix.by_label(held, cut).flagged
    return Screening(~found.flagged, -found.log_odds, _record(found) | {"labhist": control})


def learn(model: nn.Module, trained: Trained, state: State, *, decay: Decay = DECAY) -> State:
    """Add the round's global model to the exponential average.

    The weights of the rounds so far sum to 1, so that the random start has no part in it.

    Args:
        decay: How much less each earlier round counts, at least 0 and below 1.
    """
    rounds = state["rounds"] + 1
    rate = (1 - decay) / (1 - decay ** int(rounds))
    average = state["average"]
    return {"average": average + rate * (flatten(model) - average), "rounds": rounds}


def _record(found: Suspects) -> Message:
    gains = {name: np.array(getattr(found.first, name)) for name in ("image_gain", "joint_gain")}
    return {part: getattr(found, part) for part in PARTS} | gains | {"pairs": found.pairs}


def _undecided(n_clients: int, n_classes: int) -> Screening:
    """Everybody is benign; what is recorded has the same form as ever."""
    nobody, nothing = np.zeros(n_clients, bool), np.array(np.nan)
    found: Message = dict.fromkeys((*PARTS, "labhist"), nobody)
    found |= {"image_gain": nothing, "joint_gain": nothing}
    found["pairs"] = np.zeros((n_classes, n_classes), bool)
    return Screening(~nobody, np.full(n_clients, np.nan), found)
