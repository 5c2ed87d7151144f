"""Put a federation together from artifacts and settings: what warm-up and training share."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fedsieve import graphs, registry, rounds
from fedsieve.artifacts import check_seal, read_data, read_partition, read_poisoning
from fedsieve.errors import InputError
from fedsieve.local import Sgd, TrainingData, train_client
from fedsieve.records import Dataset
from fedsieve.rng import stream
from fedsieve.vectors import bind, seeded


@dataclass(frozen=True)
class Held:
    """The clients' data as they hold them, poison included, and the clean test set."""

    train: Dataset
    test: Dataset
    rows: list[np.ndarray]
    malicious: frozenset[int]
    """Ground truth; for stratified sampling alone."""


def read_training(data: Path, clients: Path, poisoning: Path) -> Held:
    """Read the training set, poison it, and list each client's samples."""
    train, test = read_data(data)
    truth = read_poisoning(poisoning)
    held = read_partition(clients)
    rows = [held.rows(client) for client in range(held.n_clients)]
    return Held(truth.apply(train), test, rows, frozenset(truth.malicious.tolist()))


def federation(
    held: Held,
    task: dict[str, Any],
    defense: rounds.Defense,
    sampling: rounds.Sampling,
    *,
    seed: int,
    device: torch.device,
    workers: int,
    cuda_graphs: bool = False,
) -> rounds.Federation:
    """Build the federation of a task (config ``tasks``).

    Raises:
        InputError: where nobody has enough samples for a step, or the model cannot train on a
            batch of one.
    """
    _check_batches(held, task)
    return rounds.federation(
        partial(initial_model, task["model"], held.train, seed),
        TrainingData.of(held.train, device),
        held.rows,
        sampling=sampling,
        sgd=Sgd(**task["local"]),
        defense=defense,
        seed=seed,
        workers=workers if device.type == "cpu" else 1,
        n_classes=len(held.train.classes),
        train=graphs.recorder(graphs.captured) if cuda_graphs else train_client,
    )


def _check_batches(held: Held, task: dict[str, Any]) -> None:
    size, most = task["local"]["batch_size"], max(map(len, held.rows))
    if most < 2 <= size:  # ``local.batches`` leaves out a batch of one
        raise InputError(
            f"local.batch_size: {size}, but no client has more than one sample and a batch of one "
            "is left out: nobody would train; use fewer clients or more samples"
        )
    layers = initial_model(task["model"], held.train, 0).modules() if size == 1 else ()
    if any(isinstance(layer, _BatchNorm) for layer in layers):
        raise InputError(
            f"local.batch_size: 1 is too few for the batch normalization of "
            f"{task['model']['use']}; use 2 or more"
        )


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


def weights(model: nn.Module) -> dict[str, Tensor]:
    """A model's tensors, each with memory of its own, as safetensors wants them."""
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }
