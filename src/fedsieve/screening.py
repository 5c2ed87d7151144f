"""Screen all clients by a detector: the same in training, and later from a saved model."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from fedsieve import registry
from fedsieve.aggregates import check_state
from fedsieve.checks import check_message, check_screening
from fedsieve.exchanges import size
from fedsieve.features import scores
from fedsieve.local import TrainingData
from fedsieve.records import Message, Screening, View
from fedsieve.rng import stream
from fedsieve.vectors import State, Trained, layout


def screen(
    spec: Mapping[str, Any],
    model: nn.Module,
    values: Float[Tensor, " values"],
    state: State,
    data: TrainingData,
    rows: list[np.ndarray],
    n_classes: int,
) -> tuple[Screening, list[Message]]:
    """Let every client report on its data, and the detector flag clients by what they say.

    The data of all clients go through the judging model in one pass: a pass over each client's
    alone would cost more and tell the same.

    Args:
        spec: The detector and its parameters.
        model: Bound to ``values``, the global model. Its weights are put back afterwards.
        state: What the detector remembers.
        data: The samples of all clients.
        rows: The samples of each client.

    Returns:
        The detector's decision, and each client's report; ``found`` also counts the ``bytes``
        that reports and broadcast took.
    """
    where = registry.file_of("detectors", spec)
    reports: list[Message] = []
    sent = 0
    if (report := function(spec, "report", n_classes=n_classes)) is not None:
        kept = values.clone()
        if (judge := function(spec, "judge")) is not None:
            values.copy_(judge(kept, state))
        teach = function(spec, "broadcast", n_classes=n_classes)
        with torch.inference_mode():
            broadcast = check_message(where, "broadcast", teach(model, state) if teach else {})
        logits, labels = scores(model, data.images), data.labels.cpu().numpy()
        values.copy_(kept)
        for client, own in enumerate(rows):
            view = View(client, {"logits": logits[own]}, labels[own], n_classes)
            reports.append(check_message(where, "report", report(view, broadcast)))
        sent = sum(map(size, reports)) + len(rows) * size(broadcast)
    flag = registry.bind("detectors", spec, "flag", n_classes=n_classes, n_clients=len(rows))
    found = check_screening(where, flag(reports, state), len(rows))
    return Screening(found.benign, found.scores, found.found | {"bytes": np.array(sent)}), reports


def fresh(spec: Mapping[str, Any], model: nn.Module, n_clients: int, seed: int) -> State:
    """What a detector remembers before round one, where the model is."""
    init = function(spec, "init", rng=stream(seed, "detector"))
    state = check_state(
        registry.file_of("detectors", spec), "init", init(n_clients, layout(model)) if init else {}
    )
    device = next(model.parameters()).device
    return {name: tensor.to(device) for name, tensor in state.items()}


def taught(
    spec: Mapping[str, Any],
    model: nn.Module,
    values: Float[Tensor, " values"],
    state: State,
    seed: int,
    lessons: int,
) -> State:
    """What a detector remembers after rounds with the same model, in which nobody trained."""
    nobody = Trained([], values.clone(), values.new_zeros(0, len(values)))
    for lesson in range(lessons):
        learn = function(spec, "learn", rng=stream(seed, "learn", lesson))
        state = learn(model, nobody, state) if learn else state
    return state


def function(spec: Mapping[str, Any], name: str, **supplied: Any) -> Callable[..., Any] | None:
    """A detector's function with its parameters bound; None where it has none of that name."""
    return registry.bind("detectors", spec, name, optional=True, **supplied)
