import numpy as np
import pytest
from flipped import flip, group, samples, swap, tallied, uneven
from scipy.special import expit
from scipy.stats import binom
from sklearn.metrics import confusion_matrix

from fedsieve.rowmix import by_label, by_prediction, tally, two_rates

CUT = 2.2


def table(n_clients=20, n_malicious=5, rates=(0.1, 0.4), n=100, seed=0):
    """One cell's counts; the first clients have the second rate."""
    rate = np.where(np.arange(n_clients) < n_malicious, rates[1], rates[0])
    k = np.random.default_rng(seed).binomial(n, rate)
    return k[None].astype(np.int64), np.full((1, n_clients), n)


def labels_of(found, n_classes=4):
    return np.stack([np.bincount(y, minlength=n_classes) for _, y in found])


def who(odd):
    return np.flatnonzero(odd.flagged).tolist()


def test_samples_are_tallied_by_label_and_prediction():
    logits = np.array([[2, 1, 0], [0, 5, 1], [0, 1, 3], [9, 1, 0]], np.float32)
    found = tally(logits, np.array([0, 0, 2, 2]), 3)
    assert found.tolist() == [[1, 1, 0], [0, 0, 0], [1, 0, 1]]
    assert found.dtype == np.int32


def test_the_tally_is_a_confusion_matrix():
    ((logits, labels),) = samples(0, {}, n_clients=1)
    wanted = confusion_matrix(labels, logits.argmax(axis=1))
    assert tally(logits, labels, 4).tolist() == wanted.tolist()


def test_the_gain_of_two_rates_is_an_independent_librarys():
    k, n = table()
    found = two_rates(k, n)
    high, low = found.other[0, 0], found.base[0, 0]
    ratio = binom.logpmf(k[0], 100, high) - binom.logpmf(k[0], 100, low)
    w = expit(found.log_odds[0] - ratio)
    assert w == pytest.approx(np.full(20, 0.25), abs=0.01)
    two = np.log(w * binom.pmf(k[0], 100, high) + (1 - w) * binom.pmf(k[0], 100, low)).sum()
    one = binom.logpmf(k[0], 100, (k.sum() + 0.5) / (n.sum() + 1)).sum()
    assert found.gain[0] == pytest.approx(2 * (two - one) - 2 * np.log(20))


def test_two_rates_by_hand():
    # nobody is in doubt: the rates are (90 + .5) / (100 + 1) and (0 + .5) / (800 + 1)
    found = two_rates(np.array([[45, 45] + [0] * 8 + [0, 0]]), np.array([[50, 50] + [80] * 10]))
    assert found.other[0, 0] == pytest.approx(90.5 / 101, rel=1e-6)
    assert found.base[0, 0] == pytest.approx(0.5 / 801, rel=1e-6)


def test_one_client_that_alone_has_any_is_found():
    k = np.zeros((1, 40), np.int64)
    k[0, 7] = 20
    found = two_rates(k, np.full((1, 40), 50))
    assert np.flatnonzero(found.log_odds[0] > CUT).tolist() == [7]
    assert found.gain[0] > 19


def test_a_minority_of_a_lower_rate_is_not_what_is_looked_for():
    assert np.isfinite(two_rates(*table(rates=(0.02, 0.5), n=400)).gain)
    assert two_rates(*table(rates=(0.5, 0.02), n=400)).gain == -np.inf


def test_a_cell_of_a_few_samples_is_not_looked_at():
    k = np.zeros((2, 40), np.int64)
    k[:, 3] = 4, 5
    assert np.isfinite(two_rates(k, np.full((2, 40), 50)).gain).tolist() == [False, True]


@pytest.mark.parametrize("n_malicious", [1, 4, 12, 20])
def test_flippers_are_found_by_what_is_predicted_for_their_labels(n_malicious):
    odd = by_prediction(tallied(samples(0, group(n_malicious, flip(2, 3)))), CUT)
    assert who(odd) == list(range(n_malicious))
    assert odd.cell == (3, 2)


def test_labels_that_are_spread_unevenly_accuse_nobody_by_prediction():
    for seed in range(6):
        odd = by_prediction(tallied(samples(seed, {}, shares=uneven(seed))), CUT)
        assert not odd.flagged.any()


def test_where_networks_know_little_counts_of_predictions_fail():
    found = [
        by_prediction(tallied(samples(s, group(8, flip(2, 3)), auc=0.6)), CUT) for s in range(3)
    ]
    assert not any(odd.flagged.any() for odd in found)


@pytest.mark.parametrize("n_malicious", [21, 30])
@pytest.mark.parametrize("rule", [by_prediction, by_label])
def test_never_more_than_half_are_flagged(rule, n_malicious):
    found = samples(0, group(n_malicious, flip(2, 3)), auc=0.99)
    odd = rule(tallied(found) if rule is by_prediction else labels_of(found), CUT)
    assert odd.flagged.sum() <= 20


def test_permuting_clients_permutes_what_is_odd():
    counts = tallied(samples(0, group(8, flip(2, 3, 0.5)), auc=0.8))
    order = np.random.default_rng(0).permutation(40)
    one, moved = by_prediction(counts, CUT), by_prediction(counts[order], CUT)
    assert (moved.flagged == one.flagged[order]).all()
    assert moved.log_odds == pytest.approx(one.log_odds[order])


def test_a_client_without_samples_is_not_odd():
    counts = tallied(samples(0, group(8, flip(2, 3))))
    counts[-1] = 0
    assert who(by_prediction(counts, CUT)) == list(range(8))
    assert who(by_label(counts.sum(axis=2), CUT)) == list(range(8))


@pytest.mark.parametrize("n_malicious", [1, 4, 16])
def test_label_counts_alone_find_who_flips_a_whole_class(n_malicious):
    odd = by_label(labels_of(samples(0, group(n_malicious, flip(2, 3)))), CUT)
    assert who(odd) == list(range(n_malicious))
    assert odd.cell == (2, 3)


def test_label_counts_alone_know_nothing_of_a_swap():
    assert not by_label(labels_of(samples(0, group(16, swap(2, 3)))), CUT).flagged.any()


def test_label_counts_alone_accuse_nobody_where_labels_are_spread_evenly():
    found = [by_label(labels_of(samples(seed, {})), CUT) for seed in range(10)]
    assert not any(odd.flagged.any() for odd in found)


def test_label_counts_alone_accuse_honest_clients_where_labels_are_spread_unevenly():
    found = [by_label(labels_of(samples(s, {}, shares=uneven(s))), CUT) for s in range(4)]
    assert np.mean([odd.flagged.mean() for odd in found]) > 0.2
