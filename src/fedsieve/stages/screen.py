"""Screen all clients by a saved model: data quality, scores and flags, without training again."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from fedsieve import device as devices
from fedsieve import screening
from fedsieve.artifacts import check_seal, write_arrays
from fedsieve.engine.holdings import read_training
from fedsieve.engine.models import initial_model
from fedsieve.errors import InputError
from fedsieve.local import TrainingData
from fedsieve.record_keys import put_under, split_rounds, take_under
from fedsieve.vectors import bind

LESSONS = 10
"""Times that a detector learns from a model that was not trained with it."""


def screen(
    *,
    data: Path,
    clients: Path,
    poisoning: Path,
    snapshots: Path,
    after_round: int,
    model: dict[str, Any],
    detector: dict[str, Any],
    seed: int,
    screened: Path,
    device: str = "auto",
) -> None:
    """Write what a detector finds by the model that a run had after some round.

    Where the run had the same detector, with the same parameters, its state of that round is used.
    Otherwise a fresh one learns from the model alone: MCDFL then has a trained generator, and
    mcdfl_plus judges by the model itself, not by an average. A detector that looks at updates has
    seen none in either case, and flags nobody.

    Args:
        data, clients, poisoning: The clients' data, which may be others than the model has seen.
        snapshots: Models and states of a run after some rounds.
        after_round: Which of them to take.
        model: Plug-in and parameters (config ``tasks.*.model``).
        detector: Plug-in and parameters (config ``detections``).
        seed: Seed of the run.
        screened: Written: ``benign`` and ``scores`` [clients], ``found.*`` and ``report.*``
            [clients, ...].
        device: auto, cpu or cuda.

    Raises:
        InputError: where the snapshots are broken or hold none of that round.
    """
    held = read_training(data, clients, poisoning)
    where = devices.choose(device)
    net = initial_model(model, held.train, 0).to(where)
    saved, theirs = _saved(snapshots, after_round, where)
    try:
        net.load_state_dict(take_under("model", saved))
    except RuntimeError as error:
        raise InputError(f"{snapshots}: weights of another model: {error}") from error
    values = bind(net.eval())
    state = screening.fresh(detector, net, len(held.rows), seed)
    if theirs == detector:
        state |= take_under("detector", saved)
    else:
        state = screening.taught(detector, net, values, state, seed, LESSONS)
    found, reports = screening.screen(
        detector,
        net,
        values,
        state,
        TrainingData.of(held.train, where),
        held.rows,
        len(held.train.classes),
    )
    told = {
        name: np.stack([message[name] for message in reports])
        for name in (reports[0] if reports else {})
    }
    more = {name: np.asarray(array) for name, array in found.found.items()}
    recorded = put_under("found", more) | put_under("report", told)
    write_arrays(
        screened, {"benign": found.benign, "scores": found.scores, **recorded}, compress=True
    )


def _saved(
    snapshots: Path, after_round: int, where: torch.device
) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    """Tensors of one round's snapshot, ``model.*`` and ``detector.*``, and the run's detector."""
    check_seal(snapshots)
    try:
        with safe_open(snapshots, "pt", device=str(where)) as file:
            rounds = split_rounds({name: name for name in file.keys()})  # noqa: SIM118
            names = rounds.get(after_round, {})
            found = {own: file.get_tensor(name) for own, name in names.items()}
            theirs = json.loads((file.metadata() or {}).get("detector", "null"))
    except (SafetensorError, OSError) as error:
        raise InputError(f"{snapshots}: unreadable: {error}. Delete it and run again.") from error
    if not found:
        remedy = "add it to snapshots: of the task"
        raise InputError(f"{snapshots}: holds no model of round {after_round}; {remedy}")
    return found, theirs
