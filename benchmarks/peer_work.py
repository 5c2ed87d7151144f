"""The work that the programs of ``benchmarks.peers`` share, and how they report on it.

A peer's program imports this in an environment of its own, which has torch but not what FedSieve
needs beside it.
"""

import functools
import json
import sys
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import torch
from torch import Tensor, nn

from fedsieve.models import cnn_bn

SHAPE = (1, 28, 28)
CLASSES = 10
LR = 0.01


@dataclass(frozen=True)
class Work:
    """Who trains how much."""

    clients: int = 100
    per_client: int = 600
    cohort: int = 10
    steps: int = 25
    batch: int = 32
    rounds: int = 5


def asked() -> Work:
    """The work that the command line asks for, as JSON."""
    return Work(**json.loads(sys.argv[1]))


@functools.cache
def client_data(work: Work) -> list[tuple[Tensor, Tensor]]:
    """Each client's images of noise, as bytes, and labels; made once a process."""
    rng, n = np.random.default_rng(0), work.clients * work.per_client
    images = rng.integers(0, 256, (n, *SHAPE), dtype=np.uint8)
    labels = rng.integers(0, CLASSES, n)
    both = torch.from_numpy(images), torch.from_numpy(labels)
    return list(zip(*(part.split(work.per_client) for part in both), strict=True))


def network() -> nn.Module:
    """The network of MCDFL's Table III."""
    return cnn_bn.build(SHAPE, CLASSES)


def pixels(images: Tensor) -> Tensor:
    """Bytes as floats in [-1, 1]."""
    return images.float().div_(127.5).sub_(1)


def tell_versions(*packages: str) -> None:
    """Print which versions run."""
    versions = {"torch": torch.__version__} | {name: version(name) for name in packages}
    print(json.dumps({"versions": versions}), flush=True)


def tell(number: int, seconds: float, images: int) -> None:
    """Print what a round took, and how many images this process trained on in it."""
    print(json.dumps({"round": number, "seconds": seconds, "images": images}), flush=True)
