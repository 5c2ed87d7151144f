"""What every file of src/fedsieve/aggregators promises; a new one is tested once it is there."""

import inspect

import numpy as np
import pytest
import torch
from specs import declares, spec
from torch import nn

from fedsieve import registry
from fedsieve.vectors import Aggregate, layout

pytestmark = pytest.mark.parametrize("name", registry.available("aggregators"))

N_CLIENTS = 12
COHORT = torch.tensor([0, 2, 3, 5, 6, 7, 8, 10, 11])
N_SAMPLES = torch.tensor([10, 20, 30, 5, 8, 40, 25, 12, 18])
LAYOUT = layout(nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 3)))


def updates(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(COHORT), LAYOUT.n_params, generator=generator) + 0.5


def aggregate(name, given, cohort=COHORT, n_samples=N_SAMPLES, state=None):
    own = spec("aggregators", name)
    if state is None:
        state = registry.bind("aggregators", own, "init")(N_CLIENTS, LAYOUT)
    rng = np.random.default_rng(0)
    found = registry.bind("aggregators", own, "aggregate", rng=rng)(given, cohort, n_samples, state)
    kinds = [type(part) for part in found] if isinstance(found, tuple) else type(found)
    assert kinds == [Aggregate, dict], "return an Aggregate and the new state, a dict"
    return found


def same(found, wanted, claim):
    torch.testing.assert_close(found, wanted, msg=lambda text: f"{claim}\n{text}")


def test_the_functions_take_what_a_round_supplies(name):
    plugin = registry.load("aggregators", name)
    for function, wanted in (
        (plugin.init, ["n_clients", "layout"]),
        (plugin.aggregate, ["updates", "cohort", "n_samples", "state"]),
    ):
        parameters = inspect.signature(function).parameters.values()
        given = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
        assert given == wanted, "its own parameters come after `*,`"


def test_the_update_and_the_weights_are_finite_and_of_the_right_shape(name):
    found, state = aggregate(name, updates())
    assert found.update.shape == (LAYOUT.n_params,), "update: a value per parameter"
    assert found.weights.shape == (len(COHORT),), "weights: one per client, 0 for a dropped one"
    assert found.update.dtype == found.weights.dtype == torch.float32, "float32, as the updates"
    assert torch.isfinite(found.update).all(), "update: finite"
    assert torch.isfinite(found.weights).all(), "weights: finite"
    assert (found.weights >= 0).all(), "weights: none below 0"
    assert found.weights.sum() > 0, "weights: not all 0"
    assert all(isinstance(t, torch.Tensor) for t in state.values()), "state: a dict of tensors"


def test_permuting_clients_permutes_weights(name):
    order = torch.tensor([4, 2, 8, 0, 1, 7, 3, 6, 5])
    found, _ = aggregate(name, updates())
    moved, _ = aggregate(name, updates()[order], COHORT[order], N_SAMPLES[order])
    same(moved.weights, found.weights[order], "weights follow their clients, in whatever order")
    same(moved.update, found.update, "the update does not depend on the order of the clients")


def test_inputs_are_not_modified(name):
    given, cohort, n_samples = updates(), COHORT.clone(), N_SAMPLES.clone()
    _, state = aggregate(name, updates(1))
    before = {key: tensor.clone() for key, tensor in state.items()}
    found, _ = aggregate(name, given, cohort, n_samples, state)
    found.update.zero_()  # must not be a view of what was given
    assert torch.equal(given, updates()), "the updates were changed, or returned as a view"
    assert torch.equal(cohort, COHORT), "the cohort was changed"
    assert torch.equal(n_samples, N_SAMPLES), "the numbers of samples were changed"
    for key in before:
        assert torch.equal(state[key], before[key]), f"{key} of the given state was changed"


def test_equal_updates_are_returned_unchanged_unless_the_file_says_otherwise(name):
    one = updates()[0]
    found, _ = aggregate(name, one.repeat(len(COHORT), 1))
    if declares("aggregators", name, "ALTERS_CONSENSUS"):
        assert not torch.allclose(found.update, one), "leave ALTERS_CONSENSUS out: it is not so"
        return
    claim = "where all clients send the same update, it is the result, unless the file says "
    same(found.update, one, f"{claim}ALTERS_CONSENSUS = True")


def test_the_same_input_gives_the_same_output(name):
    one, other = aggregate(name, updates()), aggregate(name, updates())
    assert torch.equal(one[0].update, other[0].update)
    assert torch.equal(one[0].weights, other[0].weights)
    assert one[1].keys() == other[1].keys()
    assert all(torch.equal(one[1][key], other[1][key]) for key in one[1])


@pytest.mark.parametrize("who", [[0], list(range(len(COHORT)))])
def test_updates_that_are_no_numbers_end_no_run(name, who):
    given = updates()
    given[who] = float("nan")
    found, state = aggregate(name, given)
    aggregate(name, given, state=state)
    assert found.update.shape == (LAYOUT.n_params,)
    assert found.weights.shape == (len(COHORT),)
