"""Train the global model of one scenario: federated rounds on poisoned data under a defense."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file
from torch import Tensor

from fedsieve import checkpoints, provenance, registry, setup
from fedsieve import device as devices
from fedsieve.artifacts import (
    locked,
    read_arrays,
    read_verdict,
    replacing,
    write_arrays,
    write_json,
    write_text,
    write_verdict,
)
from fedsieve.checkpoints import Progress
from fedsieve.features import predict, scores
from fedsieve.grids import n_malicious
from fedsieve.records import keeping
from fedsieve.rounds import (
    Defense,
    Federation,
    Record,
    Sampling,
    ServerState,
    judge_samples,
    run,
    start,
)


def train(
    *,
    data: Path,
    clients: Path,
    poisoning: Path,
    keep: list[Path],
    task: dict[str, Any],
    attack: dict[str, Any],
    defense: dict[str, Any],
    sanitizer: dict[str, Any],
    ratio: float,
    seed: int,
    code: str,
    model: Path,
    predictions: Path,
    clients_log: Path,
    kept: Path,
    record: Path,
    device: str = "auto",
    workers: int = 1,
    checkpoint_seconds: float = 10.0,
) -> None:
    """Run federated rounds and write the model, what it predicted, and what the defense did.

    The poison mask serves to build the data, and to fix the number of malicious clients in
    stratified cohorts; no defense gets it. A killed job resumes from its last checkpoint with
    bit-identical results.

    Args:
        data, clients, poisoning: The clients' data.
        keep: The sanitizer's mask if it worked before training, or nothing.
        task: ``model``, ``rounds``, ``cohort``, ``sampling`` and ``local`` SGD (config ``tasks``).
        attack: Whose success to probe (config ``attacks``).
        defense: ``aggregate`` and optionally ``detect`` (config ``defenses``).
        sanitizer: One that works between rounds: ``method`` (plug-in and parameters) and
            ``judgements``, a list of round and layers; {} for one that worked before training.
            A judgement before the round after the last one is for the record alone.
        ratio: Malicious clients / clients.
        seed: Seed of the run.
        code: Digest of the code; a checkpoint of other code is not resumed.
        model: Written: weights after the last round.
        predictions: Written: ``test`` and ``probe.*`` [rounds, samples] after each round; for
            multi-label data also ``scores`` [samples, classes] of the last model on the test set.
        clients_log: Written: a row per round and client.
        kept: Written: the last verdict, ``keep`` and ``repaired``; ``sanitized``, whether a
            sanitizer gave it; ``bytes`` exchanged for it; and every judgement between rounds.
        record: Written: run.json, with versions, seconds and memory.
        device: auto, cpu or cuda.
        workers: Threads that train clients side by side.
        checkpoint_seconds: Least time between two checkpoints.
    """
    held = setup.read_training(data, clients, poisoning)
    where = devices.choose(device)
    fed = setup.federation(
        held,
        task,
        _defense(defense, sanitizer),
        _sampling(task, ratio, held.malicious),
        seed=seed,
        device=where,
        workers=workers,
    )
    settings = [task, attack, defense, sanitizer, ratio, seed, code, str(where)]
    key = checkpoints.key(settings, [data, clients, poisoning, *keep])
    checkpoint = model.with_suffix(".checkpoint")
    with locked(checkpoint):
        progress = checkpoints.load(checkpoint, key, where) or _beginning(fed, keep)
        watch = _watch(held, attack, where)
        saved = begun = time.monotonic()
        for state, happened in run(fed, progress.state, task["rounds"]):
            predicted = _predict(fed, watch)
            seconds, begun = time.monotonic() - begun, time.monotonic()
            progress = _extended(progress, state, happened, predicted, seconds)
            _report(progress, task["rounds"], held.test.labels)
            if time.monotonic() - saved > checkpoint_seconds:
                checkpoints.save(checkpoint, key, progress)
                saved = time.monotonic()
        progress = _judged_at_last(fed, progress)
        _write(fed, progress, watch["test"], model, predictions, clients_log)
        _write_verdict(kept, progress, keep, sanitizer)
        _write_record(record, progress, settings, where)
        checkpoint.unlink(missing_ok=True)


def _defense(defense: dict[str, Any], sanitizer: dict[str, Any]) -> Defense:
    """The defense of a run; a sanitizer counts only if it works between rounds."""
    return Defense(
        aggregate=defense["aggregate"],
        detect=defense.get("detect"),
        sanitize=sanitizer.get("method"),
        judgements={number: tuple(layers) for number, layers in sanitizer.get("judgements", [])},
    )


def _sampling(task: dict[str, Any], ratio: float, malicious: frozenset[int]) -> Sampling:
    return Sampling(
        cohort=task["cohort"],
        stratified=task["sampling"] == "stratified",
        malicious=malicious,
        n_malicious=n_malicious(ratio, task["cohort"]),
    )


def _beginning(fed: Federation, keep: list[Path]) -> Progress:
    n_samples = len(fed.data.labels)
    verdict = read_verdict(keep[0], n_samples) if keep else keeping(np.ones(n_samples, bool))
    return Progress(start(fed, verdict), {}, [])


def _watch(held: setup.Held, attack: dict[str, Any], where: torch.device) -> dict[str, Tensor]:
    """Images to predict after every round: the test set, and the probes of the attack."""
    probes = registry.bind("attacks", attack, "probe")(held.test)
    images = {"test": held.test.images} | {f"probe.{k}": p.images for k, p in probes.items()}
    return {name: torch.from_numpy(array).to(where) for name, array in images.items()}


def _predict(fed: Federation, watch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Predictions of the global model as it is now: [1, samples, ...] each."""
    multi_label = fed.data.labels.ndim == 2
    return {
        name: torch.from_numpy(predict(fed.model, images, multi_label=multi_label))[None]
        for name, images in watch.items()
    }


def _extended(
    progress: Progress,
    state: ServerState,
    happened: Record,
    predicted: dict[str, Tensor],
    seconds: float,
) -> Progress:
    """Add a round to what is known of the run."""
    known = progress.predictions
    predictions = {k: torch.cat([known[k], p]) if k in known else p for k, p in predicted.items()}
    note = {
        "seconds": round(seconds, 3),
        "parts": happened.seconds,
        "clients": _client_rows(state.round, happened),
    }
    judged = progress.judged | _recorded(state.round, happened.judged)
    return Progress(state, predictions, [*progress.notes, note], judged)


def _recorded(number: int, judged: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """Name a judgement's arrays by the round that it came before."""
    return {f"round{number}.{name}": torch.from_numpy(array) for name, array in judged.items()}


def _judged_at_last(fed: Federation, progress: Progress) -> Progress:
    """Let the sanitizer judge by the final model, if it is to do so after the last round."""
    number = progress.state.round + 1
    verdict, judged = judge_samples(fed, progress.state, number)
    state = replace(progress.state, verdict=verdict)
    return replace(progress, state=state, judged=progress.judged | _recorded(number, judged))


def _client_rows(number: int, happened: Record) -> list[dict[str, Any]]:
    """A row for each client of the cohort, and for all clients where a detector scored them."""
    place = {int(client): i for i, client in enumerate(happened.cohort)}
    scores = happened.scores
    listed = sorted(place) if scores is None else range(len(happened.benign))
    rows = []
    for client in listed:
        i = place.get(client)
        rows.append(
            {
                "round": number,
                "client": client,
                "sampled": i is not None,
                "n_samples": 0 if i is None else int(happened.n_samples[i]),
                "weight": 0.0 if i is None else float(happened.weights[i]),
                "loss": None if i is None else float(happened.losses[i]),
                "score": None if scores is None else float(scores[client]),
                "benign": bool(happened.benign[client]),
                "in_domain": happened.in_domain,
            }
        )
    return rows


def _report(progress: Progress, rounds: int, labels: np.ndarray) -> None:
    """Print a line a round: where the run stands and how long it will take."""
    number = progress.state.round
    accuracy = (progress.predictions["test"][-1].numpy() == labels).mean()
    pace = np.mean([note["seconds"] for note in progress.notes[-5:]])
    left = f"{pace:.1f} s a round, {pace * (rounds - number):.0f} s left"
    print(f"round {number}/{rounds}: test accuracy {accuracy:.4f}, {left}", flush=True)


def _write(
    fed: Federation,
    progress: Progress,
    test: Tensor,
    model: Path,
    predictions: Path,
    clients_log: Path,
) -> None:
    """Write everything that depends on the settings alone: the same seed, the same bytes."""
    fed.values.copy_(progress.state.values)
    with replacing(model) as partial:
        save_file(setup.weights(fed.model), partial)
    arrays = {name: tensor.numpy() for name, tensor in progress.predictions.items()}
    if fed.data.labels.ndim == 2:
        arrays["scores"] = scores(fed.model, test)
    write_arrays(predictions, arrays, compress=True)
    rows = [row for note in progress.notes for row in note["clients"]]
    write_text(clients_log, pd.DataFrame(rows).to_csv(index=False))


def _write_verdict(
    kept: Path, progress: Progress, keep: list[Path], sanitizer: dict[str, Any]
) -> None:
    """Write what the sanitizer decided, and every judgement on the way."""
    judged = {name: tensor.numpy() for name, tensor in progress.judged.items()}
    sent = sum(int(array) for name, array in judged.items() if name.endswith(".bytes"))
    if keep:
        sent = int(read_arrays(keep[0], {"bytes": ("i", 0)})["bytes"])
    done = {"sanitized": np.array(bool(keep or sanitizer)), "bytes": np.array(sent)}
    write_verdict(kept, progress.state.verdict, **done, **judged)


def _write_record(
    record: Path, progress: Progress, settings: list[Any], where: torch.device
) -> None:
    """Write what differs between two runs of the same settings: time, memory, versions."""
    names = ("task", "attack", "defense", "sanitizer", "ratio", "seed", "code", "device")
    content = {
        "settings": dict(zip(names, settings, strict=True)),
        "environment": provenance.environment(),
        "device": torch.cuda.get_device_name(where) if where.type == "cuda" else "cpu",
        "seconds_per_round": [note["seconds"] for note in progress.notes],
        "seconds_of_parts": [note["parts"] for note in progress.notes],
        "peak_memory_mb": round(provenance.peak_memory_mb(), 1),
    }
    write_json(record, content)
