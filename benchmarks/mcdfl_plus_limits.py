"""What mcdfl_plus finds: flips of all, half or a fifth, swaps, several attacks, unlike clients.

Usage: python benchmarks/mcdfl_plus_limits.py RUN --after-round 60 --flips 5-3 0-2 1-9

RUN is the folder of a run without attack under mcdfl_plus, such as
results/cifar/iid-100/seed2/unattacked/ratio0/mcdfl-plus-cifar, whose task keeps snapshots. Its
model judges clients drawn anew, a hundred by default: partition, attackers and poison differ from
draw to draw, the model does not. Prints a line per scenario and share of malicious clients, and
writes a row per draw: F1 of the flags, of images alone (soft), of label counts alone (labhist, a
control), and of finding just the attackers with at least four wrong labels (yardstick, no bound).
"""

import argparse
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from safetensors.torch import load_file

from fedsieve import metrics, registry
from fedsieve.artifacts import read_data
from fedsieve.detectors import mcdfl_plus
from fedsieve.engine.models import initial_model
from fedsieve.features import scores
from fedsieve.record_keys import split_rounds, take_under
from fedsieve.records import Dataset, Screening, View
from fedsieve.rng import stream
from fedsieve.vectors import bind

RATIOS = (0.05, 0.1, 0.2, 0.3, 0.4)
YARDSTICK = 4
PARTS = ("f1", "soft", "labhist", "yardstick")
ALIKE: dict[str, Any] = {"use": "iid"}
UNLIKE: dict[str, Any] = {"use": "dirichlet", "alpha": 1.0}

Flip = tuple[int, int]
Relabel = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]
"""True labels of an attacker, its number among the attackers, and chance -> what it claims."""


def flipped(
    labels: np.ndarray, number: int, rng: np.random.Generator, *, flips: list[Flip], share: float
) -> np.ndarray:
    """Give a share of each source class the target's label."""
    found = labels.copy()
    for source, target in flips:
        own = rng.permutation(np.flatnonzero(labels == source))
        found[own[: round(share * len(own))]] = target
    return found


def in_groups(
    labels: np.ndarray, number: int, rng: np.random.Generator, *, flips: list[Flip]
) -> np.ndarray:
    """Attackers take turns with the flips: each does one."""
    return flipped(labels, number, rng, flips=[flips[number % len(flips)]], share=1.0)


def noisy(labels: np.ndarray, number: int, rng: np.random.Generator, *, share: float) -> np.ndarray:
    """Draw a share of all labels anew, evenly."""
    drawn = rng.random(len(labels)) < share
    return np.where(drawn, rng.integers(labels.max() + 1, size=len(labels)), labels)


def scenarios(flips: list[Flip]) -> dict[str, tuple[dict[str, Any], Relabel]]:
    """Name -> how the data are dealt, and what attackers claim."""
    found: dict[str, tuple[dict[str, Any], Relabel]] = {}
    for share, (source, target) in itertools.product((1.0, 0.5, 0.2), flips):
        own = partial(flipped, flips=[(source, target)], share=share)
        found[f"flip {source} to {target}, {share:.0%}"] = ALIKE, own
    for source, target in flips:
        own = partial(flipped, flips=[(source, target)], share=1.0)
        found[f"flip {source} to {target}, alpha 1"] = UNLIKE, own
    swap = [flips[0], flips[0][::-1]]
    found["swap"] = ALIKE, partial(flipped, flips=swap, share=1.0)
    found["two groups"] = ALIKE, partial(in_groups, flips=flips[:2])
    found["two flips each"] = ALIKE, partial(flipped, flips=flips[:2], share=1.0)
    found["half of all labels random"] = ALIKE, partial(noisy, share=0.5)
    return found


def logits_of(
    run: Path, spec: dict[str, Any], after_round: int, data: Dataset
) -> tuple[np.ndarray, str]:
    """What the run's judge says of every training image, and who that judge is."""
    own = split_rounds(load_file(run / "snapshots.safetensors"))[after_round]
    weights, state = take_under("model", own), take_under("detector", own)
    model = initial_model(spec, data, 0)
    model.load_state_dict(weights)
    values = bind(model.eval())
    judge = mcdfl_plus.judge(values.clone(), state) if state else values.clone()
    told = "global model" if torch.equal(judge, values) else "average of models"
    values.copy_(judge)
    return scores(model, torch.from_numpy(data.images)), told


def screened(logits: np.ndarray, labels: np.ndarray, held: list[np.ndarray]) -> Screening:
    """Let each client report on the labels that it claims, and flag clients."""
    n_classes = logits.shape[1]
    views = (
        View(client, {"logits": logits[own]}, labels[own], n_classes)
        for client, own in enumerate(held)
    )
    return mcdfl_plus.flag([mcdfl_plus.report(view, {}) for view in views], {})


def draw(
    logits: np.ndarray,
    data: Dataset,
    n_clients: int,
    seed: int,
    *,
    partition: dict[str, Any],
    relabel: Relabel,
    ratio: float,
) -> dict[str, Any]:
    """Deal the data, poison them, screen, and score the flags."""
    rng = stream(seed, "partition")
    assign = registry.bind("partitions", partition, "assign", n_clients=n_clients, rng=rng)
    client = assign(data.labels)
    held = [np.flatnonzero(client == number) for number in range(n_clients)]
    malicious = np.sort(
        stream(seed, "malicious").permutation(n_clients)[: round(ratio * n_clients)]
    )
    labels, wrong = data.labels.copy(), []
    for number, attacker in enumerate(malicious):
        own = held[attacker]
        labels[own] = relabel(data.labels[own], number, stream(seed, "poison", int(attacker)))
        wrong.append((labels[own] != data.labels[own]).sum())
    found = screened(logits, labels, held)
    best = malicious[np.array(wrong, int) >= YARDSTICK]
    flags = {
        "f1": np.flatnonzero(~found.benign),
        "soft": np.flatnonzero(found.found["soft"]),
        "labhist": np.flatnonzero(found.found["labhist"]),
        "yardstick": best,
    }
    told = {
        part: metrics.client_detection(one, malicious, n_clients)["f1"]
        for part, one in flags.items()
    }
    false = {
        f"{part}_false": len(np.setdiff1d(one, malicious))
        for part, one in flags.items()
        if part != "yardstick"
    }
    return told | false


def rows(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Run the scenarios, print a line per scenario and share, and yield each draw."""
    root = next(parent for parent in given.run.parents if (parent / "data.npz").is_file())
    spec = yaml.safe_load(given.configfile.read_text(encoding="utf-8"))["tasks"][root.name]["model"]
    data, _ = read_data(root / "data.npz")
    logits, judge = logits_of(given.run, spec, given.after_round, data)
    agreed = (logits.argmax(axis=1) == data.labels).mean()
    print(f"{given.run}, round {given.after_round}: {judge}, {agreed:.1%} of labels agreed")
    flips = [(int(source), int(target)) for source, target in (f.split("-") for f in given.flips)]
    plan = [(f"no attack, {how['use']}", how, flipped, 0.0) for how in (ALIKE, UNLIKE)]
    plan += [
        (name, how, relabel, ratio)
        for name, (how, relabel) in scenarios(flips).items()
        for ratio in given.ratios
    ]
    for name, how, relabel, ratio in plan:
        scenario = {"partition": how, "relabel": relabel, "ratio": ratio}
        drawn = [draw(logits, data, given.clients, seed, **scenario) for seed in given.seeds]
        at = {"scenario": name, "ratio": ratio}
        table = pd.DataFrame(drawn)
        told = [f"{part} {table[part].mean():.3f}" for part in PARTS if table[part].notna().any()]
        told += [f"least {table.f1.min():.3f}"] if ratio else []
        told += [f"false {table.f1_false.sum()}, labhist's {table.labhist_false.sum()}"]
        print(f"{name}, {ratio:.0%}: {', '.join(told)}", flush=True)
        yield from (at | {"seed": s} | one for s, one in zip(given.seeds, drawn, strict=True))


def main() -> None:
    """Run the scenarios, print them and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--after-round", type=int, required=True)
    parser.add_argument("--flips", nargs="+", required=True, help="two or more, as 5-3")
    parser.add_argument("--configfile", type=Path, default=Path("config/mcdfl-quick.yaml"))
    parser.add_argument("--ratios", type=float, nargs="+", default=list(RATIOS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[51, 52, 53])
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--csv", type=Path, required=True, help="written: a row per draw")
    given = parser.parse_args()
    torch.set_num_threads(1)
    pd.DataFrame(rows(given)).to_csv(given.csv, index=False)


if __name__ == "__main__":
    main()
