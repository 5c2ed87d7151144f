"""What every file of src/fedsieve/models promises; a new one is tested once it is there."""

import pytest
import torch
from specs import declares, example
from torch.nn.modules.batchnorm import _BatchNorm

from fedsieve import registry
from fedsieve.features import extract, layers
from fedsieve.vectors import bind, flatten, seeded

pytestmark = [
    pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)], ids=["gray", "color"]),
    pytest.mark.parametrize("name", registry.available("models")),
]


def build(name, shape, n_classes=10):
    plugin = registry.load("models", name)
    return seeded(lambda: plugin.build(shape, n_classes, **example("models", name)), 0)


def images(shape):
    return torch.randint(0, 256, (5, *shape), dtype=torch.uint8)


def test_it_is_an_extractor_of_named_layers_and_a_predictor(name, shape):
    model = build(name, shape)
    parts = [part for part, _ in model.named_children()]
    assert parts == ["extractor", "predictor"], "the network has these two parts by these names"
    assert len(layers(model)) > 2, "the extractor needs two or more named layers"
    assert len(set(layers(model))) == len(layers(model)), "two layers of one name"


@pytest.mark.parametrize("n_classes", [2, 10])
def test_it_returns_a_logit_per_class(name, shape, n_classes):
    model = build(name, shape, n_classes)
    pixels = torch.rand(5, *shape)
    logits = model(pixels)
    assert logits.shape == (5, n_classes), "a logit for each image and class"
    assert torch.isfinite(logits).all()
    parts = model.eval()(pixels), model.predictor(model.extractor(pixels))
    assert torch.equal(*parts), "the network must be its predictor after its extractor"


def test_every_layer_can_be_extracted(name, shape):
    model = build(name, shape)
    for layer in layers(model):
        found = extract(model, images(shape), layer)
        assert found.ndim == 2
        assert len(found) == 5


def test_every_parameter_gets_a_gradient(name, shape):
    model = build(name, shape).train()
    bind(model)
    model(torch.rand(5, *shape)).square().sum().backward()
    for parameter, values in model.named_parameters():
        assert torch.isfinite(values.grad).all()
        assert values.grad.abs().sum() > 0, f"{parameter} gets no gradient: it is never used"


def test_weights_depend_on_the_seed_alone(name, shape):
    assert torch.equal(flatten(build(name, shape)), flatten(build(name, shape)))


def test_its_file_says_so_if_it_normalizes_batches(name, shape):
    layers = [layer for layer in build(name, shape).modules() if isinstance(layer, _BatchNorm)]
    said = bool(declares("models", name, "BATCH_NORM"))
    assert said == bool(layers), "BATCH_NORM = True says that a batch of one sample is too small"


def test_the_layers_that_its_file_lists_are_all_that_it_has(name, shape):
    if listed := declares("models", name, "LAYERS"):
        _, *own, _ = layers(build(name, shape))
        assert set(own) <= set(listed), "LAYERS lacks a layer: its features would be refused"
