import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist, squareform

from fedsieve.aggregators.krum import aggregate
from fedsieve.distances import CHUNK, squared_distances
from fedsieve.errors import InputError


def krum(updates, cohort=None, **spec):
    updates = torch.tensor(updates, dtype=torch.float32).reshape(len(updates), -1)
    ids = torch.arange(len(updates)) if cohort is None else torch.tensor(cohort)
    return aggregate(updates, ids, torch.ones_like(ids), {}, **spec)[0]


def random(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_krum_picks_the_update_nearest_its_n_f_2_nearest_others():
    # n - f - 2 = 2 nearest: 1 + 9 = 10, 1 + 4 = 5, 4 + 9 = 13, 16 + 36 = 52, 93^2 + 97^2
    found = krum([0, 1, 3, 7, 100], n_malicious=1)
    assert found.update.tolist() == [1]
    assert found.weights.tolist() == [0, 1, 0, 0, 0]


def test_one_neighbor_more_counts_by_the_other_convention():
    # n - f - 1 = 3 nearest: 1 + 9 + 49 = 59, 1 + 4 + 36 = 41, 4 + 9 + 16 = 29, 16 + 36 + 49
    found = krum([0, 1, 3, 7, 100], n_malicious=1, neighbors="n-f-1")
    assert found.update.tolist() == [3]


@pytest.mark.parametrize(("squared", "chosen"), [(True, 3), (False, 101)])
def test_distances_are_squared_unless_told_otherwise(squared, chosen):
    # two nearest of 3: 3 and 3, 9 + 9 = 18; of 101: 1 and 4.5, 1 + 20.25 = 21.25, but 5.5 < 6
    found = krum([0, 3, 6, 100, 101, 105.5], n_malicious=2, squared=squared)
    assert found.update.tolist() == [chosen]


def test_a_far_group_of_f_attackers_is_not_followed():
    updates = random(9, 40)
    updates[[2, 5, 7]] += 20
    found = krum(updates.tolist(), n_malicious=3)
    assert found.weights.sum() == 1
    assert not found.weights[[2, 5, 7]].any()


def test_ties_go_to_the_lowest_client_id_wherever_it_stands():
    # one nearest other counts: 0 and 1 are each other's, with the same score 1
    assert krum([0, 1, 10, 20], [7, 4, 2, 3], n_malicious=1).update.tolist() == [1]
    assert krum([0, 1, 10, 20], [4, 7, 2, 3], n_malicious=1).update.tolist() == [0]


@pytest.mark.parametrize("seed", range(10))
def test_ties_of_equal_updates_are_exact_in_any_order(seed):
    updates = random(9, CHUNK + 7)
    updates[[3, 5, 8]] = updates.mean(dim=0)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(seed))
    ids = torch.arange(9)[order]
    found, _ = aggregate(updates[order], ids, torch.ones_like(ids), {}, n_malicious=2)
    assert ids[found.weights.bool()].tolist() == [3]


def test_of_many_equal_updates_that_of_the_lowest_client_id_is_chosen():
    ids = torch.randperm(90, generator=torch.Generator().manual_seed(0))
    found = krum([[1, 2]] * 90, ids.tolist(), n_malicious=20)
    assert ids[found.weights.bool()].tolist() == [0]


@pytest.mark.parametrize(("n", "f", "within"), [(7, 2, True), (6, 2, False), (3, 0, True)])
def test_the_domain_begins_at_2_f_plus_3_clients(n, f, within):
    assert krum(random(n, 4).tolist(), n_malicious=f).in_domain is within


@pytest.mark.parametrize("f", [3, 4, 9])
def test_outside_the_domain_at_least_one_neighbor_counts(f):
    # nearest other of each: 4, 3, 3, 90 away
    found = krum([0, 4, 7, 97], n_malicious=f)
    assert found.update.tolist() == [4]
    assert not found.in_domain


@pytest.mark.parametrize("f", [0, 1])
def test_one_client_is_followed_out_of_domain(f):
    found = krum([[2, -5]], n_malicious=f)
    assert (found.update.tolist(), found.weights.tolist()) == ([2, -5], [1])
    assert not found.in_domain


def test_an_update_that_is_not_finite_is_never_chosen():
    found = krum([[np.nan], [np.inf], [0], [1], [3], [7], [100]], n_malicious=2)
    # three nearest: 1 + 9 + 49 = 59, 1 + 4 + 36 = 41, 4 + 9 + 16 = 29, 16 + 36 + 49 = 101
    assert found.update.tolist() == [3]


def test_numbers_of_samples_do_not_matter():
    updates, ids = random(6, 5), torch.arange(6)
    few, _ = aggregate(updates, ids, torch.ones_like(ids), {}, n_malicious=1)
    many, _ = aggregate(updates, ids, 10**ids, {}, n_malicious=1)
    assert torch.equal(few.weights, many.weights)


def test_distances_agree_with_scipy_where_the_expanded_square_would_not():
    vectors = 1000 + random(6, CHUNK + 3) / 100
    wanted = squareform(pdist(vectors.double().numpy(), "sqeuclidean"))
    np.testing.assert_allclose(squared_distances(vectors).numpy(), wanted, rtol=1e-10)


def test_a_negative_number_of_attackers_is_an_error():
    with pytest.raises(InputError, match="krum: n_malicious: -1 is no whole number"):
        krum([0, 1, 2], n_malicious=-1)


def test_an_unknown_convention_is_an_error():
    with pytest.raises(InputError, match="neighbors: 'n-f' is neither n-f-2 nor n-f-1"):
        krum([0, 1, 2], n_malicious=0, neighbors="n-f")
