"""Choose where tensors live."""

import torch

from fedsieve.errors import InputError


def choose(wanted: str) -> torch.device:
    """Return the device to compute on, with deterministic arithmetic where the device allows it.

    Args:
        wanted: "auto" (a GPU where there is one), "cpu" or "cuda".

    Raises:
        InputError: if a GPU is wanted and PyTorch can use none; ``cards.make_ready``, which the
            command line calls first, says why.
    """
    torch.set_num_threads(1)
    if wanted == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.allow_tf32 = False
        return torch.device("cuda")
    if wanted == "cuda":
        raise InputError("device: cuda, but PyTorch can use no GPU; set device: auto or cpu")
    return torch.device("cpu")
