"""A model as one flat vector, and the record that an aggregator returns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fedsieve.errors import InputError

Net = TypeVar("Net", bound=nn.Module)

State = dict[str, Tensor]
"""What a method remembers between rounds: named tensors, so that it can be checkpointed."""


@dataclass(frozen=True)
class Aggregate:
    """What the server makes of a cohort's updates.

    ``weights`` is the share that each client got, 0 for a client that was left out; every
    defense can so be scored as a detector by one metric. ``in_domain`` is False where the
    method's own conditions do not hold: the run goes on, and the tables mark its cell.
    """

    update: Float[Tensor, " params"]
    weights: Float[Tensor, " clients"]
    in_domain: bool = True


@dataclass(frozen=True)
class Trained:
    """A round's local training: who took part, what the server sent, what each came back with."""

    cohort: list[int]
    before: Float[Tensor, " values"]
    after: Float[Tensor, "clients values"]


@dataclass(frozen=True)
class Layout:
    """Where each named tensor lies in the flat vector: parameters first, then float buffers.

    Buffers (running statistics of batch norm) travel with the parameters but are no part of an
    update: aggregators measure distances on the ``n_params`` trainable values alone.
    """

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]
    n_params: int

    @property
    def n_values(self) -> int:
        """Length of the flat vector."""
        return sum(shape.numel() for shape in self.shapes)

    def compared(self, features: str) -> slice:
        """Slice of the parameters that a method compares clients by.

        Args:
            features: ``all``, or ``output_layer``, the predictor; parameters end with it, and a
                model without one is compared by all.

        Raises:
            InputError: unless it is one of the two.
        """
        if features not in ("all", "output_layer"):
            raise InputError(f"features: {features!r} is neither all nor output_layer")
        output = [s.start for k, s in self.slices().items() if k.startswith("predictor.")]
        first = min(output, default=0) if features == "output_layer" else 0
        return slice(first, self.n_params)

    def slices(self) -> dict[str, slice]:
        """Slice of the flat vector for each named tensor."""
        slices, start = {}, 0
        for name, shape in zip(self.names, self.shapes, strict=True):
            slices[name] = slice(start, start + shape.numel())
            start += shape.numel()
        return slices


def layout(model: nn.Module) -> Layout:
    """Describe the flat vector of a model."""
    named = _tensors(model)
    return Layout(
        names=tuple(named),
        shapes=tuple(tensor.shape for tensor in named.values()),
        n_params=sum(p.numel() for p in model.parameters()),
    )


def flatten(model: nn.Module) -> Float[Tensor, " values"]:
    """Copy a model's parameters and float buffers into one vector."""
    return torch.cat([_channels_last(t.detach()).reshape(-1) for t in _tensors(model).values()])


def bind(model: nn.Module) -> Float[Tensor, " values"]:
    """Make the model's tensors views of one flat vector.

    Writing to the returned vector then is writing to the model: loading global weights and reading
    an update are each one operation over contiguous memory.

    Kernels lie in the vector with their channels last. Weights of that form make a CPU compute a
    whole network so, also from images of one channel, for which the form of the images alone
    decides nothing: max-pooling takes a seventh of the time.
    """
    named = _tensors(model)
    values = flatten(model)
    where = layout(model).slices()
    for name, tensor in named.items():
        shape = _channels_last(tensor).shape
        tensor.data = _channels_second(values[where[name]].view(shape))
    return values


def seeded(build: Callable[[], Net], seed: int) -> Net:
    """Build a model whose initial weights depend on the seed alone; global state is restored."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def _channels_last(tensor: Tensor) -> Tensor:
    """View of a kernel in the order in which the flat vector holds it; others as they are."""
    return tensor.permute(0, 2, 3, 1) if tensor.ndim == 4 else tensor


def _channels_second(tensor: Tensor) -> Tensor:
    """Undo ``_channels_last``."""
    return tensor.permute(0, 3, 1, 2) if tensor.ndim == 4 else tensor


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters, then float buffers, by name; counters such as num_batches_tracked stay out.

    So do buffers that are not saved: they are constants, which no client learns.
    """
    saved = model.state_dict()
    buffers = {k: b for k, b in model.named_buffers() if b.is_floating_point() and k in saved}
    return dict(model.named_parameters()) | buffers
