"""Models of a task: built from its settings, or read with the weights that a training wrote."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from fedsieve import registry
from fedsieve.artifacts import check_seal
from fedsieve.errors import InputError
from fedsieve.records import Dataset
from fedsieve.rng import stream
from fedsieve.vectors import bind, seeded


def initial_model(spec: dict[str, Any], data: Dataset, seed: int) -> nn.Module:
    """Build a model for a data set's images and classes, its weights drawn from the seed.

    ``bf16`` in the spec is no parameter of the model: it says how it computes.
    """
    named = {key: value for key, value in spec.items() if key != "bf16"}
    build = registry.bind("models", named, "build")
    in_shape = data.images.shape[1:]
    weights = int(stream(seed, "weights").integers(2**63))
    model = seeded(lambda: build(in_shape, len(data.classes)), weights)
    setattr(model, "bf16", spec.get("bf16", False))  # noqa: B010 - modules declare no such name
    return model


def trained_model(
    path: Path, spec: dict[str, Any], data: Dataset, device: torch.device
) -> nn.Module:
    """Load a model's weights.

    Raises:
        InputError: where the file is broken or fits another model.
    """
    model = initial_model(spec, data, 0)
    check_seal(path)
    try:
        model.load_state_dict(load_file(path))
    except (SafetensorError, OSError, RuntimeError) as error:
        raise InputError(
            f"{path}: not usable weights: {error}. Delete it and run again."
        ) from error
    model.to(device)
    bind(model)  # computes as fast as in training, and the same to the bit
    return model


def copy_weights(model: nn.Module) -> dict[str, Tensor]:
    """A model's tensors, each with memory of its own, as safetensors wants them."""
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }
