import numpy as np
import pytest
from flipped import EVEN, RARE, counted, f1, flip, group, samples, uneven
from scipy.stats import betabinom, binom, norm

from fedsieve import balance, margins
from fedsieve.balance import (
    FRACTIONS,
    LEAST_SPREAD,
    Evidence,
    beta_binomial,
    coin_flips,
    joint,
    likelihoods,
    prior,
)
from fedsieve.mixtures import distribution, mixed, top


def evidence(n_malicious, fraction, *, shares=RARE, auc=0.85, seed=0, n_clients=40):
    """What is known for the pair that the first clients flip: class 0 to class 1."""
    attacks = group(n_malicious, flip(0, 1, fraction))
    found = samples(seed, attacks, n_clients=n_clients, n=500, shares=shares, auc=auc)
    counts = counted(found)
    rows, sources = margins.merged(counts, 5)
    held, foreign = margins.label_counts(counts), distribution(sources.sum(axis=1))
    return Evidence(rows[0], foreign[0], held[:, 0], held[:, 1], held.sum(axis=1))


def by_margins(known, share=0.2):
    scores = known.rows @ np.log(known.foreign) / np.maximum(known.target, 1)
    return mixed(known.rows, known.foreign, top(scores, share), 20)


def small(source, target, n):
    """Clients with these counts and two bins."""
    rows = np.stack([target // 2, target - target // 2], axis=1).astype(float)
    return Evidence(rows, np.array([0.2, 0.8]), source, target, n)


@pytest.mark.parametrize(("alpha", "beta"), [(2.0, 5.0), (49.9, 449.1), (0.3, 0.4)])
def test_the_beta_binomial_is_an_independent_librarys(alpha, beta):
    k = np.arange(31)
    wanted = betabinom.logpmf(k, 30, alpha, beta)
    assert beta_binomial(k, np.full(31, 30), alpha, beta) == pytest.approx(wanted)


def test_a_prior_is_learned_from_clients_counts():
    n = np.full(3000, 200)
    k = betabinom.rvs(n, 3, 9, random_state=0)
    assert prior(k, n, np.ones(3000)) == pytest.approx((3, 9), rel=0.1)


def test_counts_of_like_clients_are_trusted_only_so_far():
    k = binom.rvs(500, 0.1, size=100, random_state=0)
    alpha, beta = prior(k, np.full(100, 500), np.ones(100))
    assert 1 / (alpha + beta + 1) == pytest.approx(LEAST_SPREAD)
    assert alpha / (alpha + beta) == pytest.approx(0.1, abs=0.01)


def test_a_prior_leaves_malicious_clients_out():
    k, n = np.array([50, 45, 55, 0, 0]), np.full(5, 500)
    weights = np.array([1.0, 1, 1, 0, 0])
    assert prior(k, n, weights) == pytest.approx(prior(k[:3], n[:3], np.ones(3)))


def test_the_chance_that_so_many_were_flipped_is_an_independent_librarys():
    known = small(np.array([3, 50, 0]), np.array([40, 80, 40]), np.array([100, 200, 90]))
    found = coin_flips(known)
    moved = np.arange(41) * np.array([[1], [2], [1]])
    for f, fraction in enumerate(FRACTIONS):
        wanted = binom.logpmf(moved, moved + known.source[:, None], fraction)
        assert found[f] == pytest.approx(wanted)


def test_likelihoods_are_an_independent_librarys():
    # 40 samples of the target: the grid of 41 shares is all that F may be
    known = small(np.array([30, 4, 20]), np.array([40, 40, 40]), np.full(3, 100))
    base, z = np.array([0.6, 0.4]), np.array([0.0, 0.9, 0.1])
    honest, flipped = likelihoods(known, base, z)
    of_s, of_t = (prior(k, known.n, 1 - z) for k in (known.source, known.target))
    for i, source in enumerate(known.source):
        moved = np.arange(41)
        wanted = betabinom.logpmf(source + moved, 100, *of_s)
        wanted += betabinom.logpmf(40 - moved, 100, *of_t)
        others = np.outer(1 - moved / 40, base) + np.outer(moved / 40, known.foreign)
        assert flipped[i] == pytest.approx(wanted + 20 * np.log(others).sum(axis=1))
        alone = betabinom.logpmf(source, 100, *of_s) + betabinom.logpmf(40, 100, *of_t)
        assert honest[i] == pytest.approx(alone + 20 * np.log(base).sum())


def test_half_flips_that_margins_alone_find_badly_are_found_with_counts():
    scores = []
    for seed in range(4):
        known = evidence(8, 0.5, auc=0.75, seed=seed)
        soft = by_margins(known)
        scores.append((f1(soft.log_odds > 2.2, 8), f1(joint(known, [soft]).log_odds > 2.2, 8)))
    by_images, by_both = np.mean(scores, axis=0)
    assert by_both > 0.96
    assert by_images < 0.9


def test_the_fraction_is_found_from_far_off(monkeypatch):
    known, gains = evidence(8, 1), {}
    for start in balance.FRACTIONS[[0, -1]]:
        monkeypatch.setattr(balance, "STARTS", (start,))
        gains[start] = joint(known, [by_margins(known)]).gain
    assert gains[0.1] == pytest.approx(gains[0.99], rel=1e-3)


def test_spread_labels_silence_the_counts():
    # by counts alone many of these clients would be far off
    shares = uneven(0)
    gains = [
        joint(known := evidence(0, 1, shares=s, seed=1), [by_margins(known)]).gain
        for s in (EVEN, shares)
    ]
    assert max(gains) < 0
    found = joint(known := evidence(0, 1, shares=shares, seed=2), [by_margins(known)])
    assert not (found.log_odds > 2.2).any()


def test_a_client_that_holds_the_source_class_is_not_accused_for_what_it_lacks():
    known = evidence(8, 1)
    lacking = np.arange(40) == 39
    few = np.where(lacking, 0, known.target)
    rows = np.where(lacking[:, None], 0.0, known.rows)
    without = Evidence(rows, known.foreign, known.source, few, known.n)
    odds = joint(without, [by_margins(without)]).log_odds
    assert odds[39] < -9
    assert (odds > 2.2).tolist() == [i < 8 for i in range(40)]


def test_a_client_without_samples_is_taken_for_honest():
    known = evidence(8, 1)
    gone = np.arange(40) == 39
    counts = (np.where(gone, 0, part) for part in (known.source, known.target, known.n))
    empty = Evidence(np.where(gone[:, None], 0.0, known.rows), known.foreign, *counts)
    odds = joint(empty, [by_margins(empty)]).log_odds
    assert np.log(0.5 / 39.5) <= odds[39] <= 0
    assert (odds > 2.2).tolist() == [i < 8 for i in range(40)]


def test_margins_of_the_simulation_have_the_area_under_the_curve_that_is_asked_for():
    found = samples(0, {}, n_clients=1, n=20_000, auc=0.8)
    ((logits, labels),) = found
    u = logits[:, 0] - logits[:, 1]
    gap = u[labels == 0].mean() - u[labels == 1].mean()
    assert norm.cdf(gap / (2**0.5 * u[labels == 0].std())) == pytest.approx(0.8, abs=0.01)
