"""Label histogram: flag clients whose label counts alone differ. A control, not a method.

Where all clients hold the same classes, flipping a whole class empties it and doubles another,
so that counting labels finds the attackers and no model is needed. What a detector finds beyond
this control it owes to looking at samples; and where labels are spread unevenly the control
flags honest clients. An attacker that swaps two classes keeps its counts and is not found.
"""

import numpy as np

from fedsieve import rowmix
from fedsieve.errors import check_single_label
from fedsieve.ranges import NonNegative
from fedsieve.records import Message, Screening, View
from fedsieve.vectors import State

SINGLE_LABEL = True
"""It counts samples by their one label."""

SCORE = "minus log-odds"
"""What its scores are; they are drawn."""

SENDS_LABEL_COUNTS = True
"""Clients send their label counts, or what contains them; tables mark it."""


def report(view: View, broadcast: Message) -> Message:
    """Count the client's samples by label: ``labels`` [classes].

    Raises:
        InputError: where samples have several labels.
    """
    check_single_label("detector label_histogram", view.labels)
    counts = np.bincount(view.labels, minlength=view.n_classes)
    return {"labels": counts.astype(np.int32)}


def flag(reports: list[Message], state: State, *, cut: NonNegative = 2.2) -> Screening:
    """Flag clients whose label counts belong to the odd group of the most telling pair.

    Args:
        cut: Log-odds of being malicious, at least 0, above which a client is flagged; 2.2 is nine
            to one.

    Returns:
        Scores are minus the log-odds, of the best pair even if it does not pass the gate. Also
        found: the ``gain`` of that pair (dBIC), and the ``pair`` (s, t), of which t is frequent.
    """
    counts = np.stack([r["labels"] for r in reports]).astype(np.int64)
    odd = rowmix.by_label(counts, cut)
    found = {"gain": np.array(odd.gain), "pair": np.array(odd.cell)}
    return Screening(~odd.flagged, -odd.log_odds, found)
