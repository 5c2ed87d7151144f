"""Train the encoder whose features the clients cluster: a short federated warm-up, undefended."""

from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file

from fedsieve import device as devices
from fedsieve import graphs
from fedsieve.artifacts import replacing
from fedsieve.checks import check_wanted_labels
from fedsieve.engine import federation
from fedsieve.engine.holdings import read_training
from fedsieve.engine.models import copy_weights
from fedsieve.records import keeping
from fedsieve.rng import stream
from fedsieve.rounds import Defense, Sampling, run, start


def warmup(
    *,
    data: Path,
    clients: Path,
    poisoning: Path,
    task: dict[str, Any],
    seed: int,
    encoder: Path,
    label: str = "",
    device: str = "auto",
    workers: int = 1,
) -> None:
    """Write the weights of the warm-up model.

    Its length is counted in local SGD steps, not rounds: once the model has learned a trigger,
    triggered images form a cluster of their own and no label vote can find them.

    Args:
        data, clients, poisoning: The clients' data.
        task: ``model``, ``local`` SGD and ``warmup`` (config ``tasks``).
        seed: Seed of the run.
        encoder: Written: weights.
        label: Of the task, whose methods may need one label per sample.
        device: auto, cpu or cuda.
        workers: Threads that train clients side by side.

    ASSUME: all clients take part in each warm-up round (FDSD, section I: "we first use federated
    learning to project all the data").
    """
    held = read_training(data, clients, poisoning)
    check_wanted_labels(label, held.train)
    where = devices.choose(device)
    fed = federation.build(
        held,
        task | {"local": task["local"] | {"steps": task["warmup"]["steps"]}},
        Defense({"use": "fedavg"}),
        Sampling(cohort=len(held.rows)),
        seed=int(stream(seed, "warm-up").integers(2**31)),
        device=where,
        workers=workers,
        cuda_graphs=graphs.wanted(where),
    )
    everything = keeping(np.ones(len(held.train.labels), bool))
    for state, record in run(fed, start(fed, everything), task["warmup"]["rounds"]):
        print(f"warm-up round {state.round}: mean loss {record.losses.mean():.3f}", flush=True)
    with replacing(encoder) as partial:
        save_file(copy_weights(fed.model), partial)
