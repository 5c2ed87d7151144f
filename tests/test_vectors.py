from collections import OrderedDict

import pytest
import torch
from torch import nn

from fedsieve import vectors
from fedsieve.errors import InputError
from fedsieve.vectors import layout


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))


def test_the_layout_has_parameters_first_then_float_buffers(model):
    found = vectors.layout(model)
    # convolution 18 + 2, batch norm 2 + 2, linear 24 + 3; then mean 2 and variance 2
    assert (found.n_params, found.n_values) == (51, 55)
    assert found.names[-2:] == ("1.running_mean", "1.running_var")
    assert not any("num_batches" in name for name in found.names)
    assert found.slices()["1.running_mean"] == slice(51, 53)
    assert found.slices()["3.bias"] == slice(48, 51)


def test_flatten_copies(model):
    flat = vectors.flatten(model)
    assert torch.equal(flat[18:20], model[0].bias)
    flat.zero_()
    assert model[0].bias.abs().sum() > 0


def test_binding_keeps_the_weights(model):
    before = vectors.flatten(model)
    assert torch.equal(vectors.bind(model), before)
    assert torch.equal(vectors.flatten(model), before)


def test_writing_to_the_vector_is_writing_to_the_model_and_back(model):
    values = vectors.bind(model)
    where = vectors.layout(model).slices()
    values.copy_(torch.arange(55.0))
    assert model[3].weight.flatten().tolist() == list(range(24, 48))
    assert model[1].running_var.tolist() == [53, 54]
    with torch.no_grad():
        model[0].bias.fill_(-1)
    assert values[where["0.bias"]].tolist() == [-1, -1]


def test_a_bound_network_computes_with_its_channels_last_and_keeps_its_values():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 2, 3))
    kernels = model[1].weight.detach().clone()
    values = vectors.bind(model)
    assert torch.equal(model[1].weight, kernels)
    held = values[vectors.layout(model).slices()["1.weight"]]
    assert torch.equal(held.view(2, 3, 3, 4), kernels.permute(0, 2, 3, 1))
    maps = model[0](torch.randn(5, 1, 8, 8))
    assert maps.is_contiguous(memory_format=torch.channels_last)
    assert not maps.is_contiguous()


def test_training_writes_statistics_to_the_vector(model):
    values = vectors.bind(model)
    plain = values.clone()
    model.train()
    model(torch.randn(4, 1, 4, 4)).square().sum().backward()
    assert (values[51:] != plain[51:]).all()
    assert torch.equal(values[:51], plain[:51])


def test_a_loaded_vector_computes_what_its_model_computed(model):
    images = torch.randn(4, 1, 4, 4)
    wanted = model.eval()(images)
    other = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))
    values = vectors.bind(other.eval())
    values.copy_(vectors.flatten(model))
    torch.testing.assert_close(other(images), wanted)  # sums may go in another order


def test_seeded_weights_depend_on_the_seed_alone_and_global_state_is_restored():
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    one, same, other = (vectors.seeded(lambda: nn.Linear(3, 3), seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), wanted)
    assert torch.equal(one.weight, same.weight)
    assert not torch.equal(one.weight, other.weight)


def test_the_output_layer_is_the_predictor_and_everything_without_one():
    parts = {"extractor": nn.Linear(3, 2), "predictor": nn.Linear(2, 4)}
    found = layout(nn.Sequential(OrderedDict(parts)))
    assert found.compared("output_layer") == slice(8, 20)  # after 3 * 2 + 2 parameters
    assert found.compared("all") == slice(0, 20)
    assert layout(nn.Linear(3, 2)).compared("output_layer") == slice(0, 8)
    with pytest.raises(InputError, match="features: 'last' is neither"):
        found.compared("last")
