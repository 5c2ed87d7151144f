"""What breaks sieve: honest clients that differ, attackers that adapt, lie or are everybody.

Usage: python benchmarks/sieve_limits.py DATA_ROOT [--samples 20000] [--seeds 31 32 33] [--only lie]

Trains on MNIST in this process and prints a line per scenario and seed: share of the poison that
was dropped, of the clean samples at all and at honest clients, accuracy, attack success, and the
flagged clients that are honest. A liar keeps all of its samples, whatever the server says.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import rotate

from fedsieve import exchanges, metrics, registry
from fedsieve.datasets import mnist
from fedsieve.engine import federation
from fedsieve.engine.holdings import Holdings
from fedsieve.features import predict
from fedsieve.partitions import iid
from fedsieve.poisonings import empty, merge
from fedsieve.record_keys import find_all, own_name
from fedsieve.records import Dataset, Message, Partition, Poisoning, Verdict, View, keeping
from fedsieve.rng import stream
from fedsieve.rounds import Defense, Federation, Sampling, ServerState, judge_samples, run, start

N_CLIENTS, COHORT, ROUNDS = 10, 8, 10
FLIP = {"use": "label_flip", "source": 3, "target": 2}
PATCH = {"use": "backdoor", "target": 0}
TASK = {
    "model": {"use": "cnn2"},
    "local": {"epochs": 1, "batch_size": 32, "lr": 0.05, "momentum": 0.9, "weight_decay": 0},
}
DEEP = ("penultimate", "output")
JUDGEMENTS = {1: ("raw", "conv2"), 3: DEEP, 5: DEEP, 7: DEEP, 9: ("output",), 11: ("output",)}

Lie = Callable[[Message, Message], Message]
"""A liar's message, made of what it should send and what it would send of its true labels."""


def hide(message: Message, true: Message) -> Message:
    """Report as if nothing had been poisoned."""
    return true


def frame(message: Message, true: Message) -> Message:
    """Report no sample off label, so that whatever honest clients confuse stands out."""
    alike = {name: np.diag(np.diag(m)) for name, m in true.items() if own_name(name) == "alike"}
    return true | alike


SCENARIOS: dict[str, dict[str, Any]] = {
    **{f"shift {a} degrees": {"malicious": 5, "angle": a} for a in (10, 20, 45, 90)},
    **{
        f"flip {p:g} of the 3s, {m} of 10": {"malicious": m, "attack": FLIP, "fraction": p}
        for m in (3, 8)
        for p in (0.01, 0.02, 0.05, 0.1)
    },
    "patch 0.01, 3 of 10": {"malicious": 3, "attack": PATCH, "fraction": 0.01},
    "lie: hide, 3 of 10": {"malicious": 3, "attack": FLIP, "lie": hide},
    "lie: hide, 8 of 10": {"malicious": 8, "attack": FLIP, "lie": hide},
    "lie: frame, 3 of 10": {"malicious": 3, "attack": FLIP, "lie": frame},
    "lie: frame, 8 of 10": {"malicious": 8, "attack": FLIP, "lie": frame},
    "all malicious, half of the 3s": {"malicious": 10, "attack": FLIP, "fraction": 0.5},
}


def main() -> None:
    """Run the scenarios and print their lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, help="data root, as FEDSIEVE_DATA names it")
    parser.add_argument("--samples", type=int, default=20_000, help="training samples to use")
    parser.add_argument("--seeds", type=int, nargs="+", default=[31, 32, 33])
    parser.add_argument("--only", default="", help="run the scenarios whose name holds this")
    given = parser.parse_args()
    torch.set_num_threads(1)
    train, test = mnist.read(given.root)
    for name in (name for name in SCENARIOS if given.only in name):
        for seed in given.seeds:
            rows = stream(seed, "limits").permutation(len(train.labels))[: given.samples]
            part = Dataset(train.images[rows], train.labels[rows], train.classes)
            print(
                f"{name}, seed {seed}: {scenario(part, test, seed, **SCENARIOS[name])}", flush=True
            )


def scenario(
    train: Dataset,
    test: Dataset,
    seed: int,
    *,
    malicious: int,
    attack: dict[str, Any] | None = None,
    fraction: float | None = None,
    angle: int = 0,
    lie: Lie | None = None,
) -> str:
    """Train under sieve and say what became of the samples and of the model."""
    client = iid.assign(train.labels, n_clients=N_CLIENTS, rng=stream(seed, "partition"))
    held = Partition(client, N_CLIENTS)
    chosen = np.sort(stream(seed, "malicious").permutation(N_CLIENTS)[:malicious])
    spec = (attack or {}) | ({} if fraction is None else {"poison_fraction": fraction})
    truth = _poisoned(train, held, chosen, spec, seed)
    poisoned = truth.apply(_rotated(train, np.isin(client, chosen), angle))
    with _lying(lie, chosen, train, held):
        verdict, fed, judged = _trained(poisoned, test, held, chosen, seed)
    scores = metrics.sanitization(verdict.keep, truth, train.labels, held)
    accuracy = _predicted(fed, test.images) == test.labels
    excess = find_all("excess", judged)[0]
    flagged = np.flatnonzero(excess.any(axis=(1, 2)))
    honest = len(np.setdiff1d(flagged, chosen)) if attack else len(flagged)
    told = [f"{key} {_shown(scores[key])}" for key in ("recall", "clean_lost", "honest_lost")]
    told += [f"accuracy {accuracy.mean():.4f}", f"honest clients flagged at last {honest}"]
    for kind, probe in registry.bind("attacks", spec, "probe")(test).items() if attack else ():
        rate = metrics.success_rate(_predicted(fed, probe.images), probe.wanted)
        told.append(f"asr {kind} {_shown(rate)}")
    return ", ".join(told)


def _poisoned(
    train: Dataset, held: Partition, chosen: np.ndarray, spec: dict[str, Any], seed: int
) -> Poisoning:
    parts = [
        registry.bind("attacks", spec, "poison", rng=stream(seed, "poison", int(c)))(
            train, held.rows(int(c))
        )
        for c in (chosen if spec else ())
    ]
    return merge(chosen, [empty(train), *parts])


def _rotated(train: Dataset, rows: np.ndarray, angle: int) -> Dataset:
    """The data set with some images turned; labels stay, nobody lies."""
    images = train.images.copy()
    if angle:
        images[rows] = rotate(images[rows], angle, axes=(2, 3), reshape=False, order=1)
    return replace(train, images=images)


def _trained(
    data: Dataset, test: Dataset, held: Partition, chosen: np.ndarray, seed: int
) -> tuple[Verdict, Federation, dict[str, np.ndarray]]:
    rows = [held.rows(client) for client in range(N_CLIENTS)]
    everyone = Holdings(data, test, rows, frozenset(chosen.tolist()))
    defense = Defense({"use": "fedavg"}, sanitize={"use": "sieve"}, judgements=JUDGEMENTS)
    fed = federation.build(
        everyone,
        TASK,
        defense,
        Sampling(COHORT),
        seed=seed,
        device=torch.device("cpu"),
        workers=1,
    )
    state: ServerState = start(fed, keeping(np.ones(len(data.labels), bool)))
    for after, _ in run(fed, state, ROUNDS):
        state = after
    verdict, judged = judge_samples(fed, state, ROUNDS + 1)
    return verdict, fed, judged


@contextmanager
def _lying(lie: Lie | None, liars: np.ndarray, train: Dataset, held: Partition) -> Iterator[None]:
    """Let some clients lie to the server, and keep all of their samples."""
    honest_step, honest_decision = exchanges.client_step, exchanges.decide
    memories: dict[int, Message] = {}

    def step(spec: Any, view: View, broadcast: Message, memory: Message, **at: Any) -> Any:
        message, remembered = honest_step(spec, view, broadcast, memory, **at)
        if lie is None or view.client not in liars:
            return message, remembered
        clean = replace(view, labels=train.labels[held.rows(view.client)])
        known = memories.get(view.client, {}) if at["exchange"] else {}
        true, memories[view.client] = honest_step(spec, clean, broadcast, known, **at)
        return lie(message, true), remembered

    def decide(spec: Any, view: View, broadcast: Message, memory: Message, **at: Any) -> Verdict:
        if lie is not None and view.client in liars:
            return keeping(np.ones(len(view.labels), bool))
        return honest_decision(spec, view, broadcast, memory, **at)

    exchanges.client_step, exchanges.decide = step, decide
    try:
        yield
    finally:
        exchanges.client_step, exchanges.decide = honest_step, honest_decision


def _predicted(fed: Federation, images: np.ndarray) -> np.ndarray:
    return predict(fed.model, torch.from_numpy(images), multi_label=False)


def _shown(rate: Any) -> str:
    return "undefined" if rate is None else f"{rate:.4f}"


if __name__ == "__main__":
    main()
