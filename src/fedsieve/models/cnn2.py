"""FDSD's MNIST network: two convolutions, max-pooling and a fully connected layer."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated

from torch import nn

from fedsieve.errors import InputError
from fedsieve.ranges import Range, Size

LAYERS = ("conv1", "conv2", "penultimate")
"""Layers that it may have; features of others are refused before the first job."""


def build(
    in_shape: tuple[int, int, int],
    n_classes: int,
    *,
    channels: Annotated[Sequence[Size], Range(least=2, most=2)] = (8, 16),
    hidden: Annotated[int, Range(least=0, most=8192)] = 64,
    padding: Annotated[int, Range(least=0, most=16)] = 0,
) -> nn.Sequential:
    """Build the network as ``extractor`` (conv1, conv2[, penultimate]) and ``predictor``.

    Args:
        in_shape: Channels, height and width of an image.
        n_classes: Number of outputs.
        channels: Widths of the 2 convolutions, which are 3x3; each from 1 to 8192.
        hidden: Width of the penultimate layer, from 0 to 8192. 0 is the paper's literal network,
            one pooling after the second convolution and no hidden layer; otherwise each convolution
            is pooled and a fully connected layer of this width goes before the output.
        padding: Pixels of zero padding at each convolution, from 0 to 16; 1 suits images below
            16x16.

    Raises:
        InputError: if the image is too small for two convolutions and their pooling.

    Source: FDSD, section IV-A ("two convolution layers, a max-pooling layer, and a
    fully-connected layer").
    ASSUME: 3x3 kernels, 8 and 16 channels and ReLU; the paper gives no sizes. The default has a
    penultimate layer and pools twice: a third of the literal network's time, more accurate, and
    a deep layer to compare the shallow ones with.
    """
    # ReLU after max-pooling gives what it gives before, at a quarter of the work
    pool_first = nn.MaxPool2d(2) if hidden else nn.Identity()
    height, width = (_size(_size(s, padding, bool(hidden)), padding, True) for s in in_shape[1:])
    if min(height, width) < 1:
        larger = ["padding: 1"] * (padding < 1) + ["hidden: 0"] * bool(hidden)
        raise InputError(
            f"model cnn2: images of {in_shape[1]}x{in_shape[2]} are too small with "
            f"padding: {padding}; set {', or '.join(larger) or 'a larger padding'}. "
            f"Channels come first: {list(in_shape)} is [channels, height, width]"
        )
    extractor: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Sequential(
            nn.Conv2d(in_shape[0], channels[0], 3, padding=padding), pool_first, nn.ReLU()
        ),
        conv2=nn.Sequential(
            nn.Conv2d(channels[0], channels[1], 3, padding=padding), nn.MaxPool2d(2), nn.ReLU()
        ),
    )
    flat = channels[1] * height * width
    if hidden:
        extractor["penultimate"] = nn.Sequential(nn.Flatten(), nn.Linear(flat, hidden), nn.ReLU())
        predictor = nn.Sequential(nn.Linear(hidden, n_classes))
    else:
        predictor = nn.Sequential(nn.Flatten(), nn.Linear(flat, n_classes))
    return nn.Sequential(OrderedDict(extractor=nn.Sequential(extractor), predictor=predictor))


def _size(size: int, padding: int, pooled: bool) -> int:
    size = size - 2 + 2 * padding
    return size // 2 if pooled else size
