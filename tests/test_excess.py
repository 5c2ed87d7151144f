import itertools

import numpy as np
import pytest
from scipy.stats import binom

from fedsieve.excess import (
    fixed,
    gate,
    off_label,
    origins,
    own_clusters,
    posterior,
    sorted_chance,
    split,
)


def tables(rng, *, clients=10, classes=10, each=600, noise=0.03, shares=None):
    """Samples by what they look like and their label, where every class is mistaken evenly."""
    uniform = np.full((clients, classes), 1 / classes)
    held = np.rint(classes * each * (uniform if shares is None else shares)).astype(int)
    alike = np.full((classes, classes), noise / (classes - 1))
    np.fill_diagonal(alike, 1 - noise)
    return np.stack([rng.multinomial(own, alike).T for own in held])


def poisoned(counts, malicious, looks, label, share):
    """Move a share of what a malicious client's class was labeled as to another label."""
    counts = counts.copy()
    for client in malicious:
        moved = np.rint(share * counts[client, :, looks]).astype(int)
        counts[client, :, looks] -= moved
        counts[client, :, label] += moved
    return counts


def flagged(counts, **how):
    """(client, looks like, label) of all that is flagged."""
    return {tuple(map(int, cell)) for cell in np.argwhere(off_label(counts, **how))}


def hits(counts, looks, label):
    """Clients flagged in one cell; whatever else is flagged has the same clients and label."""
    found = flagged(counts)
    clients = {client for client, *cell in found if cell == [looks, label]}
    assert {client for client, _, _ in found} == clients
    assert {own for _, _, own in found} <= {label}
    return clients


def likelihood(k, n, high):
    """Of one cell's counts under the best rates of two groups, by an independent library."""
    groups = [group for group in (high, ~high) if n[group].sum()]
    return sum(binom.logpmf(k[g], n[g], k[g].sum() / n[g].sum()).sum() for g in groups)


def gain(k, n, high):
    k, n, high = k.ravel(), n.ravel(), high.ravel()
    alone = np.zeros(len(k), bool)
    return 2 * (likelihood(k, n, high) - likelihood(k, n, alone)) - 2 * np.log(len(k))


def column(*numbers):
    return np.array(numbers)[:, None]


def random_counts(seed, least=0):
    rng = np.random.default_rng(seed)
    n = rng.integers(least, 10 * least + 30, (7, 1))
    return rng.binomial(n, rng.choice([0.02, 0.1, 0.5], (7, 1))), n


@pytest.mark.parametrize("seed", range(20))
def test_the_best_cut_of_the_sorted_clients_is_found(seed):
    k, n = random_counts(seed)
    order = np.argsort(((k + 0.5) / (n + 1)).ravel(), kind="stable")
    cuts = [np.isin(np.arange(7), order[first:]) for first in range(1, 7)]
    found = split(k, n)
    assert found.gain == pytest.approx(max(gain(k, n, high) for high in cuts))
    assert found.gain == pytest.approx(gain(k, n, found.high))


@pytest.mark.parametrize("seed", range(5))
def test_of_many_samples_no_two_groups_at_all_are_likelier(seed):
    k, n = random_counts(seed, least=300)
    groups = (np.array(high) for high in itertools.product([False, True], repeat=7))
    assert split(k, n).gain == pytest.approx(max(gain(k, n, high) for high in groups))


def test_cells_are_split_each_on_its_own():
    cells = [random_counts(seed) for seed in range(6)]
    k, n = (np.concatenate(part, axis=1).reshape(7, 2, 3) for part in zip(*cells, strict=True))
    found, alone = split(k, n), [split(*cell) for cell in cells]
    assert found.gain.ravel().tolist() == [cell.gain[0] for cell in alone]
    assert (found.high.reshape(7, 6) == np.hstack([cell.high for cell in alone])).all()


def test_gain_and_rates_by_hand():
    # one rate: 40 ln(1/2); two rates, 0 and 1: 0; the price of a cut of four is 2 ln 4
    found = split(column(10, 0, 10, 0), column(10, 10, 10, 10))
    assert found.high.ravel().tolist() == [True, False, True, False]
    assert found.gain == pytest.approx(80 * np.log(2) - 4 * np.log(2))
    assert found.low_rate == pytest.approx(0.5 / 21)
    assert found.high_rate == pytest.approx(20.5 / 21)


def test_a_given_group_is_measured_as_it_is():
    k, n, high = column(1, 6, 3), column(10, 20, 30), column(False, True, True)
    found = fixed(k, n, high)
    assert found.gain == pytest.approx(gain(k, n, high))
    assert found.low_rate == pytest.approx(1.5 / 11)
    assert found.high_rate == pytest.approx(9.5 / 51)


def test_clients_of_one_rate_gain_nothing_and_pay_for_the_cut():
    found = split(column(2, 4, 6), column(20, 40, 60))
    assert found.gain == pytest.approx(-2 * np.log(3))
    assert not found.stands_out(0, 1)


def test_a_client_without_trials_changes_nothing_but_the_price():
    k, n = random_counts(1)
    more = split(np.vstack([k, [0]]), np.vstack([n, [0]]))
    assert more.gain == pytest.approx(split(k, n).gain + 2 * np.log(7) - 2 * np.log(8))


def test_an_only_client_has_nobody_to_be_compared_with():
    found = split(np.array([[5, 0]]), np.array([[6, 0]]))
    assert not found.high.any()
    assert found.gain.tolist() == [0, 0]


def test_the_gate_is_ten_and_the_price_of_all_cells():
    assert gate(10) == pytest.approx(19.0, abs=1e-3)
    assert gate(2) == pytest.approx(10 + 2 * np.log(2))


def test_both_gain_and_ratio_are_needed_to_stand_out():
    found = fixed(column(100, 180), column(1000, 1000), column(False, True))
    assert found.stands_out(gate(10), 1.5)
    assert not found.stands_out(gate(10), 2)  # 180 / 820 is less than twice 100 / 900
    assert not found.stands_out(float(found.gain[0]), 1.5)


def test_a_rate_that_cannot_double_stands_out_by_its_odds():
    found = fixed(column(400, 700), column(1000, 1000), column(False, True))
    assert found.stands_out(gate(10), 3)  # 700 / 300 is 3.5 times 400 / 600
    assert not found.stands_out(gate(10), 4)


@pytest.mark.parametrize("n_malicious", [1, 3, 5, 8, 9])
def test_flips_are_found_at_those_who_flip_be_they_many_or_few(n_malicious):
    counts = poisoned(tables(np.random.default_rng(0)), range(n_malicious), 3, 2, 0.5)
    assert hits(counts, 3, 2) == set(range(n_malicious))


def test_honest_clients_are_accused_of_labels_that_others_have_lost_by_one_test_alone():
    counts = poisoned(tables(np.random.default_rng(0)), range(8), 3, 2, 1.0)
    assert hits(counts, 3, 2) == set(range(8))
    accused = {client for client, _, label in flagged(counts, tests=1, least=0) if label == 3}
    assert accused == {8, 9}


def test_an_excess_below_the_least_is_let_be():
    counts = poisoned(tables(np.random.default_rng(0)), range(2), 3, 2, 0.1)
    assert {client for client, _, _ in flagged(counts, least=0.02)} == {0, 1}
    assert flagged(counts, least=0.2) == set()


def test_twice_as_much_of_a_label_is_no_excess():
    shares = np.full((10, 10), 0.1)
    shares[:7, 2] = 0.2  # as for those who have labeled all their 3s as 2
    assert not flagged(tables(np.random.default_rng(0), shares=shares))


@pytest.mark.parametrize("alpha", [1.0, 0.3])
def test_labels_spread_unevenly_are_no_excess(alpha):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        shares = rng.dirichlet(np.full(10, alpha), 10)
        assert not flagged(tables(rng, shares=shares))


def test_flips_are_found_where_labels_are_spread_unevenly():
    rng = np.random.default_rng(3)
    clean = tables(rng, shares=rng.dirichlet(np.full(10, 1.0), 10))
    assert hits(poisoned(clean, range(7), 3, 2, 0.5), 3, 2) == set(range(7))


def test_a_little_of_every_class_is_found_though_no_class_alone_would_tell():
    every = clean = tables(np.random.default_rng(0), each=60, noise=0.01)
    for looks in range(1, 10):
        assert not flagged(poisoned(clean, range(4), looks, 0, 0.04))
        every = poisoned(every, range(4), looks, 0, 0.04)
    assert {(client, label) for client, _, label in flagged(every)} == {(c, 0) for c in range(4)}
    assert {looks for _, looks, _ in flagged(every)} == set(range(1, 10))


@pytest.mark.parametrize("share", [0.1, 0.3, 0.9])
def test_the_excess_is_the_share_that_was_poisoned(share):
    counts = poisoned(tables(np.random.default_rng(0), noise=0), range(5), 3, 2, share)
    assert off_label(counts)[:5, 3, 2] == pytest.approx(share, abs=0.005)


def test_the_excess_by_hand():
    counts = np.array([[[100, 0], [0, 100]], [[99, 1], [0, 100]], [[40, 0], [60, 100]]])
    low = (0 + 0.5) / (201 - 1 + 1)  # rate of label 0 where others look like class 1: 0 of 200
    assert off_label(counts)[2].tolist() == [[0, 0], [pytest.approx(60 / 160 - low), 0]]
    assert not off_label(counts)[:2].any()


def test_classes_that_are_not_attacked_are_not_flagged_with_those_that_are():
    some = tables(np.random.default_rng(0), each=60, noise=0.01)
    for looks in range(1, 6):
        some = poisoned(some, range(4), looks, 0, 0.06)
    assert {looks for _, looks, _ in flagged(some)} <= set(range(1, 6))


def test_the_excess_of_pooled_cells_by_hand():
    counts = np.full((6, 10, 10), 2)
    counts[:, range(10), range(10)] = 100
    counts[:2, 1:, 0] = 6  # 54 of 1098 instead of 18 of 1062, but each cell 6 of 122
    low = (4 * 2 + 0.5) / (4 * 118 + 1)
    expected = np.zeros((6, 10, 10))
    expected[:2, 1:, 0] = (6 - low * 122) / 122
    np.testing.assert_allclose(off_label(counts), expected)


CLEANER = [[[99, 0, 0], [0, 99, 0], [0, 0, 99]], *[[[33] * 3] * 3] * 4]
ALL_ZERO = [[[100, 0, 0]] * 3, *[[[30, 35, 35], [2, 98, 0], [3, 0, 97]]] * 4]


@pytest.mark.parametrize("counts", [CLEANER, ALL_ZERO])
def test_what_carries_the_label_that_it_looks_like_is_never_in_excess(counts):
    found = off_label(np.array(counts))
    assert found.any()
    assert not np.diagonal(found, axis1=1, axis2=2).any()


def test_where_nobody_attacks_few_tables_have_a_flagged_cell_and_it_holds_few_samples():
    drawn = [tables(np.random.default_rng(seed)) for seed in range(300)]
    lost = [counts[off_label(counts) > 0].sum() for counts in drawn]
    assert np.mean([n > 0 for n in lost]) < 0.08
    assert max(lost) / drawn[0].sum() < 0.001


def test_half_of_many_equal_clients_stand_out_by_two_thirds_of_their_number():
    assert sorted_chance(np.arange(10)[:, None] < 5) == pytest.approx(10 * 2 / np.pi)


@pytest.mark.parametrize("above", [10, 50, 150])
def test_what_sorted_chance_explains_is_what_sorted_normal_deviates_do(above):
    rng, n = np.random.default_rng(0), 200
    values = np.sort(rng.standard_normal((400, n)))
    high = np.arange(n) >= n - above
    apart = values[:, high].mean(axis=1) - values[:, ~high].mean(axis=1)
    explained = apart**2 * above * (n - above) / n  # of the squares, by two means
    assert sorted_chance(high[:, None]) == pytest.approx(explained.mean(), rel=0.03)


@pytest.mark.parametrize("noise", [0.1, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_of_a_hundred_small_clients_drawn_alike_hardly_a_cell_is_flagged(seed, noise):
    counts = tables(np.random.default_rng(seed), clients=100, each=60, noise=noise)
    assert len({cell[1:] for cell in flagged(counts)}) <= 2  # of 90; without a margin 50 and more


@pytest.mark.parametrize("malicious", [5, 40])
def test_of_a_hundred_small_clients_those_that_flip_half_of_a_class_are_all_found(malicious):
    counts = tables(np.random.default_rng(0), clients=100, each=60, noise=0.1)
    counts = poisoned(counts, range(malicious), looks=6, label=0, share=0.5)
    found = {client for client, looks, label in flagged(counts) if (looks, label) == (6, 0)}
    assert found == set(range(malicious))


def test_an_attack_by_all_clients_alike_is_not_found():
    counts = poisoned(tables(np.random.default_rng(0)), range(10), 3, 2, 0.5)
    assert not flagged(counts)


def test_the_order_of_clients_and_of_classes_does_not_matter():
    counts = poisoned(tables(np.random.default_rng(0)), range(4), 3, 2, 0.5)
    clients, classes = np.random.default_rng(1).permutation(10), np.arange(10)[::-1]
    shuffled = np.ix_(clients, classes, classes)
    np.testing.assert_allclose(off_label(counts[shuffled]), off_label(counts)[shuffled])


@pytest.mark.parametrize("n_classes", [2, 14])
def test_any_number_of_classes_will_do(n_classes):
    clean = tables(np.random.default_rng(0), classes=n_classes)
    assert hits(poisoned(clean, [4], 1, 0, 0.5), 1, 0) == {4}


def test_clients_and_classes_without_samples_are_no_error():
    counts = poisoned(tables(np.random.default_rng(0)), range(4), 3, 2, 0.5)
    counts[9] = 0
    counts[:, 7], counts[:, :, 7] = 0, 0
    assert hits(counts, 3, 2) == set(range(4))
    assert not off_label(np.zeros_like(counts)).any()


def clusters(rng, n_clients=10):
    """Three clusters for each of four classes, and a last one that is empty."""
    counts = np.zeros((n_clients, 13, 4), int)
    for cluster in range(12):
        counts[:, cluster, cluster // 3] = rng.poisson(50, n_clients)
    return counts


def cells(counts, **how):
    return {tuple(map(int, cell)) for cell in np.argwhere(own_clusters(counts, **how))}


def test_a_cluster_that_a_trigger_has_made_is_found_at_those_who_fill_it():
    counts = clusters(np.random.default_rng(0))
    counts[:7, 12, 0] = 40
    assert cells(counts) == {(client, 12, 0) for client in range(7)}


def test_a_cluster_that_a_flip_has_thinned_accuses_nobody():
    counts = clusters(np.random.default_rng(0))
    counts[:7, 9:12, 2] += counts[:7, 9:12, 3]
    counts[:7, 9:12, 3] = 0
    honest = {cell for cell in cells(counts) if cell[0] >= 7}
    assert not honest


def test_a_label_that_few_clients_have_is_no_trigger():
    counts = clusters(np.random.default_rng(0))
    counts[:7, :, 3] = 0
    assert not cells(counts)


def test_a_cell_of_fewer_than_twenty_samples_is_no_cluster_of_its_own():
    counts = clusters(np.random.default_rng(0))
    counts[0, 12, 0] = 19
    assert not cells(counts)
    assert cells(counts, least=19) == {(0, 12, 0)}


OVERLAP = np.array([[900, 0, 100], [20, 780, 200], [100, 100, 800]])
"""T-shirts, pullovers and shirts by what they look like (rows) and their label."""

SHIRTS_AS_T_SHIRTS = np.array([[1000, 0, 0], [220, 780, 0], [900, 100, 0]])

LOOKS_PULLOVER = (3, 1, 0)
"""The fourth client's pullovers by looks, labeled T-shirt."""


def told(*clients):
    """Origins and shares beside three honest clients."""
    counts = np.stack([OVERLAP] * 3 + list(clients))
    return origins(counts, off_label(counts))


def test_the_origin_of_a_flip_is_the_label_that_is_missing_not_the_class_that_it_looks_like():
    origin, share = told(SHIRTS_AS_T_SHIRTS)
    assert origin[3].tolist() == [[-1, -1, -1], [2, -1, -1], [2, -1, -1]]
    assert share[3, 1:, 0] == pytest.approx(1)
    assert (origin[:3] == -1).all()
    assert (share[:3] == 0).all()


def test_of_an_attack_on_all_that_looks_alike_no_label_is_the_sure_origin():
    _, share = told(OVERLAP + [[0, 0, 0], [340, -240, -100], [0, 0, 0]])
    assert share[LOOKS_PULLOVER] == pytest.approx(240 / 340)


def test_a_surplus_of_other_labels_is_held_against_the_share():
    counts = np.array([[[20, 600, 380, 0]] * 4] * 3 + [[[320, 400, 230, 50]] * 4])
    excess = np.zeros((4, 4, 4))
    excess[LOOKS_PULLOVER] = 0.3
    # of 200 pullovers that are missing, 50 may have become label 3
    assert origins(counts, excess)[1][LOOKS_PULLOVER] == pytest.approx((200 - 50) / 300)


def test_where_all_clients_are_flagged_in_a_row_nobody_shows_what_is_missing():
    counts = np.stack([OVERLAP, SHIRTS_AS_T_SHIRTS])
    excess = np.zeros((2, 3, 3))
    excess[0, 1, 2] = excess[1, 1, 0] = 0.2
    origin, share = origins(counts, excess)
    assert (origin == -1).all()
    assert (share == 0).all()


@pytest.mark.parametrize(("missing", "known"), [(8, False), (13, True)])
def test_no_more_missing_than_chance_explains_tells_no_origin(missing, known):
    # 20 expected; two standard deviations are 2 sqrt(100 x 0.2 x 0.8 x (1 + 1/30)) = 8.1
    excess = np.zeros((4, 3, 3))
    excess[LOOKS_PULLOVER] = missing / 100
    row = np.array([[90, 0, 10], [2 + missing, 78, 20 - missing], [10, 10, 80]])
    counts = np.stack([OVERLAP] * 3 + [row])
    assert (origins(counts, excess)[0][LOOKS_PULLOVER] == 2) == known


def test_clients_without_samples_have_no_origins_and_are_no_error():
    origin, share = told(np.zeros((3, 3), int))
    assert (origin == -1).all()
    assert (share == 0).all()


def test_the_posterior_by_hand():
    likeness = np.array([[0.2, 0.8, 0.0], [0.9, 0.1, 0.0], [0.0, 0.0, 1.0], [0.5, 0.5, 0.0]])
    excess = np.zeros((3, 3))
    excess[1, 0] = 0.5  # half of what looks like 1 is labeled 0
    found = posterior(likeness, np.array([0, 0, 0, 1]), excess)
    assert found.tolist() == [pytest.approx(0.4 / 0.6), pytest.approx(0.05 / 0.95), 0, 0]


def test_a_client_that_is_not_flagged_has_no_posterior():
    likeness = np.random.default_rng(0).dirichlet(np.ones(4), 20)
    assert not posterior(likeness, np.arange(20) % 4, np.zeros((4, 4))).any()
