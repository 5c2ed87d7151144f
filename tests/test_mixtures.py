import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import multinomial

from fedsieve.mixtures import apart, at, best, mixed, outliers, top, varied, weight

FOREIGN = np.array([0.1, 0.2, 0.3, 0.4])
BASE = np.array([0.4, 0.3, 0.2, 0.1])


def drawn(seed, *, n_clients=20, n_malicious=5, n=60, share=0.5):
    """Counts of clients, of which the first have a share of foreign samples."""
    rng = np.random.default_rng(seed)
    own = np.where(np.arange(n_clients) < n_malicious, share, 0.0)[:, None]
    return rng.multinomial(n, (1 - own) * BASE + own * FOREIGN).astype(float)


def start(counts, share=0.2):
    return top((counts @ FOREIGN) / np.maximum(counts.sum(axis=1), 1), share)


def found(how, counts, steps):
    if how == "apart":
        return apart(counts, start(counts), steps)
    if how == "mixed":
        return mixed(counts, FOREIGN, start(counts), steps)
    return varied(counts, FOREIGN, mixed(counts, FOREIGN, start(counts), 0), steps)


HOW = pytest.mark.parametrize("how", ["apart", "mixed", "varied"])


@HOW
@pytest.mark.parametrize("seed", range(5))
def test_expectation_maximization_never_falls(how, seed):
    counts = drawn(seed, share=0.3)
    climbed = [float(found(how, counts, steps).objective) for steps in range(25)]
    assert (np.diff(climbed) > -1e-9).all()
    assert climbed[-1] > climbed[0]


@pytest.mark.parametrize("how", ["apart", "mixed"])
@pytest.mark.parametrize("n_malicious", [1, 5, 10])
def test_gain_and_log_odds_are_those_of_an_independent_library(how, n_malicious):
    counts = drawn(1, n_malicious=n_malicious)
    groups = found(how, counts, 9)
    n, everybody = counts.sum(axis=1), counts.sum(axis=0) + 0.5
    other, base = (multinomial.logpmf(counts, n, p) for p in (groups.other, groups.base))
    w = expit(groups.log_odds - (other - base))
    assert w == pytest.approx(np.full(20, w[0]))
    two = np.logaddexp(np.log(w) + other, np.log(1 - w) + base).sum()
    one = multinomial.logpmf(counts, n, everybody / everybody.sum()).sum()
    assert groups.gain == pytest.approx(2 * (two - one) - 2 * np.log(20))


def test_shares_of_their_own_are_averaged_by_an_independent_library():
    counts = drawn(1)
    groups = found("varied", counts, 9)
    n, shares = counts.sum(axis=1), np.arange(1, 41) / 40
    others = [multinomial.pmf(counts, n, (1 - a) * groups.base + a * FOREIGN) for a in shares]
    ratio = np.log(np.mean(others, axis=0)) - multinomial.logpmf(counts, n, groups.base)
    w = expit(groups.log_odds - ratio)
    assert w == pytest.approx(np.full(20, w[0]))
    assert 0.1 < w[0] < 0.5


def test_two_groups_by_hand():
    counts = np.array([[0, 10]] * 6 + [[10, 0]] * 2, float)
    groups = apart(counts, np.repeat([0.0, 1.0], [6, 2]), 3)
    # nobody is in doubt: 20 + .5 of 21 samples in one bin, 60 + .5 of 61 in the other; w = 1/4
    assert groups.other == pytest.approx([20.5 / 21, 0.5 / 21], rel=1e-6)
    assert groups.base == pytest.approx([0.5 / 61, 60.5 / 61], rel=1e-6)
    ratio = np.log((20.5 / 21) / (0.5 / 61))
    assert groups.log_odds[-1] == pytest.approx(np.log(1 / 3) + 10 * ratio, rel=1e-6)


@HOW
def test_of_many_samples_the_groups_are_found(how):
    groups = found(how, drawn(2, n=400), 30)
    assert (groups.log_odds > 0).tolist() == [True] * 5 + [False] * 15
    assert groups.gain > 50
    assert groups.base == pytest.approx(BASE, abs=0.02)


def test_the_common_share_is_found():
    groups = found("mixed", drawn(3, n=2000, share=0.4), 60)
    assert groups.other == pytest.approx(0.6 * BASE + 0.4 * FOREIGN, abs=0.02)


@HOW
def test_clients_drawn_alike_gain_nothing(how):
    gains = [float(found(how, drawn(seed, n_malicious=0), 30).gain) for seed in range(20)]
    assert np.mean(gains) < 0
    assert max(gains) < 10


@HOW
def test_permuting_clients_permutes_log_odds(how):
    counts, order = drawn(4), np.random.default_rng(0).permutation(20)
    one, moved = found(how, counts, 20), found(how, counts[order], 20)
    assert moved.log_odds == pytest.approx(one.log_odds[order])


@HOW
def test_a_client_without_samples_is_taken_for_honest(how):
    counts = np.vstack([drawn(5), np.zeros((1, 4))])
    groups = found(how, counts, 20)
    assert np.log(0.5 / 20.5) <= groups.log_odds[-1] <= 0
    without = found(how, counts[:-1], 20)
    assert ((groups.log_odds[:-1] > 0) == (without.log_odds > 0)).all()


def test_cells_are_divided_each_on_its_own():
    cells = np.stack([drawn(seed) for seed in range(4)])
    z = np.stack([start(own) for own in cells])
    together = mixed(cells, np.tile(FOREIGN, (4, 1)), z, 15)
    for cell, own in enumerate(cells):
        alone = mixed(own, FOREIGN, z[cell], 15)
        assert at(together, cell).log_odds == pytest.approx(alone.log_odds)
        assert at(together, cell).gain == pytest.approx(alone.gain)


def test_the_best_start_is_chosen_for_each_cell():
    cells = np.stack([drawn(seed) for seed in range(4)])
    good, bad = (
        mixed(cells, np.tile(FOREIGN, (4, 1)), np.eye(20)[[who] * 4], 0) for who in (0, 19)
    )
    chosen = best([bad, good])
    assert chosen.objective.tolist() == np.maximum(good.objective, bad.objective).tolist()
    assert (chosen.log_odds == good.log_odds).all(axis=1).any()


def test_the_top_are_the_highest_scores():
    scores = np.array([[5.0, 3, 9, 1, 7, 2, 8, 4, 6, 0]])
    assert np.flatnonzero(top(scores, 0.3)).tolist() == [2, 4, 6]
    assert np.flatnonzero(top(scores, 0.01)).tolist() == [2]


def test_of_equals_all_or_none_are_at_the_top():
    assert top(np.array([4.0, 0, 0, 0, 0]), 0.4).tolist() == [1, 0, 0, 0, 0]
    assert top(np.zeros(5), 0.4).tolist() == [1] * 5
    assert top(np.array([2.0, 2, 2, 1, 1]), 0.2).tolist() == [1, 1, 1, 0, 0]


@pytest.mark.parametrize(
    ("odds", "wanted"),
    [
        ([3.0, 1, 2.3, -9], [True, False, True, False]),
        ([3.0, 4, 5, -9], [False, True, True, False]),
        ([3.0, 4, 5, 6, 7], [False, False, False, True, True]),
        ([3.0, 3, 3], [False, False, False]),
        ([9.0], [False]),
    ],
)
def test_outliers_are_above_the_cut_and_at_most_half(odds, wanted):
    assert outliers(np.array(odds), 2.2).tolist() == wanted


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=30), st.floats(-5, 5))
def test_never_more_than_half_are_outliers(odds, cut):
    flagged = outliers(np.array(odds), cut)
    assert flagged.sum() <= len(odds) / 2
    assert (np.array(odds)[flagged] > cut).all()


def test_the_others_are_never_taken_for_more_than_half_nor_for_nobody():
    assert weight(np.ones(10)) == 0.5
    assert weight(np.zeros(10)) == 0.05
    assert weight(np.array([1.0, 0, 0, 0])) == 0.25
