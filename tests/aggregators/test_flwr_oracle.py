"""Flower's implementations of the same rules, an independent oracle."""

import importlib
import importlib.util
import warnings

import numpy as np
import pytest
import torch
from needed import absent

from fedsieve import registry

pytestmark = pytest.mark.slow

ROUNDS = 500
COHORTS = [(10, 2), (8, 2), (8, 0), (7, 2), (13, 5)]
"""Numbers of clients and of malicious ones, all within the domain of every rule."""

in_all_cohorts = pytest.mark.parametrize(("n", "f"), COHORTS)


@pytest.fixture(scope="module")
def flower():
    """Flower's aggregation functions; only outside continuous integration may they be missing."""
    if importlib.util.find_spec("flwr") is None:
        absent("install flwr==1.41.0, with which these rules are compared")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        return importlib.import_module("flwr.server.strategy.aggregate")


def rounds(n):
    """Updates [clients, params] of many rounds, and the same as Flower takes them."""
    rng = np.random.default_rng(n)
    for _ in range(ROUNDS):
        updates = rng.normal(size=(n, 50)).astype(np.float32)
        yield torch.from_numpy(updates), [([row.astype(np.float64)], 1) for row in updates]


def aggregate(name, updates, **spec):
    ids = torch.arange(len(updates))
    function = registry.bind("aggregators", {"use": name, **spec}, "aggregate")
    return function(updates, ids, torch.ones_like(ids), {})[0]


def differences(name, n, wanted, **spec):
    """In how many rounds a value is off by more than 1e-6."""
    return sum(
        np.abs(aggregate(name, updates, **spec).update.numpy() - wanted(results)[0]).max() > 1e-6
        for updates, results in rounds(n)
    )


@in_all_cohorts
def test_krum_picks_the_same_client(flower, n, f):
    for updates, results in rounds(n):
        wanted = flower.aggregate_krum(results, f, to_keep=0)[0]
        (chosen,) = aggregate("krum", updates, n_malicious=f).weights.nonzero()
        assert np.array_equal(updates[chosen.item()].numpy(), wanted)


@in_all_cohorts
def test_multi_krum_agrees(flower, n, f):
    def wanted(results):
        return flower.aggregate_krum(results, f, to_keep=n - f)

    assert differences("multi_krum", n, wanted, n_malicious=f) == 0


@in_all_cohorts
def test_the_trimmed_mean_agrees(flower, n, f):
    def wanted(results):
        return flower.aggregate_trimmed_avg(results, (f + 0.5) / n)  # of which it takes the floor

    assert differences("trimmed_mean", n, wanted, n_malicious=f) == 0


@pytest.mark.parametrize("n", [10, 9, 8, 7])
def test_the_median_agrees(flower, n):
    assert differences("median", n, flower.aggregate_median) == 0
