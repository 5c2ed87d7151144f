"""Extract feature maps of clients from the warm-up model."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from fedsieve import device as devices
from fedsieve.artifacts import write_arrays
from fedsieve.engine.holdings import read_training
from fedsieve.engine.models import trained_model
from fedsieve.features import extract


def features(
    *,
    data: Path,
    clients: Path,
    poisoning: Path,
    encoder: Path,
    model: dict[str, Any],
    layer: str,
    client: list[int],
    view: list[Path],
    device: str = "auto",
) -> None:
    """Write all that a sanitizer may see of clients: features and labels as each client holds them.

    Args:
        data, clients, poisoning: The clients' data.
        encoder: Warm-up weights.
        model: Plug-in and parameters (config ``tasks.*.model``).
        layer: "raw" or a layer of the model's extractor.
        client: Client ids.
        view: Written, a file per client: ``features`` [samples, features] and ``labels``, in the
            order of its rows.
        device: auto, cpu or cuda.
    """
    held = read_training(data, clients, poisoning)
    where = devices.choose(device)
    trained = trained_model(encoder, model, held.train, where)
    for number, path in zip(client, view, strict=True):
        rows = held.rows[number]
        images = torch.from_numpy(held.train.images[rows]).to(where)
        found = extract(trained, images, layer)
        write_arrays(
            path,
            {
                "features": found,
                "labels": held.train.labels[rows],
                "n_classes": np.array(len(held.train.classes)),
            },
        )
        print(f"client {number}: {found.shape[0]} samples, {found.shape[1]} features of {layer}")
