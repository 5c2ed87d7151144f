"""Choose where tensors live."""

import os

import torch

from fedsieve import leases
from fedsieve.errors import InputError


def choose(wanted: str) -> torch.device:
    """Return the device to compute on, with arithmetic that repeats as far as it lets.

    A GPU is leased to this process alone until it ends; see ``leases.take``.

    Args:
        wanted: "auto" (a GPU where there is one), "cpu" or "cuda".

    Raises:
        InputError: if a GPU is wanted and there is none for this process, or leases fail.
    """
    torch.set_num_threads(1)
    if wanted == "cpu":
        return torch.device("cpu")
    card = _own_card()
    if torch.cuda.is_available():
        if card is None:
            print("this GPU is not leased: other jobs may use it, too", flush=True)
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.allow_tf32 = False
        return torch.device("cuda")
    if wanted == "cuda":
        raise InputError(f"device: cuda, but {_why(card)}; or set device: auto or cpu")
    if card:
        print(f"on the CPU, since {_why(card)}", flush=True)
    return torch.device("cpu")


def _own_card() -> str | None:
    """Lease a card, unless PyTorch cannot use any or has begun to use its own."""
    if not torch.backends.cuda.is_built():
        return None
    if torch.cuda.is_initialized():
        return os.environ.get(leases.VISIBLE)
    return leases.take()


def _why(card: str | None) -> str:
    """Say why there is no GPU, and what to do."""
    if not torch.backends.cuda.is_built():
        return "this PyTorch is built without CUDA: install a build with it"
    if card:
        return f"PyTorch cannot use {card}: compare its CUDA {torch.version.cuda} with the driver's"
    return leases.why_none(os.environ, leases.listed())
