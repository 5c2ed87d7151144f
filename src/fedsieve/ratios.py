"""How many clients a ratio makes malicious (standard library only)."""

import math

ORACLE = "oracle"
"""Value of an aggregator's ``n_malicious`` that stands for the true number in each cohort."""


def n_malicious(ratio: float, n_clients: int) -> int:
    """Return the number of malicious among ``n_clients`` clients: rounded, halves up."""
    return math.floor(ratio * n_clients + 0.5)
