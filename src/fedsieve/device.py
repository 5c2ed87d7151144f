"""Choose where tensors live."""

import os

import torch

from fedsieve.errors import InputError


def choose(wanted: str) -> torch.device:
    """Return the device to compute on, with arithmetic that repeats as far as it lets.

    Args:
        wanted: "auto" (a GPU where there is one), "cpu" or "cuda".

    Raises:
        InputError: if a GPU is wanted and none is visible.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "unset")
        raise InputError(
            f"device: cuda, but PyTorch sees no GPU (CUDA_VISIBLE_DEVICES: {visible}); "
            "set device: auto or cpu"
        )
    torch.set_num_threads(1)
    if wanted == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
    return torch.device("cuda")
