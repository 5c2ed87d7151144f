"""Find clients that have flipped labels of one class to another, from margins alone.

Every pair of classes is looked at by margins; the pairs that stand out by margins and label
counts together. Several attacks are peeled off one after the other.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from fedsieve import margins
from fedsieve.balance import Evidence, joint
from fedsieve.excess import gate
from fedsieve.margins import Counts
from fedsieve.mixtures import Groups, at, best, distribution, mixed, outliers, top, varied

Clients = Float[np.ndarray, " clients"]
Mask = Bool[np.ndarray, " clients"]

SCAN, AGAIN = ((0.05, 0.3), 10), ((0.05, 0.2, 0.4), 40)
"""Shares of clients to start from, and steps, for all pairs and for the best ones."""

N_BEST = 3
"""Pairs that are looked at again."""


@dataclass(frozen=True)
class Rule:
    """When clients are flagged; log-odds in nats.

    Either margins and counts together (above ``cut``), or margins alone if they leave no doubt
    (above ``cut_image``): an attacker that keeps its counts in balance would otherwise be
    excused by them.
    """

    n_bins: int = 5
    cut: float = 2.2
    cut_image: float = 9.2


@dataclass(frozen=True)
class Finding:
    """What one pair (s, t) of classes says of each client, as log-odds of having flipped s to t.

    ``soft`` and ``softa`` go by margins alone, with one share of flipped samples for all or one
    for each; ``joint`` by counts as well. ``image_gain`` is how much better two groups explain
    the margins than one (dBIC), ``joint_gain`` the same for margins and counts (J).
    """

    pair: tuple[int, int]
    soft: Clients
    softa: Clients
    joint: Clients
    image_gain: float
    joint_gain: float

    def log_odds(self, rule: Rule) -> Clients:
        """Of the likelier part, so that the rule's ``cut`` is the threshold of either.

        Where more than half would be flagged, margins with one share for all decide.
        """
        either = np.maximum(self.joint, self.softa - (rule.cut_image - rule.cut))
        return self.soft if (either > rule.cut).sum() > len(either) / 2 else either

    def sees(self, gate: float) -> tuple[bool, bool]:
        """Whether margins pass the gate, and whether margins and counts do.

        The second needs some evidence from margins: counts alone differ between honest clients.
        """
        by_both = self.image_gain > 0 and self.joint_gain >= gate
        return bool(self.image_gain >= gate), bool(by_both)


@dataclass(frozen=True)
class Suspects:
    """Who is flagged, by the whole rule and by each part with its own gate.

    ``log_odds`` are the highest of a client in any attack that was found, or in the best guess
    if there is none. ``first`` is what was found first; ``pairs`` [s, t] are True where found.
    """

    flagged: Mask
    log_odds: Clients
    soft: Mask
    softa: Mask
    joint: Mask
    first: Finding
    pairs: Bool[np.ndarray, "classes classes"]


def find(counts: Counts, n_bins: int = 5) -> Finding:
    """Look for one attack.

    Candidates are the best pair alone if its margins pass the gate, otherwise those of the best
    few that gain at all, of which counts choose.
    """
    rows, sources = margins.merged(counts, n_bins)
    foreign, pairs = distribution(sources.sum(axis=1)), margins.pairs(counts.shape[1])
    order = np.argsort(-_soft(rows, foreign, *SCAN).gain, kind="stable")[:N_BEST]
    groups = _soft(rows[order], foreign[order], *AGAIN)
    first = int(groups.gain.argmax())
    hopeful = np.flatnonzero(groups.gain > 0)
    clear = groups.gain[first] >= gate(counts.shape[1])
    candidates = [first] if clear or not len(hopeful) else hopeful.tolist()
    held = margins.label_counts(counts)
    found = [
        _refined(pairs[order[c]], rows[order[c]], foreign[order[c]], held, at(groups, c))
        for c in candidates
    ]
    return max(found, key=lambda finding: finding.joint_gain)


def flags(finding: Finding, rule: Rule, n_classes: int) -> dict[str, Mask]:
    """Whom the whole rule flags, and whom each of its parts would; never more than half."""
    by_margins, by_both = finding.sees(gate(n_classes))
    parts = {
        "flagged": (by_margins or by_both, finding.log_odds(rule)),
        "soft": (by_margins, finding.soft),
        "softa": (by_margins, finding.softa),
        "joint": (by_both, finding.joint),
    }
    return {part: seen & outliers(odds, rule.cut) for part, (seen, odds) in parts.items()}


def detect(counts: Counts, rule: Rule) -> Suspects:
    """Peel off one attack after the other, while at most half of the clients are flagged."""
    n_clients, n_classes = counts.shape[:2]
    rest, odds = np.arange(n_clients), np.full(n_clients, -np.inf)
    masks = {part: np.zeros(n_clients, bool) for part in ("flagged", "soft", "softa", "joint")}
    pairs = np.zeros((n_classes, n_classes), bool)
    first = None
    while True:
        finding = find(counts[rest], rule.n_bins)
        own = flags(finding, rule, n_classes)
        more = {part: _widened(mask, rest[own[part]]) for part, mask in masks.items()}
        new = own["flagged"].any() and more["flagged"].sum() <= n_clients / 2
        if first is None or new:
            first = first or finding
            odds[rest] = np.maximum(odds[rest], finding.log_odds(rule))
            masks = more
        if not new:
            return Suspects(**masks, log_odds=odds, first=first, pairs=pairs)
        pairs[finding.pair] = True
        rest = np.setdiff1d(rest, np.flatnonzero(masks["flagged"]))


def _soft(
    rows: Float[np.ndarray, "pairs clients bins"],
    foreign: Float[np.ndarray, "pairs bins"],
    shares: tuple[float, ...],
    steps: int,
) -> Groups:
    """Divide the clients for each pair; start from those whose margins are the most foreign."""
    logs = np.log(foreign / distribution(rows.sum(axis=1)))
    scores = np.einsum("pnb,pb->pn", rows, logs) / np.maximum(rows.sum(axis=2), 1)
    scores[rows.sum(axis=2) == 0] = -np.inf
    return best([mixed(rows, foreign, top(scores, share), steps) for share in shares])


def _refined(
    pair: Int64[np.ndarray, " 2"],
    rows: Float[np.ndarray, "clients bins"],
    foreign: Float[np.ndarray, " bins"],
    held: Int64[np.ndarray, "clients classes"],
    soft: Groups,
) -> Finding:
    """Ask all parts of the rule about one pair."""
    source, target = pair.tolist()
    softa = varied(rows, foreign, soft)
    evidence = Evidence(rows, foreign, held[:, source], held[:, target], held.sum(axis=1))
    both = joint(evidence, [softa, soft])
    odds = (soft.log_odds, softa.log_odds, both.log_odds)
    return Finding((source, target), *odds, float(soft.gain), both.gain)


def _widened(mask: Mask, more: Int64[np.ndarray, " more"]) -> Mask:
    """The mask with more clients in it."""
    return mask | np.isin(np.arange(len(mask)), more)
