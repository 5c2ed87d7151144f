"""MCDFL's networks: blocks of convolution, ReLU and batch normalization, each with max-pooling."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor, nn

from fedsieve.errors import InputError
from fedsieve.ranges import OneOf, Range, Share, Size

BATCH_NORM = True
"""Batches of one sample are refused before the first job."""

LAYERS = ("block1", "block2", "block3", "block4", "block5", "block6", "block7", "block8")
"""Layers that it may have; features of others are refused before the first job."""

Widths = Annotated[Sequence[Size], Range(least=1, most=16)]

Deviation = Annotated[float, Range(above=0, most=1)]


class Standardized(nn.Module):
    """Bring pixels in [-1, 1] to the mean and deviation of each channel that a paper asks for."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        mean_, std_ = (torch.tensor(v).reshape(1, -1, 1, 1) for v in (mean, std))
        self.register_buffer("factor", 0.5 / std_, persistent=False)
        self.register_buffer("offset", (0.5 - mean_) / std_, persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Standardize pixels [samples, channels, height, width]."""
        return pixels * self.get_buffer("factor") + self.get_buffer("offset")


def build(
    in_shape: tuple[int, int, int],
    n_classes: int,
    *,
    blocks: Annotated[Sequence[Widths], Range(least=1, most=8)] = ((16,), (32,)),
    kernel: Annotated[int, OneOf(1, 3, 5, 7, 9, 11, 13, 15)] = 5,
    mean: Annotated[Sequence[Share], Range(least=1)] | None = None,
    std: Annotated[Sequence[Deviation], Range(least=1)] | None = None,
) -> nn.Sequential:
    """Build the network as ``extractor`` (block1, block2, ...) and ``predictor``.

    Args:
        in_shape: Channels, height and width of an image.
        n_classes: Number of outputs, which are log-probabilities.
        blocks: Widths, from 1 to 8192, of the 1 to 16 convolutions of each of 1 to 8 blocks, which
            end with 2x2 max-pooling. The default is the network of MCDFL's Table III for
            Fashion-MNIST; [[32, 32], [64, 64], [128, 128]] with ``kernel: 3`` is that of Table V
            for CIFAR-10.
        kernel: Side of the kernels, 1, 3, 5, 7, 9, 11, 13 or 15.
        mean: Of each channel's pixels, from 0 to 1, to standardize by; 0.5 unless given.
        std: Their deviation, above 0 and at most 1; 0.5 unless given.

    Raises:
        InputError: for an even kernel, images too small for so many blocks, or a mean or std
            that is not one number per channel.

    Source: MCDFL, appendix A, Tables III and V.
    ASSUME: padding that keeps the size, without which 1568 and 2048 features could not be.
    """
    if kernel % 2 == 0:
        raise InputError(f"model cnn_bn: kernel: {kernel} is even; use an odd number")
    size = [side // 2 ** len(blocks) for side in in_shape[1:]]
    if min(size) < 1:
        shape = f"{in_shape[1]}x{in_shape[2]}"
        raise InputError(f"model cnn_bn: images of {shape} are too small for {len(blocks)} blocks")
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    channels = in_shape[0]
    for number, widths in enumerate(blocks, start=1):
        layers: list[nn.Module] = []
        if number == 1 and (mean is not None or std is not None):
            layers.append(_standardized(channels, mean, std))
        for width in widths:
            convolution = nn.Conv2d(channels, width, kernel, padding=kernel // 2)
            layers += [convolution, nn.ReLU(), nn.BatchNorm2d(width)]
            channels = width
        parts[f"block{number}"] = nn.Sequential(*layers, nn.MaxPool2d(2))
    output = nn.Linear(channels * size[0] * size[1], n_classes)
    predictor = nn.Sequential(nn.Flatten(), output, nn.LogSoftmax(1))
    return nn.Sequential(OrderedDict(extractor=nn.Sequential(parts), predictor=predictor))


def _standardized(
    channels: int, mean: Sequence[float] | None, std: Sequence[float] | None
) -> Standardized:
    given = mean or [0.5] * channels, std or [0.5] * channels
    if any(len(numbers) != channels for numbers in given) or min(given[1]) <= 0:
        raise InputError(
            f"model cnn_bn: mean: {mean} and std: {std} must hold a number for each of {channels} "
            "channels, those of std above 0"
        )
    return Standardized(*given)
