import numpy as np
import pytest
import torch
from scipy.stats import trim_mean

from fedsieve.aggregators.trimmed_mean import aggregate
from fedsieve.distances import CHUNK
from fedsieve.errors import InputError


def trimmed(updates, n_malicious):
    updates = torch.tensor(updates, dtype=torch.float32).reshape(len(updates), -1)
    ids = torch.arange(len(updates))
    return aggregate(updates, ids, torch.ones_like(ids), {}, n_malicious=n_malicious)[0]


def test_the_lowest_and_highest_values_are_dropped_in_each_coordinate():
    # first: 0 and 100 go, (1 + 2 + 6) / 3 = 3; second: -9 and 9 go, (1 + 2 + 3) / 3 = 2
    found = trimmed([[0, 9], [1, 1], [2, -9], [6, 3], [100, 2]], 1)
    assert found.update.tolist() == [3, 2]
    # 6 places: client 0 none; 1 both; 2 the first; 3 both; 4 the second
    assert found.weights.tolist() == pytest.approx([0, 2 / 6, 1 / 6, 2 / 6, 1 / 6])


def test_two_are_dropped_at_either_end():
    found = trimmed([5, -70, 1, 3, 90], 2)
    assert found.update.tolist() == [3]
    assert found.weights.tolist() == [0, 0, 0, 1, 0]


def test_nothing_to_trim_gives_the_plain_mean():
    found = trimmed([[0, 8], [2, 8], [4, 8], [10, 0], [0, 0], [0, 0], [0, 0], [0, 0]], 0)
    assert found.update.tolist() == [2, 3]  # 16 / 8, 24 / 8
    assert found.weights.tolist() == [0.125] * 8
    assert found.in_domain


@pytest.mark.parametrize(("n", "b"), [(8, 0), (8, 1), (8, 2), (8, 3), (16, 5)])
def test_it_agrees_with_scipy_across_chunks(n, b):
    updates = np.random.default_rng(0).normal(size=(n, CHUNK + 5)).astype(np.float32)
    found = trimmed(updates, b)
    wanted = trim_mean(updates.astype(float), b / n)
    np.testing.assert_allclose(found.update.numpy(), wanted, atol=1e-6)
    assert found.weights.sum().item() == pytest.approx(1)


def test_equal_values_at_an_edge_share_its_places():
    # 1 | 1 1 2 3 | 3: three clients share two places of value 1, two share one of value 3
    found = trimmed([1, 3, 1, 2, 1, 3], 1)
    assert found.update.tolist() == [1.75]
    shares = [2 / 3, 1 / 2, 2 / 3, 1, 2 / 3, 1 / 2]
    assert found.weights.tolist() == pytest.approx([share / 4 for share in shares])


def test_equal_updates_get_equal_weights():
    found = trimmed([[1, -2]] * 5, 2)
    assert found.update.tolist() == [1, -2]
    assert found.weights.tolist() == pytest.approx([0.2] * 5)


@pytest.mark.parametrize(
    ("n", "b", "within"),
    [(5, 2, True), (5, 3, False), (4, 1, True), (4, 2, False), (1, 0, True), (1, 1, False)],
)
def test_the_domain_ends_where_nothing_would_be_left(n, b, within):
    assert trimmed(list(range(n)), b).in_domain is within


@pytest.mark.parametrize("b", [2, 3, 9])
def test_outside_the_domain_the_median_is_left(b):
    found = trimmed([10, 1, 4, 2], b)
    assert found.update.tolist() == [3]  # (2 + 4) / 2
    assert found.weights.tolist() == [0, 0, 0.5, 0.5]


@pytest.mark.parametrize("b", [0, 2])
def test_one_client_is_followed(b):
    found = trimmed([[2, -5]], b)
    assert (found.update.tolist(), found.weights.tolist()) == ([2, -5], [1])


def test_numbers_of_samples_do_not_matter():
    updates, ids = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)), torch.arange(6)
    few, _ = aggregate(updates, ids, torch.ones_like(ids), {}, n_malicious=1)
    many, _ = aggregate(updates, ids, 10**ids, {}, n_malicious=1)
    assert torch.equal(few.update, many.update)


def test_a_negative_number_to_trim_is_an_error():
    with pytest.raises(InputError, match="trimmed_mean: n_malicious: -1 is no whole number"):
        trimmed([0, 1, 2], -1)
