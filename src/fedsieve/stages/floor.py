"""Measure an attack's success rate, and the accuracy, on a model trained without the attack."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from fedsieve import device as devices
from fedsieve import metrics
from fedsieve.artifacts import read_arrays, read_data, write_json
from fedsieve.engine.models import trained_model
from fedsieve.features import predict
from fedsieve.poisonings import probes


def floor(
    *,
    data: Path,
    weights: Path,
    predictions: Path,
    last_rounds: int,
    attack: dict[str, Any],
    model: dict[str, Any],
    floor: Path,
    device: str = "auto",
) -> None:
    """Write what an attack's probe shows where nobody attacked: below it no defense can get.

    Args:
        data: The data set.
        weights: The undefended model of the unattacked run, after its last round.
        predictions: What that run predicted after every round.
        last_rounds: Number of rounds at the end whose mean accuracy counts (config ``tasks``).
        attack: Plug-in and parameters (config ``attacks``).
        model: Plug-in and parameters (config ``tasks.*.model``).
        floor: Written: ``accuracy_unattacked``, ``asr_floor`` and ``asr_floor.<kind>``.
        device: auto, cpu or cuda.
    """
    train, test = read_data(data)
    where = devices.choose(device)
    clean = trained_model(weights, model, train, where)
    asked = probes(attack, test)

    def predicted(images: np.ndarray) -> np.ndarray:
        return predict(clean, torch.from_numpy(images).to(where), multi_label=test.multi_label)

    rates = {k: metrics.success_rate(predicted(p.images), p.wanted) for k, p in asked.items()}
    last = read_arrays(predictions, None)["test"][-last_rounds:]
    found: dict[str, float | None] = {
        "accuracy_unattacked": float(np.mean([metrics.accuracy(p, test.labels) for p in last]))
    }
    if rates:
        found["asr_floor"] = metrics.attack_success(rates)
    write_json(floor, found | {f"asr_floor.{kind}": rate for kind, rate in rates.items()})
