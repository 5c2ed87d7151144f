from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from fedsieve import features, registry
from fedsieve.errors import InputError
from fedsieve.features import extract, layers, predict

RNG = np.random.default_rng(0)


def images(n, *shape):
    return torch.from_numpy(RNG.integers(0, 256, (n, *shape), dtype=np.uint8))


def model(name, *shape, **spec):
    torch.manual_seed(0)
    return registry.load("models", name).build(shape, 10, **spec)


def maps_of(*shape):
    """Model whose only layer returns maps of this shape: zeros but for the first image's corner."""

    class Maps(nn.Module):
        def forward(self, x):
            return torch.ones(len(x), *shape)

    return nn.Sequential(OrderedDict(extractor=nn.Sequential(OrderedDict(maps=Maps()))))


def test_layers_are_raw_those_of_the_extractor_and_the_output():
    assert layers(model("cnn2", 1, 28, 28)) == ["raw", "conv1", "conv2", "penultimate", "output"]
    assert layers(model("cnn2", 1, 28, 28, hidden=0)) == ["raw", "conv1", "conv2", "output"]
    blocks = [f"layer{i}" for i in range(1, 5)]
    assert layers(model("resnet18", 1, 28, 28)) == [
        "raw",
        "conv1",
        *blocks,
        "penultimate",
        "output",
    ]


def test_output_is_the_probability_of_each_class():
    network, pixels = model("cnn2", 1, 28, 28), images(3, 1, 28, 28)
    found = extract(network, pixels, "output")
    assert found.shape == (3, 10)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    assert found.argmax(axis=1).tolist() == predict(network, pixels, multi_label=False).tolist()


def test_raw_is_the_scaled_pixels():
    pixels = images(3, 1, 8, 8)
    wanted = pixels.numpy().reshape(3, 64) / 127.5 - 1
    found = extract(model("cnn2", 1, 8, 8, padding=1), pixels, "raw")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert (
        features.scale(torch.tensor([[[[0, 255]]]], dtype=torch.uint8)) == torch.tensor([-1, 1])
    ).all()


def test_raw_of_larger_images_is_pooled_over_blocks():
    pixels = images(3, 1, 28, 28)
    blocks = pixels.numpy().reshape(3, 14, 2, 14, 2).mean(axis=(2, 4)) / 127.5 - 1
    found = extract(model("cnn2", 1, 28, 28), pixels, "raw")
    np.testing.assert_allclose(found, blocks.reshape(3, 196), atol=1e-5)


@pytest.mark.parametrize("name", registry.available("models"))
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_no_layer_has_more_than_600_features(name, shape):
    net = model(name, *shape)
    for layer in layers(net):
        assert extract(net, images(2, *shape), layer).shape[1] <= 600


def test_maps_are_pooled_by_the_smallest_sufficient_factor():
    # 64 maps of 7x7 (ResNet18's stem at 28x28): factor 2 leaves 64 * 4 * 4 = 1024 values, the
    # edges included, factor 3 leaves 64 * 3 * 3 = 576
    assert extract(maps_of(64, 7, 7), images(2, 1, 28, 28), "maps").shape == (2, 576)


def test_a_flat_layer_is_not_pooled():
    net = model("cnn2", 1, 28, 28, hidden=1000)
    assert extract(net, images(2, 1, 28, 28), "penultimate").shape[1] == 1000


def test_pooling_leaves_no_edge_out():
    # 5x5 in blocks of 2: the last row and column are blocks of their own
    corner = torch.zeros(1, 64, 5, 5)
    corner[:, :, 4, 4] = 1.0
    found = features._pool(corner).reshape(64, 3, 3)
    assert found[0].tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 1]]


def test_a_layer_is_what_its_part_of_the_model_computes():
    net, pixels = model("cnn2", 1, 28, 28).eval(), images(4, 1, 28, 28)
    with torch.no_grad():
        deep = net.extractor(features.scale(pixels))
        first = net.extractor.conv1(features.scale(pixels))  # 8 maps of 13x13, pooled by 2 to 7x7
    np.testing.assert_array_equal(extract(net, pixels, "penultimate"), deep.numpy())
    wanted = first[:, :, :12, :12].reshape(4, 8, 6, 2, 6, 2).mean(dim=(3, 5))
    found = extract(net, pixels, "conv1").reshape(4, 8, 7, 7)
    np.testing.assert_allclose(found[:, :, :6, :6], wanted.numpy(), atol=1e-6)


def test_an_unknown_layer_is_refused_with_those_that_there_are():
    with pytest.raises(InputError, match=r"'conv3' is no layer.*raw, conv1, conv2, penultimate"):
        extract(model("cnn2", 1, 28, 28), images(2, 1, 28, 28), "conv3")


@pytest.mark.parametrize("name", ["cnn2", "resnet18"])
def test_chunks_do_not_change_results(name, monkeypatch):
    net, pixels = model(name, 1, 28, 28), images(11, 1, 28, 28)
    deep, classes = extract(net, pixels, "penultimate"), predict(net, pixels, multi_label=False)
    monkeypatch.setattr(features, "CHUNK", 4)
    np.testing.assert_allclose(extract(net, pixels, "penultimate"), deep, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(predict(net, pixels, multi_label=False), classes)


def test_features_do_not_depend_on_a_samples_company_nor_change_the_model():
    net, pixels = model("resnet18", 1, 28, 28).train(), images(6, 1, 28, 28)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    together, alone = extract(net, pixels, "layer2"), extract(net, pixels[:2], "layer2")
    np.testing.assert_allclose(together[:2], alone, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_predictions_are_the_largest_logit_or_all_above_zero():
    class Logits(nn.Module):
        def forward(self, _):
            return torch.tensor([[-1.0, 3.0, 2.0], [-1.0, -3.0, -2.0]])

    found = predict(Logits(), images(2, 1, 2, 2), multi_label=False)
    assert (found.tolist(), found.dtype) == ([1, 0], np.uint8)
    found = predict(Logits(), images(2, 1, 2, 2), multi_label=True)
    assert (found.tolist(), found.dtype) == ([[0, 1, 1], [0, 0, 0]], np.uint8)


@pytest.mark.parametrize(
    ("n_classes", "kind"), [(2, "u1"), (256, "u1"), (257, "u2"), (65536, "u2"), (65537, "u4")]
)
def test_every_class_is_predicted_as_itself_however_many_there_are(n_classes, kind):
    class Last(nn.Module):
        def forward(self, _):
            return torch.eye(n_classes)[-2:] if n_classes < 300 else torch.arange(n_classes)[None]

    n = 2 if n_classes < 300 else 1
    found = predict(Last(), images(n, 1, 2, 2), multi_label=False)
    assert found.tolist() == list(range(n_classes))[-n:]
    assert found.dtype == kind


def test_a_client_without_samples_has_no_features():
    assert len(extract(model("cnn2", 1, 28, 28), images(0, 1, 28, 28), "conv1")) == 0
