"""Local SGD by CUDA graphs: a step is recorded once and launched as a whole. Off unless asked for.

A step of a small network is some dozens of kernels, each over before Python has launched the next.
A graph needs one launch, and reads and writes the same memory each time: batches are copied there.

The whole step is captured, from the images to the new weights.
``torch.cuda.make_graphed_callables`` would capture the model's two passes alone, and leave Python
to launch the loss and the update.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from fedsieve.errors import InputError
from fedsieve.local import (
    Learner,
    LocalLoss,
    Sgd,
    Step,
    Train,
    TrainingData,
    at_rest,
    drawn,
    sgd_step,
    train_client,
)

SETTING = "FEDSIEVE_CUDA_GRAPHS"

WARM_UPS = 3
"""Eager steps before a capture, so that libraries have set themselves up; PyTorch's own number."""

Replay = Callable[[], None]
Capture = Callable[[Replay, Sequence[Tensor]], Replay]
"""Make what replays a step, without making one: see ``captured``."""

OnBatch = Callable[[Tensor, Tensor], None]
"""A step on these images and labels."""


@dataclass(frozen=True)
class Replica:
    """A model's memory for all clients, the sum of a client's losses, and the recorded steps."""

    net: Learner
    total: Tensor
    recorded: dict[tuple[torch.Size, torch.Size], OnBatch] = field(default_factory=dict)
    """By the shapes of images and labels."""

    def step(self, images: Tensor, labels: Tensor, sgd: Sgd) -> None:
        """Make a step on memory that stays where it is, whatever the client."""
        self.total.add_(sgd_step(self.net, images, labels, sgd))


def wanted(device: torch.device) -> bool:
    """Whether to train by graphs: on a card, if FEDSIEVE_CUDA_GRAPHS is 1.

    Raises:
        InputError: if it is neither 0 nor 1.
    """
    asked = os.environ.get(SETTING, "0")
    if asked not in ("0", "1"):
        raise InputError(f"{SETTING}={asked!r}: set it to 1, or to 0 for training without graphs")
    return asked == "1" and device.type == "cuda"


def recorder(capture: Capture) -> Train:
    """Local training like ``train_client`` whose full batches replay a recorded step.

    A step is recorded once for each model replica, SGD settings and shape of a batch. Smaller
    batches run eagerly. So does everything under a detector's local loss: it depends on what
    changes between rounds, and a recording would not see that.
    """
    known: dict[tuple[int, Sgd], Replica] = {}

    def train(
        model: nn.Module,
        data: TrainingData,
        steps: Iterator[Step],
        sgd: Sgd,
        local_loss: LocalLoss | None,
    ) -> float:
        if local_loss is not None:
            return train_client(model, data, steps, sgd, local_loss)
        # nothing else comes to lie there: the replica holds it
        key = next(model.parameters()).data_ptr(), sgd
        if key not in known:
            known[key] = _replica(model)
        return _train(known[key], data, steps, sgd, capture)

    return train


def captured(step: Replay, touched: Sequence[Tensor]) -> Replay:
    """Capture a step as a CUDA graph.

    Args:
        step: It reads and writes memory that stays where it is.
        touched: All that it changes. Neither this nor random state is other afterwards.

    The stream of warm-up and capture is the same, and not the default one: autograd remembers on
    which stream it adds to a gradient, and libraries keep a handle per stream that they cannot
    make during a capture.

    Source: PyTorch, "CUDA semantics", section on whole-network capture.
    """
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream), untouched(touched):
        for _ in range(WARM_UPS):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        step()
    return graph.replay


@contextmanager
def untouched(tensors: Sequence[Tensor]) -> Iterator[None]:
    """Undo at the end what was done to tensors of one device and to random state."""
    before = [tensor.clone() for tensor in tensors]
    cards = {tensor.device for tensor in tensors if tensor.is_cuda}
    with torch.random.fork_rng(devices=cards):
        yield
    for tensor, kept in zip(tensors, before, strict=True):
        tensor.copy_(kept)


def _replica(model: nn.Module) -> Replica:
    net = at_rest(model)
    return Replica(net, torch.zeros((), device=net.params[0].device))


def _train(
    replica: Replica, data: TrainingData, steps: Iterator[Step], sgd: Sgd, capture: Capture
) -> float:
    """Train a client; see ``train_client``."""
    replica.net.model.train()
    torch._foreach_zero_(replica.net.velocity)
    replica.total.zero_()
    n = 0
    for n, step in enumerate(steps, start=1):  # noqa: B007 - counted for the mean
        images, labels = drawn(data, step)
        if len(labels) == sgd.batch_size:
            _recorded(replica, images, labels, sgd, capture)(images, labels)
        else:
            replica.step(images, labels, sgd)
    return replica.total.item() / max(n, 1)


def _recorded(
    replica: Replica, images: Tensor, labels: Tensor, sgd: Sgd, capture: Capture
) -> OnBatch:
    """The replica's step for batches of this shape, recorded if there is none yet."""
    shapes = images.shape, labels.shape
    if shapes not in replica.recorded:
        held = images.clone(), labels.clone()
        net = replica.net
        weights = [p.detach() for p in net.params]  # the same memory
        touched = [*weights, *net.velocity, replica.total, *net.model.buffers()]
        replay = capture(partial(replica.step, *held, sgd), touched)
        replica.recorded[shapes] = partial(_replayed, replay, held)
    return replica.recorded[shapes]


def _replayed(replay: Replay, held: tuple[Tensor, Tensor], images: Tensor, labels: Tensor) -> None:
    """Copy a batch to where a recorded step reads it, and replay that step."""
    for place, batch in zip(held, (images, labels), strict=True):
        place.copy_(batch)
    replay()
