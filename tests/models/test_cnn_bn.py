import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fedsieve import registry
from fedsieve.errors import InputError
from fedsieve.features import layers
from fedsieve.vectors import layout

build = registry.load("models", "cnn_bn").build
CIFAR = {"blocks": [[32, 32], [64, 64], [128, 128]], "kernel": 3}


def n_params(module):
    return sum(p.numel() for p in module.parameters())


def test_the_default_is_the_network_of_table_iii():
    net = build((1, 28, 28), 10)
    # 5x5 kernels and biases, scale and shift of batch norm; then 1568 features to 10 classes
    blocks = (25 * 1 * 16 + 16 + 2 * 16) + (25 * 16 * 32 + 32 + 2 * 32)
    assert n_params(net.extractor) == blocks
    assert n_params(net.predictor) == 1568 * 10 + 10
    assert layers(net) == ["raw", "block1", "block2", "output"]


def test_six_convolutions_of_3x3_are_the_network_of_table_v():
    net = build((3, 32, 32), 10, **CIFAR)
    widths = [3, 32, 32, 64, 64, 128, 128]
    blocks = sum(9 * a * b + b + 2 * b for a, b in itertools.pairwise(widths))
    assert n_params(net.extractor) == blocks
    assert n_params(net.predictor) == 2048 * 10 + 10


def test_each_convolution_is_followed_by_relu_then_batch_norm_and_each_block_pooled():
    net = build((3, 32, 32), 10, **CIFAR)
    kinds = [type(part) for part in net.extractor.block2]
    once = [nn.Conv2d, nn.ReLU, nn.BatchNorm2d]
    assert kinds == [*once, *once, nn.MaxPool2d]


def test_cross_entropy_of_its_log_probabilities_is_their_negative_log_likelihood():
    net = build((1, 28, 28), 10).eval()
    said, labels = net(torch.rand(6, 1, 28, 28)), torch.arange(6)
    torch.testing.assert_close(said.exp().sum(1), torch.ones(6))
    torch.testing.assert_close(F.cross_entropy(said, labels), F.nll_loss(said, labels))


def test_pixels_are_standardized_by_the_mean_and_deviation_of_each_channel():
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    net = build((3, 32, 32), 10, **CIFAR, mean=mean, std=std)
    pixels = torch.rand(2, 3, 32, 32)
    wanted = (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    torch.testing.assert_close(net.extractor.block1[0](2 * pixels - 1), wanted)


def test_constants_of_standardizing_are_no_part_of_what_clients_send():
    plain, standardized = build((1, 28, 28), 10), build((1, 28, 28), 10, mean=[0.3], std=[0.2])
    assert layout(plain).n_values == layout(standardized).n_values
    # running mean and variance of 16 and 32 channels travel with the parameters
    assert layout(plain).n_values - layout(plain).n_params == 2 * (16 + 32)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"kernel": 4}, "kernel: 4 is even"),
        ({"blocks": [[4]] * 5}, "images of 28x28 are too small for 5 blocks"),
        ({"mean": [0.5, 0.5]}, "a number for each of 1 channels"),
        ({"std": [0.0]}, "those of std above 0"),
    ],
)
def test_impossible_networks_are_refused(spec, message):
    with pytest.raises(InputError, match=message):
        build((1, 28, 28), 10, **spec)


def test_running_statistics_are_those_of_the_data_after_many_batches():
    torch.manual_seed(0)
    net = build((1, 28, 28), 10, blocks=[[4]]).train()
    pixels = torch.rand(64, 1, 28, 28)
    for _ in range(100):
        net(pixels)
    maps = torch.relu(net.extractor.block1[0](pixels))
    found = net.extractor.block1[2].running_mean
    np.testing.assert_allclose(found.numpy(), maps.mean((0, 2, 3)).detach().numpy(), atol=1e-4)
