"""What every layer of a network says of images, and how alike it is for pairs of them."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from fedsieve.features import CHUNK, scale

Images = UInt8[Tensor, "samples channels height width"]


def responses(model: nn.Module, images: Images) -> dict[str, Tensor]:
    """Response of each layer from pixels to output, in full: maps, or a vector per image.

    The layers are those of ``features.layers``; the output is the logits.
    """
    model.eval()
    with torch.inference_mode():
        found = {"raw": scale(images)}
        for name, layer in model.get_submodule("extractor").named_children():
            found[name] = layer(found[next(reversed(found))])
        found["output"] = model.get_submodule("predictor")(found[next(reversed(found))])
    return found


def correlations(
    model: nn.Module, images: Images, others: Images
) -> Float[Tensor, "samples layers"]:
    """Pearson correlation of each layer's response to an image with that to its counterpart.

    It is taken over all values of a response, and 0 where one of the two is constant.
    """
    parts = []
    for pair in zip(images.split(CHUNK), others.split(CHUNK), strict=True):
        ours, theirs = (responses(model, part).values() for part in pair)
        parts.append(torch.stack([_pearson(*both) for both in zip(ours, theirs, strict=True)], 1))
    return torch.cat(parts)


def _pearson(a: Tensor, b: Tensor) -> Float[Tensor, " samples"]:
    a, b = (part.flatten(1).double() for part in (a, b))
    return F.cosine_similarity(a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True))
