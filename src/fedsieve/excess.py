"""Find clients that carry a label excessively often, from counts alone.

Rates differ by chance and by how labels are spread over clients; an attacker adds mass to one cell
of its own table of labels. A split of the clients into a low and a high group counts only if it
explains the counts far better than one rate for all. Nothing here needs an honest majority: the
low group is whoever carries less.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int64
from scipy.special import ndtri, xlogy

MARGIN = 0.45
"""How far the gain must exceed sorted chance, in gates / sqrt(clients) of it.

With ten clients and ten classes that is no more than the gate asks; of a hundred with 60 samples of
each class that are drawn alike, one table in six still has a flagged cell; without it a dozen.
"""

BY_CHANCE = 2.0
"""Standard deviations of chance below which a label is not missing."""

Counts = Int64[np.ndarray, "clients ..."]


@dataclass(frozen=True)
class Split:
    """Two groups of clients, for each cell.

    ``gain`` is by how much two rates explain the counts better than one: twice the log-likelihood
    ratio less 2 ln(clients), the price of a cut that was searched for and of its second rate.
    ``chance`` is what twice that ratio comes to where equal clients are sorted and cut there; 0 for
    groups that are given.
    """

    gain: Float[np.ndarray, "..."]
    high: Bool[np.ndarray, "clients ..."]
    low_rate: Float[np.ndarray, "..."]
    high_rate: Float[np.ndarray, "..."]
    chance: Float[np.ndarray, "..."] | float = 0.0

    def stands_out(self, gate: float, ratio: float, least: float = 0.0) -> Bool[np.ndarray, "..."]:
        """Whether the gain passes the gate, and the high rate is well above the low one.

        Well: ``ratio`` times the odds (a rate of a half can hardly double, and such are those of
        classes that look alike), and the rate ``least`` higher. Sorted chance alone explains more,
        the more clients there are: the gain must exceed that by a margin, too.
        """
        high, low = self.high_rate, self.low_rate
        above = (high * (1 - low) > ratio * low * (1 - high)) & (high - low > least)
        n = len(self.high)
        luck = self.chance * (1 + MARGIN * gate / np.sqrt(n)) - 2 * np.log(n)
        return above & (self.gain > np.maximum(gate, luck))


def split(k: Counts, n: Counts) -> Split:
    """Cut the clients, sorted by rate, where two binomial rates are likeliest; exact.

    Args:
        k, n: Occurrences, and the trials that they are among, of each client in each cell.
    """
    if len(k) < 2:
        return fixed(k, n, np.zeros(k.shape, bool))
    order = np.argsort((k + 0.5) / (n + 1), axis=0, kind="stable")
    ks, ns = (np.take_along_axis(counts, order, axis=0).cumsum(axis=0) for counts in (k, n))
    below = _likelihood(ks[:-1], ns[:-1])
    above = _likelihood(ks[-1] - ks[:-1], ns[-1] - ns[:-1])
    cut = (below + above).argmax(axis=0)
    high = np.argsort(order, axis=0, kind="stable") > cut
    return replace(fixed(k, n, high), chance=sorted_chance(high))


def fixed(k: Counts, n: Counts, high: Bool[np.ndarray, "clients ..."]) -> Split:
    """Gain and rates of two groups that are given."""
    k_high, n_high = (np.where(high, counts, 0).sum(axis=0) for counts in (k, n))
    k_all, n_all = k.sum(axis=0), n.sum(axis=0)
    k_low, n_low = k_all - k_high, n_all - n_high
    two = _likelihood(k_low, n_low) + _likelihood(k_high, n_high)
    gain = 2 * (two - _likelihood(k_all, n_all)) - 2 * np.log(len(k))
    return Split(gain, high, (k_low + 0.5) / (n_low + 1), (k_high + 0.5) / (n_high + 1))


def sorted_chance(high: Bool[np.ndarray, "clients ..."]) -> Float[np.ndarray, "..."]:
    """Twice the log-likelihood ratio expected of equal clients that were sorted and then cut.

    Of n normal deviates of which the share q lies above the cut z, the means of the two groups
    explain n f(z)^2 / (q (1 - q)) of the squares, f the normal density: 0.64 n at the middle.
    """
    share = high.mean(axis=0)
    density = np.exp(-(ndtri(share) ** 2) / 2) / np.sqrt(2 * np.pi)
    return np.asarray(len(high) * density**2 / (share * (1 - share)))


def gate(n_classes: int) -> float:
    """Gain that a cell must exceed: 10 and the price of having looked at all cells.

    Of ten clients' tables of ten classes drawn alike, one in 20 to 40 still has a flagged cell, of
    a few samples.
    """
    return 10 + 2 * np.log(n_classes * (n_classes - 1))


def off_label(
    counts: Int64[np.ndarray, "clients classes classes"],
    *,
    ratio: float = 2.0,
    least: float = 0.02,
    tests: int = 2,
) -> Float[np.ndarray, "clients classes classes"]:
    """Estimate how much of what looks like class a carries label y, beyond what others show.

    Two tests find a flagged cell (a, y), a != y, and its clients: the share of y among all that
    looks like a (which alone would accuse honest clients where others have lost class a's true
    label), and, for the same clients, the share of a among all that is labeled y (which alone
    would accuse them where others have more of label y). Spreading labels unevenly over clients
    moves one of the two. Then the cells of a target y are pooled, which finds an attack that takes
    a little from every class; its cells need no gate of their own.

    Args:
        counts: Samples of each client that look like class a (axis 1) and carry label y (axis 2).
        ratio: How many times the odds of the low rate those of the high one must be.
        least: By how much it must exceed the low one. Clients' rates differ by more than chance,
            since a network fits those that it was trained on last; what is smaller does no harm.
        tests: 1 drops the second test, for comparison.

    Returns:
        Excess rate of each client and cell, 0 where it is not flagged.
    """
    n_classes = counts.shape[1]
    alike = np.broadcast_to(counts.sum(axis=2, keepdims=True), counts.shape)
    labeled = np.broadcast_to(counts.sum(axis=1, keepdims=True), counts.shape)
    off = ~np.eye(n_classes, dtype=bool)
    bounds = (gate(n_classes), ratio, least)
    first = split(counts, alike)
    flagged = first.high & _both(first, counts, labeled, bounds, tests) & off
    low = np.where(flagged.any(axis=0), first.low_rate, np.nan)
    strays = (counts * off).sum(axis=1)
    whole = split(strays, counts.sum(axis=(1, 2))[:, None] - alike.diagonal(axis1=1, axis2=2))
    found = _both(whole, strays, counts.sum(axis=1), bounds, tests)
    group = np.broadcast_to(whole.high[:, None, :], counts.shape)
    weak = fixed(counts, alike, group)
    more = group & (weak.stands_out(0, ratio) & found[None, :]) & off & np.isnan(low)
    low = np.where(np.isnan(low), weak.low_rate, low)
    excess = np.maximum(counts - low * alike, 0) / np.maximum(alike, 1)
    return np.where(flagged | more, excess, 0.0)


def origins(
    counts: Int64[np.ndarray, "clients classes classes"],
    excess: Float[np.ndarray, "clients classes classes"],
) -> tuple[
    Int64[np.ndarray, "clients classes classes"], Float[np.ndarray, "clients classes classes"]
]:
    """Tell from which label a client has flipped, by what is missing beside what is in excess.

    The clients without a flagged cell in row a show how often what looks like class a carries each
    label. What a flagged client has more of y than that, it has less of the labels that it flipped.
    So classes may look alike: if a fifth of what looks like a pullover is labeled shirt, and a
    client labels none of it shirt but a fifth more of it T-shirt, those are its shirts.

    Args:
        counts: As of ``off_label``.
        excess: As from ``off_label``.

    Returns:
        For each client and cell, the label that is most missing in its row, and the share of the
        cell's surplus that carried it, at least: as if all that other labels have in surplus had
        come from it, too. -1 and 0 in cells that are not flagged, in rows that are flagged at
        every client, and where no more is missing than chance explains.
    """
    flagged = excess > 0
    shown = np.where(flagged.any(axis=2, keepdims=True), 0, counts).sum(axis=0)
    n_shown = np.maximum(shown.sum(axis=1, keepdims=True), 1)
    rate = shown / n_shown
    n = counts.sum(axis=2, keepdims=True)
    chance = np.sqrt(n * rate * (1 - rate) * (1 + n / n_shown))
    surplus = np.maximum(counts - n * rate, 0)
    missing = np.maximum(n * rate - counts, 0)
    missing[missing <= BY_CHANCE * chance] = 0
    elsewhere = surplus.sum(axis=2, keepdims=True) - surplus
    taken = missing.max(axis=2, keepdims=True) - elsewhere
    share = np.clip(taken / np.maximum(surplus, 1), 0, 1)
    share[~flagged | (surplus == 0)] = 0
    return np.where(share > 0, missing.argmax(axis=2, keepdims=True), -1), share


def own_clusters(
    counts: Int64[np.ndarray, "clients clusters classes"], *, ratio: float = 4.0, least: int = 20
) -> Bool[np.ndarray, "clients clusters classes"]:
    """Find clusters that some clients fill with one label and others hardly have.

    A trigger that the features can see forms clusters of its own, whose usual label is the
    attacker's target, so that nothing there is off label. Such a cell stands out among all of a
    client's samples and among those of the label; a thinned normal cluster moves only one of them.

    Args:
        counts: Samples of each client in each cluster with each label.
        least: Samples that a cell must have in all.
    """
    n = np.broadcast_to(counts.sum(axis=(1, 2), keepdims=True), counts.shape)
    labeled = np.broadcast_to(counts.sum(axis=1, keepdims=True), counts.shape)
    first = split(counts, n)
    found = _both(first, counts, labeled, (gate(counts.shape[2]), ratio, 0.0), 2)
    return first.high & found & (counts.sum(axis=0) >= least)


def posterior(
    likeness: Float[np.ndarray, "samples classes"],
    labels: Int64[np.ndarray, " samples"],
    excess: Float[np.ndarray, "classes classes"],
) -> Float[np.ndarray, " samples"]:
    """Probability that a sample of one client is mislabeled, given its client's excess rates.

    Args:
        likeness: How much each sample looks like each class, a distribution.
        excess: The client's row of ``off_label``.
    """
    rows = np.arange(len(labels))
    poison = (likeness * excess[:, labels].T).sum(axis=1)
    honest = likeness[rows, labels]
    return poison / np.maximum(poison + honest, np.finfo(float).tiny)


def _both(
    first: Split, k: Counts, n: Counts, bounds: tuple[float, float, float], tests: int
) -> Bool[np.ndarray, "..."]:
    """Whether a split stands out, by its own trials and, for the same clients, by others."""
    found = first.stands_out(*bounds)
    return found & fixed(k, n, first.high).stands_out(*bounds) if tests > 1 else found


def _likelihood(
    k: Int64[np.ndarray, "..."], n: Int64[np.ndarray, "..."]
) -> Float[np.ndarray, "..."]:
    """Log-likelihood of counts under their own best binomial rate."""
    return xlogy(k, k) + xlogy(n - k, n - k) - xlogy(n, n)
