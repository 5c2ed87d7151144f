"""Rowmix: find label flippers by what the global model predicts for each of their labels.

A client sends a table of counts [label, prediction], 100 integers for ten classes. It contains
its label counts, which the rule does not compare. A client that lies in its table is not found:
the rule trusts what clients report, as any does that leaves their samples with them.
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
    """Count the client's samples by label and prediction: ``predicted`` [classes, classes].

    Raises:
        InputError: where samples have several labels.
    """
    check_single_label("detector rowmix", view.labels)
    return {"predicted": rowmix.tally(view.layers["logits"], view.labels, view.n_classes)}


def flag(reports: list[Message], state: State, *, cut: NonNegative = 2.2) -> Screening:
    """Flag clients whose row of the most telling cell (label, prediction) is odd.

    Args:
        cut: Log-odds of being malicious, at least 0, above which a client is flagged; 2.2 is nine
            to one.

    Returns:
        Scores are minus the log-odds, of the best cell even if it does not pass the gate. Also
        found: the ``gain`` of that cell (dBIC), and the ``cell`` [label, prediction].
    """
    odd = rowmix.by_prediction(np.stack([r["predicted"] for r in reports]), cut)
    found = {"gain": np.array(odd.gain), "cell": np.array(odd.cell)}
    return Screening(~odd.flagged, -odd.log_odds, found)
