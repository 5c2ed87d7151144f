"""What a model makes of images: predictions, and the feature maps of a named layer."""

from collections.abc import Iterator
from contextlib import AbstractContextManager

import numpy as np
import torch
from jaxtyping import Float, UInt, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from fedsieve.errors import InputError

CHUNK = 64
"""Images per forward pass on a CPU, where larger ones leave its caches; a fifth faster than 250."""

CARD_CHUNK = 1024
"""The same on a card, which small ones leave idle."""

MAX_FEATURES = 600


def scale(images: UInt8[Tensor, "samples channels height width"]) -> Tensor:
    """Pixels as floats in [-1, 1], in the memory order that convolutions like best."""
    return images.float().div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)


def precision(model: nn.Module, device: torch.device) -> AbstractContextManager[object]:
    """Context in which a model computes: with bfloat16 arithmetic if it is marked so.

    The mark, an attribute ``bf16``, is set where a model is built for a task (``engine.models``).
    Weights and their updates stay float32.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=getattr(model, "bf16", False))


def layers(model: nn.Module) -> list[str]:
    """Names that ``features:`` may have: pixels, the extractor's layers, the network's output."""
    children = model.get_submodule("extractor").named_children()
    return ["raw", *(name for name, _ in children), "output"]


def extract(model: nn.Module, images: Tensor, layer: str) -> Float[np.ndarray, "samples features"]:
    """Features of one layer as float32; maps are average-pooled to at most 600 values a sample.

    ``output`` gives the probability of each class.

    Raises:
        InputError: for a layer that the model does not have.

    ASSUME: FDSD says "shallow feature maps" and no more. Pooling by the smallest whole factor
    that leaves at most 600 values keeps k-means quick and costs no accuracy worth the name.
    """
    if layer not in layers(model):
        raise InputError(
            f"features: {layer!r} is no layer of this model; it has {', '.join(layers(model))}"
        )
    if layer == "output":
        logits = _forward(model, model, images)
        return torch.cat([F.softmax(chunk, dim=1) for chunk in logits]).numpy()
    children = dict(model.get_submodule("extractor").named_children())
    depth = layers(model).index(layer)
    part = nn.Sequential(*list(children.values())[:depth])
    return torch.cat([_pool(maps) for maps in _forward(model, part, images)]).numpy()


def predict(
    model: nn.Module, images: Tensor, *, multi_label: bool
) -> UInt[np.ndarray, " samples"] | UInt8[np.ndarray, "samples classes"]:
    """Predicted class of each image, or 0/1 per class where labels are multiple.

    Classes are of the smallest type that holds all of the network's.
    """
    logits = torch.cat(list(_forward(model, model, images)))
    if multi_label:
        return (logits > 0).to(torch.uint8).numpy()
    return logits.argmax(dim=1).numpy().astype(np.min_scalar_type(logits.shape[1] - 1))


def scores(model: nn.Module, images: Tensor) -> Float[np.ndarray, "samples classes"]:
    """What the network says of each image before any threshold: its logits."""
    return torch.cat(list(_forward(model, model, images))).numpy()


def _forward(model: nn.Module, part: nn.Module, images: Tensor) -> Iterator[Tensor]:
    """Apply a part of a model in evaluation mode to chunks of images; floats on the CPU."""
    part.eval()
    with torch.inference_mode(), precision(model, images.device):
        for chunk in images.split(CHUNK if images.device.type == "cpu" else CARD_CHUNK):
            yield part(scale(chunk)).float().cpu()


def _pool(maps: Tensor) -> Float[Tensor, "samples features"]:
    """Average-pool maps by the smallest factor that leaves at most MAX_FEATURES values."""
    if maps.ndim == 4 and len(maps):
        factor = 1
        while maps[0, :, ::factor, ::factor].numel() > MAX_FEATURES and factor < min(
            maps.shape[2:]
        ):
            factor += 1
        maps = F.avg_pool2d(maps, factor, ceil_mode=True)  # the edges count: triggers lie there
    return maps.flatten(1)
