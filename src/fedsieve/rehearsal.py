"""Let a defense work once on no samples, before round one.

What it refuses, such as features or several labels per sample, it refuses then, and not before the
round in which it would have worked for the first time. A client without samples is no error to any
sanitizer or detector (``tests/contracts``).
"""

from dataclasses import replace

import numpy as np

from fedsieve import screening
from fedsieve.exchanges import client_step
from fedsieve.features import extract
from fedsieve.local import TrainingData
from fedsieve.records import View
from fedsieve.rounds import Federation


def rehearse(fed: Federation) -> None:
    """Ask the sanitizer for a first message at each judgement, and the detector for a screening.

    Nothing of the federation changes.

    Raises:
        InputError: as these raise it.
    """
    nothing = replace(fed.data, images=fed.data.images[:0], labels=fed.data.labels[:0])
    _judge(fed, nothing)
    _screen(fed, nothing)


def _judge(fed: Federation, nothing: TrainingData) -> None:
    if fed.defense.sanitize is None:
        return
    for judgement, number in enumerate(sorted(fed.defense.judgements)):
        seen = fed.defense.judgements[number]
        layers = {layer: extract(fed.model, nothing.images, layer) for layer in seen}
        labels = nothing.labels.cpu().numpy()
        view = View(0, layers, labels, fed.n_classes, kept=np.ones(0, bool))
        at = {"before_round": number, "exchange": 0, "judgement": judgement}
        client_step(fed.defense.sanitize, view, {}, {}, seed=fed.seed, **at)


def _screen(fed: Federation, nothing: TrainingData) -> None:
    detect = fed.defense.detect
    if detect is not None and screening.function(detect, "flag") is not None:
        state = screening.fresh(detect, fed.model, 1, fed.seed)
        nobody = [np.zeros(0, np.int64)]
        screening.screen(detect, fed.model, fed.values, state, nothing, nobody, fed.n_classes)
