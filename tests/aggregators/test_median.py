import numpy as np
import pytest
import torch

from fedsieve.aggregators.median import aggregate
from fedsieve.distances import CHUNK


def median(updates, n_samples=None):
    updates = torch.tensor(updates, dtype=torch.float32).reshape(len(updates), -1)
    ids = torch.arange(len(updates))
    samples = torch.ones_like(ids) if n_samples is None else torch.tensor(n_samples)
    return aggregate(updates, ids, samples, {})[0]


def test_the_middle_value_of_each_coordinate_is_taken():
    found = median([[1, 9], [2, 5], [3, 7]])
    assert found.update.tolist() == [2, 7]
    assert found.weights.tolist() == [0, 0.5, 0.5]


def test_an_even_cohort_takes_the_mean_of_the_two_middle_values():
    found = median([[1, 4], [2, 8], [3, 6], [10, 0]])
    assert found.update.tolist() == [2.5, 5]  # (2 + 3) / 2, (4 + 6) / 2
    # 4 places: client 0 the 4, client 1 the 2, client 2 the 3 and the 6
    assert found.weights.tolist() == [0.25, 0.25, 0.5, 0]


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_it_agrees_with_numpy_across_chunks(n):
    updates = np.random.default_rng(n).normal(size=(n, CHUNK + 5)).astype(np.float32)
    np.testing.assert_allclose(median(updates).update.numpy(), np.median(updates, 0), atol=1e-6)


def test_equal_middle_values_share_their_places():
    # the one place of value 1 has three holders
    assert median([1, 9, 1, 5, 1]).weights.tolist() == pytest.approx([1 / 3, 0, 1 / 3, 0, 1 / 3])
    # 1 | 1 2 | 3: two clients share the place of value 1
    found = median([1, 2, 3, 1])
    assert found.update.tolist() == [1.5]
    assert found.weights.tolist() == [0.25, 0.5, 0, 0.25]


def test_equal_updates_get_equal_weights():
    found = median([[1, -2]] * 4)
    assert found.update.tolist() == [1, -2]
    assert found.weights.tolist() == [0.25] * 4


def test_a_minority_cannot_move_it_beyond_the_others():
    assert median([1, 2, 3, 1e30, 1e30]).update.tolist() == [3]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_any_cohort_lies_in_the_domain(n):
    assert median(list(range(n))).in_domain


def test_one_client_is_followed():
    found = median([[2, -5]])
    assert (found.update.tolist(), found.weights.tolist()) == ([2, -5], [1])


def test_numbers_of_samples_do_not_matter():
    assert median([1, 2, 6], [1, 1, 1000]).update.tolist() == [2]
