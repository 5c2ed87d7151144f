"""Make a card ready for a stage before it starts, or say why there is none.

Apart from ``device``, so that how cards are shared is no part of any result's digest.
"""

import os

import torch

from fedsieve import leases
from fedsieve.errors import InputError


def make_ready(wanted: str) -> None:
    """Lease a GPU to this process alone until it ends, if the device wanted may be one.

    See ``leases.take``. To be called before anything asks CUDA.

    Args:
        wanted: "auto" (a GPU where there is one), "cpu" or "cuda".

    Raises:
        InputError: if a GPU is wanted and there is none for this process, or leases fail.
    """
    if wanted == "cpu":
        return
    card = _own_card()
    if torch.cuda.is_available():
        if card is None:
            print("this GPU is not leased: other jobs may use it, too", flush=True)
    elif wanted == "cuda":
        raise InputError(f"device: cuda, but {_why(card)}; or set device: auto or cpu")
    elif card:
        print(f"on the CPU, since {_why(card)}", flush=True)


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
