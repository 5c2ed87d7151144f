"""Train the global model of one scenario: federated rounds on poisoned data under a defense."""

import csv
import io
import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from fedsieve import checkpoints, environment, graphs
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
from fedsieve.engine import federation
from fedsieve.engine.holdings import Holdings, read_training
from fedsieve.engine.models import copy_weights
from fedsieve.errors import InputError
from fedsieve.features import predict, scores
from fedsieve.poisonings import probes
from fedsieve.ratios import n_malicious
from fedsieve.records import DIVERGED, keeping, unpredicted
from fedsieve.rehearsal import rehearse
from fedsieve.rng import stream
from fedsieve.rounds import (
    Defense,
    Federation,
    Record,
    Sampling,
    ServerState,
    judge_samples,
    run,
    screen_clients,
    start,
)

UNSAVED = ("own_", "past_")
"""Starts of the names of what is in no snapshot: what clients keep to themselves, and what a
detector has seen of past updates, which can be large and serves training alone."""


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
    screened: Path,
    snapshots: Path,
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
        task: ``model``, ``rounds``, ``cohort``, ``sampling`` and ``local`` SGD (config ``tasks``);
            optionally ``tested_every`` so many rounds, and after the last of them;
            ``snapshots``, the rounds after which to save the server's state; and
            ``local_accuracy``, whether to predict with the clients' models, too.
        attack: Whose success to probe (config ``attacks``).
        defense: ``aggregate`` and optionally ``detect`` (config ``defenses``), which may have
            ``before_rounds``, the rounds before which to screen the clients. The one after the
            last is for the record alone.
        sanitizer: One that works between rounds: ``method`` (plug-in and parameters) and
            ``judgements``, a list of round and layers; {} for one that worked before training.
            A judgement before the round after the last one is for the record alone.
        ratio: Malicious clients / clients.
        seed: Seed of the run.
        code: Digest of the code; a checkpoint of other code is not resumed.
        model: Written: weights after the last round.
        predictions: Written: ``rounds``, those that were tested; ``test`` and ``probe.*``
            [rounds, samples] after them; for multi-label data also ``scores`` [samples, classes]
            of the last model on the test set. With local models, what those that were trained in
            a round made of their clients' samples, ``local`` and ``local_test``, each of an even
            share of the test set; the greatest number of their type, such as 255, for samples of
            other clients.
        clients_log: Written: a row per round and client.
        kept: Written: the last verdict, ``keep`` and ``repaired``; ``sanitized``, whether a
            sanitizer gave it; ``bytes`` exchanged for it; and every judgement between rounds.
        screened: Written: what the detector found, besides scores and flags, before which round.
        snapshots: Written: the global model and what the detector remembers after some rounds.
        record: Written: run.json, with settings, commit, versions, hardware, times and memory.
        device: auto, cpu or cuda.
        workers: Threads that train clients side by side.
        checkpoint_seconds: Least time between two checkpoints.
    """
    made: dict[str, Any] = {"environment": environment.environment(), "started": _now()}
    held = read_training(data, clients, poisoning)
    if task.get("local_accuracy", False) and held.train.multi_label:
        raise InputError("local_accuracy: true needs one label per sample (labels: single)")
    where = devices.choose(device)
    made["cuda_graphs"] = graphs.wanted(where)
    fed = federation.build(
        held,
        task,
        _defense(defense, sanitizer),
        _sampling(task, ratio, held.malicious),
        seed=seed,
        device=where,
        workers=workers,
        cuda_graphs=made["cuda_graphs"],
    )
    rehearse(fed)
    settings = [task, attack, defense, sanitizer, ratio, seed, code, str(where)]
    key = checkpoints.key(settings, [data, clients, poisoning, *keep])
    checkpoint = model.with_suffix(".checkpoint")
    with locked(checkpoint):
        progress = checkpoints.load(checkpoint, key, where) or _beginning(fed, keep)
        watch = _watch(held, attack, where)
        saved = begun = time.monotonic()
        for state, happened in run(fed, progress.state, task["rounds"]):
            predicted = _tested(fed, task, state, happened, watch)
            seconds, begun = time.monotonic() - begun, time.monotonic()
            progress = _extended(progress, state, happened, predicted, seconds, "detect" in defense)
            if state.round in task.get("snapshots", []):
                progress = replace(progress, snapshots=progress.snapshots | _snapshot(fed, state))
            _report(progress, task["rounds"], held.test.labels)
            if time.monotonic() - saved > checkpoint_seconds:
                checkpoints.save(checkpoint, key, progress)
                saved = time.monotonic()
        progress = _screened_at_last(fed, _judged_at_last(fed, progress))
        _write(fed, progress, watch["test"], model, predictions, clients_log)
        _write_verdict(kept, progress, keep, sanitizer)
        write_arrays(screened, _arrays(progress.screened))
        with replacing(snapshots) as partial:
            detector = json.dumps(_detector(defense), sort_keys=True)
            save_file(progress.snapshots, partial, {"detector": detector})
        _write_record(record, progress, settings, where, made)
        checkpoint.unlink(missing_ok=True)


def _defense(defense: dict[str, Any], sanitizer: dict[str, Any]) -> Defense:
    """The defense of a run; a sanitizer counts only if it works between rounds."""
    screenings = defense.get("detect", {}).get("before_rounds")
    return Defense(
        aggregate=defense["aggregate"],
        detect=_detector(defense),
        sanitize=sanitizer.get("method"),
        judgements={number: tuple(layers) for number, layers in sanitizer.get("judgements", [])},
        screenings=None if screenings is None else frozenset(screenings),
    )


def _detector(defense: dict[str, Any]) -> dict[str, Any] | None:
    """The detector itself, without when it screens; None without a detector."""
    if "detect" not in defense:
        return None
    return {key: value for key, value in defense["detect"].items() if key != "before_rounds"}


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


def _watch(held: Holdings, attack: dict[str, Any], where: torch.device) -> dict[str, Tensor]:
    """Images to predict after every round: the test set, and the probes of the attack."""
    asked = probes(attack, held.test)
    images = {"test": held.test.images} | {f"probe.{k}": p.images for k, p in asked.items()}
    return {name: torch.from_numpy(array).to(where) for name, array in images.items()}


def _tested(
    fed: Federation,
    task: dict[str, Any],
    state: ServerState,
    happened: Record,
    watch: dict[str, Tensor],
) -> dict[str, Tensor]:
    """Predictions after a round, [1, samples, ...] each; nothing if this one is not tested."""
    if state.round % task.get("tested_every", 1) and state.round < task["rounds"]:
        return {}
    multi_label = fed.data.labels.ndim == 2
    found = {
        name: torch.from_numpy(predict(fed.model, images, multi_label=multi_label))[None]
        for name, images in watch.items()
    }
    if task.get("local_accuracy", False):
        found |= _tested_locally(fed, state, happened, watch["test"])
    return found | {"rounds": torch.tensor([state.round])}


def _tested_locally(
    fed: Federation, state: ServerState, happened: Record, test: Tensor
) -> dict[str, Tensor]:
    """What each client's model, as it was after local training, says of the client's samples.

    ASSUME: MCDFL spreads the test set evenly over the clients, too (section V-A); here at random.
    """
    share = stream(fed.seed, "test").permutation(np.arange(len(test)) % len(fed.rows))
    local = unpredicted(fed.n_classes, len(fed.data.labels))
    local_test = unpredicted(fed.n_classes, len(test))
    took_part = happened.cohort[happened.n_samples > 0]
    for client, values in zip(took_part, happened.trained, strict=True):
        fed.values.copy_(values)
        own, part = fed.rows[client], np.flatnonzero(share == client)
        local[own] = predict(fed.model, fed.data.images[own], multi_label=False)
        local_test[part] = predict(fed.model, test[part], multi_label=False)
    fed.values.copy_(state.values)
    found = {"local": local, "local_test": local_test}
    return {name: torch.from_numpy(array)[None] for name, array in found.items()}


def _snapshot(fed: Federation, state: ServerState) -> dict[str, Tensor]:
    """The server's state after a round: the global model, and what its detector remembers."""
    memory = {f"detector.{k}": t for k, t in state.detector.items() if not k.startswith(UNSAVED)}
    tensors = {f"model.{k}": t for k, t in copy_weights(fed.model).items()} | memory
    return {f"round{state.round}.{k}": t.cpu().contiguous().clone() for k, t in tensors.items()}


def _extended(
    progress: Progress,
    state: ServerState,
    happened: Record,
    predicted: dict[str, Tensor],
    seconds: float,
    detected: bool,
) -> Progress:
    """Add a round to what is known of the run; ``detected``: whether its defense has a detector."""
    known = progress.predictions
    predictions = {k: torch.cat([known[k], p]) if k in known else p for k, p in predicted.items()}
    note = {
        "seconds": round(seconds, 3),
        "parts": happened.seconds,
        "clients": _client_rows(state.round, happened, detected),
    }
    return replace(
        progress,
        state=state,
        predictions=known | predictions,
        notes=[*progress.notes, note],
        judged=progress.judged | _recorded(state.round, happened.judged),
        screened=progress.screened | _recorded(state.round, happened.screened),
    )


def _recorded(number: int, judged: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """Name a judgement's arrays by the round that it came before.

    Copied, since PyTorch refuses views that run backwards, as some libraries return them.
    """
    found = {name: torch.from_numpy(array.copy()) for name, array in judged.items()}
    return {f"round{number}.{name}": tensor for name, tensor in found.items()}


def _judged_at_last(fed: Federation, progress: Progress) -> Progress:
    """Let the sanitizer judge by the final model, if it is to do so after the last round."""
    number = progress.state.round + 1
    verdict, judged = judge_samples(fed, progress.state, number)
    state = replace(progress.state, verdict=verdict)
    return replace(progress, state=state, judged=progress.judged | _recorded(number, judged))


def _screened_at_last(fed: Federation, progress: Progress) -> Progress:
    """Let the detector judge the final model's evidence, if it is to do so after the last round."""
    number = progress.state.round + 1
    found = None
    if fed.defense.screenings is not None:
        found = screen_clients(fed, progress.state, number)
    if found is None:
        return progress
    content = found.found | {"benign": found.benign, "scores": found.scores}
    return replace(progress, screened=progress.screened | _recorded(number, content))


def _client_rows(number: int, happened: Record, detected: bool) -> list[dict[str, Any]]:
    """A row for each client of the cohort, and for all clients where a detector has a say."""
    place = {int(client): i for i, client in enumerate(happened.cohort)}
    scores = happened.scores
    listed = range(len(happened.benign)) if detected else sorted(place)
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
                "detected": detected,
                "screened": scores is not None,
                "benign": bool(happened.benign[client]),
                "in_domain": happened.in_domain,
            }
        )
    return rows


def _report(progress: Progress, rounds: int, labels: np.ndarray) -> None:
    """Print a line a round: where the run stands and how long it will take."""
    number = progress.state.round
    tested = progress.predictions.get("test")
    rate = "not tested yet"
    if tested is not None:
        rate = f"{(tested[-1].numpy() == labels).mean():.4f}"
        when = int(progress.predictions["rounds"][-1])
        rate += "" if when == number else f" (round {when})"
    pace = np.mean([note["seconds"] for note in progress.notes[-5:]])
    left = f"{pace:.1f} s a round, {pace * (rounds - number):.0f} s left"
    print(f"round {number}/{rounds}: test accuracy {rate}, {left}", flush=True)


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
        save_file(copy_weights(fed.model), partial)
    arrays = _arrays(progress.predictions)
    if fed.data.labels.ndim == 2:
        arrays["scores"] = scores(fed.model, test)
    write_arrays(predictions, arrays, compress=True)
    write_text(clients_log, _table([row for note in progress.notes for row in note["clients"]]))


def _table(rows: list[dict[str, Any]]) -> str:
    """Rows as CSV, unknown values empty; the import of pandas would take longer than all else."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _arrays(tensors: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """Arrays in the order of their names, the same whether the run was interrupted or not."""
    return {name: tensors[name].numpy() for name in sorted(tensors)}


def _write_verdict(
    kept: Path, progress: Progress, keep: list[Path], sanitizer: dict[str, Any]
) -> None:
    """Write what the sanitizer decided, and every judgement on the way."""
    judged = _arrays(progress.judged)
    sent = sum(int(array) for name, array in judged.items() if name.endswith(".bytes"))
    if keep:
        sent = int(read_arrays(keep[0], {"bytes": ("i", 0)})["bytes"])
        judged |= {k: a for k, a in read_arrays(keep[0], None).items() if k == DIVERGED}
    done = {"sanitized": np.array(bool(keep or sanitizer)), "bytes": np.array(sent)}
    write_verdict(kept, progress.state.verdict, **done, **judged)


def _write_record(
    record: Path,
    progress: Progress,
    settings: list[Any],
    where: torch.device,
    made: dict[str, Any],
) -> None:
    """Write what differs between two runs of the same settings: time, memory, versions.

    A job that was killed and resumed has the start of its last part; the seconds are of all parts.
    """
    names = ("task", "attack", "defense", "sanitizer", "ratio", "seed", "code", "device")
    content = {
        "settings": dict(zip(names, settings, strict=True)),
        **made,
        "ended": _now(),
        "torch": {
            "build": torch.__version__,
            "cuda": torch.version.cuda,
            "instructions": torch.backends.cpu.get_cpu_capability(),
        },
        "device": torch.cuda.get_device_name(where) if where.type == "cuda" else "cpu",
        "seconds_per_round": [note["seconds"] for note in progress.notes],
        "seconds_of_parts": [note["parts"] for note in progress.notes],
        "peak_memory_mb": round(environment.peak_memory_mb(), 1),
    }
    write_json(record, content)


def _now() -> str:
    """The time in UTC, to the second, in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
