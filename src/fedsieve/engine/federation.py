"""Put a federation together from settings and holdings: what warm-up and training share."""

from functools import partial
from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from fedsieve import graphs, rounds
from fedsieve.engine.holdings import Holdings
from fedsieve.engine.models import initial_model
from fedsieve.errors import InputError
from fedsieve.local import Sgd, TrainingData, train_client


def build(
    held: Holdings,
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
    return rounds.assemble(
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


def _check_batches(held: Holdings, task: dict[str, Any]) -> None:
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
