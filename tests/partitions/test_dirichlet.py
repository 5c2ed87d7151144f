import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedsieve.errors import InputError
from fedsieve.partitions.dirichlet import assign


def shares(alpha: float, n_clients: int = 4, per_class: int = 5000, n_classes: int = 200):
    """Share of each class that the first client holds."""
    labels = np.repeat(np.arange(n_classes), per_class)
    client = assign(labels, n_clients=n_clients, rng=np.random.default_rng(1), alpha=alpha)
    return (client.reshape(n_classes, per_class) == 0).mean(axis=1)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 10.0])
def test_shares_have_the_mean_and_variance_of_a_dirichlet(alpha):
    found = shares(alpha)
    # Dirichlet(alpha, ..., alpha) over n clients: mean 1/n, variance (1/n)(1-1/n) / (n alpha + 1)
    variance = 1 / 4 * 3 / 4 / (4 * alpha + 1)
    assert found.mean() == pytest.approx(1 / 4, abs=4 * math.sqrt(variance / 200))
    assert found.var() == pytest.approx(variance, rel=0.4)


def test_large_alpha_spreads_each_class_evenly():
    assert np.abs(shares(1e6, n_classes=10) - 1 / 4).max() < 0.01


@given(st.floats(0.1, 5), st.integers(1, 6), st.integers(1, 8), st.integers(0, 100))
def test_every_client_holds_the_least_number_of_samples(alpha, n_clients, least, seed):
    labels = np.arange(400) % 10
    client = assign(
        labels,
        n_clients=n_clients,
        rng=np.random.default_rng(seed),
        alpha=alpha,
        min_samples=least,
    )
    assert np.bincount(client, minlength=n_clients).min() >= least


def test_members_of_a_class_are_dealt_at_random_not_in_order():
    client = assign(np.zeros(1000, int), n_clients=2, rng=np.random.default_rng(0), alpha=100.0)
    assert np.count_nonzero(np.diff(client)) > 300  # in order there would be one change


def test_multi_label_samples_are_dealt_by_their_rarest_label():
    # label 0 is common, 1 rare; alpha is so small that each class goes to one client as a whole
    kinds = np.array([[0, 0], [1, 0], [1, 1]], np.uint8)
    kind = np.repeat([0, 1, 2], [30, 50, 20])
    client = assign(kinds[kind], n_clients=3, rng=np.random.default_rng(0), alpha=0.001)
    assert [len(set(client[kind == k])) for k in range(3)] == [1, 1, 1]
    assert len(set(client)) == 3  # resampled until nobody is left without samples


def test_failure_to_serve_every_client_names_alpha_and_n_clients():
    with pytest.raises(InputError, match=r"alpha 0\.001 some of n_clients: 5 .*min_samples: 1 "):
        assign(np.arange(50) % 2, n_clients=5, rng=np.random.default_rng(0), alpha=0.001)


@pytest.mark.parametrize("alpha", [0.0, -1.0, math.inf, math.nan])
def test_alpha_that_is_no_positive_number_is_an_error(alpha):
    with pytest.raises(InputError, match="alpha"):
        assign(np.zeros(9, int), n_clients=3, rng=np.random.default_rng(0), alpha=alpha)


@pytest.mark.parametrize(("n_clients", "least"), [(6, 1), (0, 1), (3, 2), (3, 0)])
def test_more_samples_asked_for_than_there_are_is_an_error(n_clients, least):
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match=f"{n_clients} clients with min_samples: {least}"):
        assign(np.zeros(5, int), n_clients=n_clients, rng=rng, alpha=1.0, min_samples=least)
