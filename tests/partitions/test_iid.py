import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedsieve.errors import InputError
from fedsieve.partitions.iid import assign


@given(n_clients=st.integers(1, 40), spare=st.integers(0, 60))
def test_sizes_differ_by_at_most_one(n_clients, spare):
    labels = np.zeros(n_clients + spare, np.int64)
    client = assign(labels, n_clients=n_clients, rng=np.random.default_rng(0))
    sizes = np.bincount(client, minlength=n_clients)
    assert len(sizes) == n_clients
    assert sizes.max() - sizes.min() <= 1


def test_clients_are_not_dealt_runs_of_the_training_set():
    client = assign(np.zeros(1000, np.int64), n_clients=2, rng=np.random.default_rng(0))
    # by chance some 250 of the first 500 samples, with a standard deviation of 8
    assert 200 < np.count_nonzero(client[:500] == 0) < 300


@pytest.mark.parametrize("n_clients", [0, 6])
def test_clients_that_cannot_each_hold_a_sample_are_an_error(n_clients):
    with pytest.raises(InputError, match=f"n_clients: {n_clients} clients cannot share 5 samples"):
        assign(np.zeros(5, np.int64), n_clients=n_clients, rng=np.random.default_rng(0))
