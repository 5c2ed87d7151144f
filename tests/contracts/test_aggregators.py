"""What every file of src/fedsieve/aggregators promises; a new one is tested once it is there."""

import inspect

import pytest
import torch
from torch import nn

from fedsieve import registry
from fedsieve.vectors import layout

pytestmark = pytest.mark.parametrize("name", registry.available("aggregators"))

N_CLIENTS = 12
COHORT = torch.tensor([0, 2, 3, 5, 6, 7, 8, 10, 11])
N_SAMPLES = torch.tensor([10, 20, 30, 5, 8, 40, 25, 12, 18])
LAYOUT = layout(nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 3)))


def updates(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(COHORT), LAYOUT.n_params, generator=generator) + 0.5


def aggregate(name, given, cohort=COHORT, n_samples=N_SAMPLES, state=None):
    plugin = registry.load("aggregators", name)
    spec = {"use": name, **getattr(plugin, "EXAMPLE", {})}
    if state is None:
        state = registry.bind("aggregators", spec, "init")(N_CLIENTS, LAYOUT)
    return registry.bind("aggregators", spec, "aggregate")(given, cohort, n_samples, state)


def test_the_functions_take_what_a_round_supplies(name):
    plugin = registry.load("aggregators", name)
    for function, wanted in (
        (plugin.init, ["n_clients", "layout"]),
        (plugin.aggregate, ["updates", "cohort", "n_samples", "state"]),
    ):
        parameters = inspect.signature(function).parameters.values()
        assert [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY] == wanted


def test_the_update_and_the_weights_are_finite_and_of_the_right_shape(name):
    found, state = aggregate(name, updates())
    assert found.update.shape == (LAYOUT.n_params,)
    assert found.weights.shape == (len(COHORT),)
    assert found.update.dtype == found.weights.dtype == torch.float32
    assert torch.isfinite(found.update).all()
    assert torch.isfinite(found.weights).all()
    assert (found.weights >= 0).all()
    assert found.weights.sum() > 0
    assert all(isinstance(tensor, torch.Tensor) for tensor in state.values())


def test_permuting_clients_permutes_weights(name):
    order = torch.tensor([4, 2, 8, 0, 1, 7, 3, 6, 5])
    found, _ = aggregate(name, updates())
    moved, _ = aggregate(name, updates()[order], COHORT[order], N_SAMPLES[order])
    torch.testing.assert_close(moved.weights, found.weights[order])
    torch.testing.assert_close(moved.update, found.update)


def test_inputs_are_not_modified(name):
    given, cohort, n_samples = updates(), COHORT.clone(), N_SAMPLES.clone()
    _, state = aggregate(name, updates(1))
    before = {key: tensor.clone() for key, tensor in state.items()}
    found, _ = aggregate(name, given, cohort, n_samples, state)
    found.update.zero_()
    assert torch.equal(given, updates())
    assert torch.equal(cohort, COHORT)
    assert torch.equal(n_samples, N_SAMPLES)
    assert all(torch.equal(state[key], before[key]) for key in before)


def test_equal_updates_are_returned_unchanged(name):
    one = updates()[0]
    found, _ = aggregate(name, one.repeat(len(COHORT), 1))
    torch.testing.assert_close(found.update, one)


def test_the_same_input_gives_the_same_output(name):
    one, other = aggregate(name, updates()), aggregate(name, updates())
    assert torch.equal(one[0].update, other[0].update)
    assert torch.equal(one[0].weights, other[0].weights)
    assert one[1].keys() == other[1].keys()
    assert all(torch.equal(one[1][key], other[1][key]) for key in one[1])
