"""The clients' local SGD, the only hot loop: global weights and index vectors in, weights out."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from queue import SimpleQueue

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from fedsieve.features import precision, scale
from fedsieve.records import Dataset
from fedsieve.vectors import bind

LocalLoss = Callable[[nn.Module, Tensor], Tensor | None]
"""A detector's extra term of a client's loss, for a batch with these labels; None adds nothing."""


@dataclass(frozen=True)
class TrainingData:
    """The whole training set on one device as bytes; a client is a vector of row numbers."""

    images: UInt8[Tensor, "samples channels height width"]
    labels: Tensor

    @classmethod
    def of(cls, data: Dataset, device: torch.device) -> "TrainingData":
        """Move a data set to the device."""
        labels = torch.from_numpy(data.labels)
        return cls(
            torch.from_numpy(data.images).to(device),
            (labels.float() if data.multi_label else labels).to(device),
        )


@dataclass(frozen=True)
class Sgd:
    """Settings of local training.

    ``steps`` limits a client's SGD steps a round; without it a round is ``epochs`` passes.
    ``augment`` shifts and mirrors the images at random.
    """

    epochs: int
    batch_size: int
    lr: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    steps: int | None = None
    augment: bool = False


MARGIN = 4
"""Pixels by which augmentation shifts an image at most."""


Step = tuple[Tensor, Tensor | None]
"""Row numbers of an SGD step's batch, and how to move its images: see ``augmented``."""


def batches(rows: np.ndarray, sgd: Sgd, rng: np.random.Generator) -> Iterator[Step]:
    """Each SGD step of a client: its rows, shuffled anew for every pass, and their moves.

    ASSUME: the last batch of a pass may be smaller; one of a single sample is left out, since
    batch normalization is undefined on it (unless ``batch_size`` is 1). A client with a single
    sample thus takes part without a step.
    """
    least = min(2, sgd.batch_size)
    endless = sgd.steps is not None and len(rows) >= least
    passes = iter(int, 1) if endless else range(sgd.epochs)
    every = (
        (batch, _moves(len(batch), rng) if sgd.augment else None)
        for _ in passes
        for batch in torch.from_numpy(rng.permutation(rows)).split(sgd.batch_size)
        if len(batch) >= least
    )
    return islice(every, sgd.steps)


def augmented(images: Tensor, moves: Int64[Tensor, "samples 3"]) -> Tensor:
    """Shift images by up to MARGIN pixels, black moving in, and mirror some left to right.

    Args:
        moves: Of each image, the upper left corner, row and column, of the crop of the padded
            image, and whether to mirror it.

    Source: MCDFL, appendix A ("default padding, random horizontal flipping, and a size of 32 for
    random cropping").
    ASSUME: padding by 4 black pixels, as usual for CIFAR-10.
    """
    samples, channels, height, width = images.shape
    padded = F.pad(images, [MARGIN] * 4)
    top, left, mirrored = (column[:, None] for column in moves.to(images.device).unbind(1))
    rows = top + torch.arange(height, device=images.device)
    ahead = torch.arange(width, device=images.device)
    columns = left + torch.where(mirrored == 1, width - 1 - ahead, ahead)
    place = (
        torch.arange(samples, device=images.device)[:, None, None, None],
        torch.arange(channels, device=images.device)[None, :, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    )
    return padded[place]


@dataclass(frozen=True)
class Learner:
    """A model in local training, its parameters, and the velocity of each."""

    model: nn.Module
    params: list[Tensor]
    velocity: list[Tensor]


def at_rest(model: nn.Module) -> Learner:
    """Make a model ready for training, without velocity."""
    params: list[Tensor] = list(model.parameters())
    return Learner(model, params, [torch.zeros_like(p) for p in params])


def drawn(data: TrainingData, step: Step) -> tuple[Tensor, Tensor]:
    """Images, moved if they are to be, and labels of an SGD step's batch."""
    rows, moves = step
    rows = rows.to(data.images.device)
    images, labels = data.images[rows], data.labels[rows]
    return (images if moves is None else augmented(images, moves)), labels


def sgd_step(
    net: Learner, images: Tensor, labels: Tensor, sgd: Sgd, local_loss: LocalLoss | None = None
) -> Float[Tensor, ""]:
    """Make one step on a batch, in place, and return its loss.

    The update rule is that of torch.optim.SGD to the bit, without its second of import. Gradients
    stay where autograd leaves them: adding them up in memory of the model's own would take as long
    as the update, a tenth of a step of ResNet18.
    """
    with precision(net.model, images.device):
        logits = net.model(scale(images))
    loss = _loss(logits.float(), labels)
    if local_loss is not None and (extra := local_loss(net.model, labels)) is not None:
        loss = loss + extra
    move = list(torch.autograd.grad(loss, net.params, materialize_grads=True))
    with torch.no_grad():
        if sgd.weight_decay:
            torch._foreach_add_(move, net.params, alpha=sgd.weight_decay)
        if sgd.momentum:
            torch._foreach_mul_(net.velocity, sgd.momentum)
            torch._foreach_add_(net.velocity, move)
            move = net.velocity
        torch._foreach_add_(net.params, move, alpha=-sgd.lr)
    return loss.detach()


def train_client(
    model: nn.Module,
    data: TrainingData,
    steps: Iterator[Step],
    sgd: Sgd,
    local_loss: LocalLoss | None,
) -> float:
    """Run one client's SGD on a model, in place.

    Momentum starts at zero every round. Returns the mean loss of the steps.
    """
    model.train()
    net = at_rest(model)
    total, n = torch.zeros((), device=net.params[0].device), 0
    for step in steps:
        total, n = total + sgd_step(net, *drawn(data, step), sgd, local_loss), n + 1
    return total.item() / max(n, 1)


Train = Callable[[nn.Module, TrainingData, Iterator[Step], Sgd, LocalLoss | None], float]
"""``train_client``, or what does the same in another way (``graphs``)."""


class Workers:
    """Threads that train clients side by side, each with a model replica of its own.

    Every thread computes with one intra-op thread, so that a client's result depends neither on
    the number of workers nor on which of them took it.
    """

    def __init__(self, replicas: list[nn.Module], train: Train = train_client):
        self._train = train
        self._free: SimpleQueue[tuple[nn.Module, Tensor]] = SimpleQueue()
        for replica in replicas:
            self._free.put((replica, bind(replica)))
        self._pool = ThreadPoolExecutor(
            len(replicas), initializer=torch.set_num_threads, initargs=(1,)
        )

    def train(
        self,
        starts: Float[Tensor, "clients values"],
        data: TrainingData,
        steps: list[Iterator[Step]],
        sgd: Sgd,
        local_loss: LocalLoss | None = None,
    ) -> tuple[Float[Tensor, "clients values"], list[float]]:
        """Train each client from its starting weights; return their weights and mean losses."""
        results = torch.empty_like(starts, memory_format=torch.contiguous_format)

        def run(client: int) -> float:
            model, values = self._free.get()
            try:
                values.copy_(starts[client])
                loss = self._train(model, data, steps[client], sgd, local_loss)
                results[client] = values
                return loss
            finally:
                self._free.put((model, values))

        return results, list(self._pool.map(run, range(len(steps))))


def _moves(n: int, rng: np.random.Generator) -> Int64[Tensor, "samples 3"]:
    return torch.from_numpy(rng.integers(0, [2 * MARGIN + 1, 2 * MARGIN + 1, 2], (n, 3)))


def _loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy; binary, averaged over classes, where labels are multiple."""
    if labels.ndim == 2:
        return F.binary_cross_entropy_with_logits(logits, labels)
    return F.cross_entropy(logits, labels)
