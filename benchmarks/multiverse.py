"""Run many readings of FDSD's label-flip column: what moves it, and what luck can do.

Usage: python -m benchmarks.multiverse DATA_ROOT --csv FILE [--readings 60] [--seeds 1 2 3 4 5]
                                       [--shown 6 7 8 9 10]
       python -m benchmarks.multiverse --figure PNG --csv FILE

FDSD's paper leaves most settings of its Table I open. A reading fixes all of them: one option of
each of ``CHOICES``, drawn evenly by a generator that no result has touched. The list is made
before the first run, a longer one begins with the shorter, and reading 0 is the ledger's default.
Of each reading and seed the four defenses of the column are trained on a few thousand images of
MNIST, in this process. Rows that the file has already are not run again. ``--shown`` then takes
the reading that came nearest to the paper's eight numbers, and runs it on seeds that chose nothing:
what is left of a fit once luck cannot help it.

The figure shows FDSD's accuracy and attack success by option, the paper's number as a line, with
the share of the variance that each choice explains by itself (eta squared); and below how many
pairs of reading and seed give the paper's column, by each of three measures, and how many readings
do so on how many seeds. Last, the nearest reading, on the seeds that chose it and on the others.
"""

import argparse
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from fedsieve import exchanges, metrics
from fedsieve.artifacts import write_text
from fedsieve.datasets import mnist
from fedsieve.engine import federation
from fedsieve.engine.holdings import Holdings
from fedsieve.features import extract, predict
from fedsieve.partitions import iid
from fedsieve.poisonings import empty, merge, probes
from fedsieve.ratios import n_malicious
from fedsieve.records import Dataset, Partition, Poisoning, Verdict, View, keeping
from fedsieve.registry import bind
from fedsieve.rng import stream
from fedsieve.rounds import Defense, Federation, Sampling, run, start

N_CLIENTS, COHORT = 10, 8

CHOICES: dict[str, dict[str, Any]] = {
    "share of the class": {"all": 1.0, "half": 0.5, "30 %": 0.3},
    "malicious of 8": {"2": 0.25, "1": 0.125, "4": 0.5},
    "features": {"conv2": "conv2", "conv1": "conv1", "raw": "raw", "penultimate": "penultimate"},
    "warm-up steps": {"60": 60, "20": 20, "200": 200},
    "vote": {"global": "global", "local": "local"},
    "clusters": {"10": 10, "own labels": "own"},
    "seeding": {"client": "client", "farthest": "farthest"},
    "network": {"two pools": 64, "literal": 0},
    "cohorts": {"stratified": True, "uniform": False},
    "images": {"5,000": 5000, "2,500": 2500},
    "rounds": {"5": 5, "10": 10},
    "learning rate": {"0.05": 0.05, "0.01": 0.01},
}
"""Options of each open choice; the first is the ledger's default, but for how long is trained."""

PAPER = {
    "auror": (0.8846, 0.3530),
    "foolsgold": (0.9043, 0.1439),
    "krum": (0.9067, 0.1142),
    "fdsd": (0.9243, 0.0232),
}
"""FDSD, Table I, label flipping: accuracy and attack success."""

NEAR = (0.025, 0.06)
"""How far accuracies and attack successes may lie from the paper's; set before any run."""

RIVALS = {
    "auror": {"use": "auror"},
    "foolsgold": {"use": "foolsgold"},
    "krum": {"use": "krum", "n_malicious": 2},
}

Reading = dict[str, str]
"""The name of an option for each choice."""


def main() -> None:
    """Run the readings, or draw what a file has of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, nargs="?", help="data root, as FEDSIEVE_DATA names it")
    parser.add_argument("--csv", type=Path, required=True, help="rows; those there are stay")
    parser.add_argument("--readings", type=int, default=60)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument(
        "--shown", type=int, nargs="*", default=[], help="seeds for the nearest reading alone"
    )
    parser.add_argument("--figure", type=Path, help="draw the rows into this file, run nothing")
    given = parser.parse_args()
    if given.figure:
        draw(pd.read_csv(given.csv)).savefig(given.figure, dpi=150)
        return
    if given.root is None:
        parser.error("DATA_ROOT is needed to run readings; --figure draws without it")
    torch.set_num_threads(1)
    train, test = mnist.read(given.root)
    done = pd.read_csv(given.csv) if given.csv.exists() else pd.DataFrame()
    for seed in given.seeds:
        for number, reading in enumerate(readings(given.readings)):
            done = added(done, train, test, number, reading, seed, given.csv)
    if given.shown:
        number = nearest(done[done["seed"].isin(given.seeds)])
        for seed in given.shown:
            reading = readings(number + 1)[number]
            done = added(done, train, test, number, reading, seed, given.csv)


def added(
    done: pd.DataFrame,
    train: Dataset,
    test: Dataset,
    number: int,
    reading: Reading,
    seed: int,
    file: Path,
) -> pd.DataFrame:
    """Run a reading on a seed unless its rows are there, and write all rows."""
    if len(done) and ((done["reading"] == number) & (done["seed"] == seed)).any():
        return done
    rows = [{"reading": number, "seed": seed} | row for row in column(train, test, reading, seed)]
    done = pd.concat([done, pd.DataFrame(rows)], ignore_index=True)
    write_text(file, done.to_csv(index=False))
    print(f"reading {number}, seed {seed}: {reading}", flush=True)
    return done


def readings(n: int) -> list[Reading]:
    """The default, and n - 1 others that differ, drawn evenly from all."""
    found = [{choice: next(iter(options)) for choice, options in CHOICES.items()}]
    rng = stream(0, "readings")
    while len(found) < n:
        drawn = {
            choice: list(options)[int(rng.integers(len(options)))]
            for choice, options in CHOICES.items()
        }
        found += [drawn] * (drawn not in found)
    return found


def column(train: Dataset, test: Dataset, reading: Reading, seed: int) -> Iterator[dict[str, Any]]:
    """Train each defense under a reading: its options, accuracy and attack success at the end."""
    chosen = {choice: CHOICES[choice][name] for choice, name in reading.items()}
    data, partition, truth = poisoned(train, chosen, seed)
    everyone = Holdings(
        truth.apply(data),
        test,
        [partition.rows(client) for client in range(N_CLIENTS)],
        frozenset(truth.malicious.tolist()),
    )
    everything = keeping(np.ones(len(data.labels), bool))
    for defense, aggregate in (RIVALS | {"fdsd": {"use": "fedavg"}}).items():
        verdict = sanitized(everyone, chosen, seed) if defense == "fdsd" else everything
        fed = federated(everyone, chosen, aggregate, seed)
        accuracy, asr = trained(fed, verdict, test, chosen)
        scores = metrics.sanitization(verdict.keep, truth, data.labels, partition)
        lost = {"clean_lost": scores["clean_lost"]}
        yield reading | {"defense": defense, "accuracy": accuracy, "asr": asr} | lost


def attack(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The label flip of a reading."""
    share = chosen["share of the class"]
    return {"use": "label_flip", "source": 3, "target": 2, "poison_fraction": share}


def poisoned(
    train: Dataset, chosen: Mapping[str, Any], seed: int
) -> tuple[Dataset, Partition, Poisoning]:
    """Draw images, clients and attackers, and flip labels, by the workflow's streams."""
    rows = stream(seed, "multiverse").permutation(len(train.labels))[: chosen["images"]]
    data = Dataset(train.images[rows], train.labels[rows], train.classes)
    client = iid.assign(data.labels, n_clients=N_CLIENTS, rng=stream(seed, "partition"))
    partition = Partition(client, N_CLIENTS)
    number = n_malicious(chosen["malicious of 8"], N_CLIENTS)
    malicious = np.sort(stream(seed, "malicious").permutation(N_CLIENTS)[:number])
    parts = [
        bind("attacks", attack(chosen), "poison", rng=stream(seed, "poison", c))(
            data, partition.rows(c)
        )
        for c in malicious.tolist()
    ]
    return data, partition, merge(malicious, [empty(data), *parts])


def federated(
    held: Holdings,
    chosen: Mapping[str, Any],
    aggregate: dict[str, Any],
    seed: int,
    steps: int | None = None,
) -> Federation:
    """The federation of a reading; with ``steps``, that of its warm-up, in which all take part."""
    sgd = {"epochs": 1, "batch_size": 32, "momentum": 0.9, "weight_decay": 0}
    task = {
        "model": {"use": "cnn2", "channels": [8, 16], "hidden": chosen["network"]},
        "local": sgd | {"lr": chosen["learning rate"]} | ({"steps": steps} if steps else {}),
    }
    sampling = Sampling(
        COHORT,
        stratified=chosen["cohorts"],
        malicious=held.malicious,
        n_malicious=n_malicious(chosen["malicious of 8"], COHORT),
    )
    return federation.build(
        held,
        task,
        Defense(aggregate),
        Sampling(N_CLIENTS) if steps else sampling,
        seed=int(stream(seed, "warm-up").integers(2**31)) if steps else seed,
        device=torch.device("cpu"),
        workers=1,
    )


def sanitized(held: Holdings, chosen: Mapping[str, Any], seed: int) -> Verdict:
    """FDSD's verdict by the features of a warm-up model, twenty steps a round."""
    fed = federated(held, chosen, {"use": "fedavg"}, seed, steps=20)
    everything = keeping(np.ones(len(held.train.labels), bool))
    for _ in run(fed, start(fed, everything), chosen["warm-up steps"] // 20):
        pass
    deep = chosen["features"] == "penultimate"
    layer = "conv2" if deep and not chosen["network"] else chosen["features"]  # the deepest it has
    seen = extract(fed.model, fed.data.images, layer)
    views = [
        View(client, {layer: seen[rows]}, held.train.labels[rows], len(held.train.classes))
        for client, rows in enumerate(held.rows)
    ]
    spec = {"use": "cluster_majority", "vote": chosen["vote"]}
    spec |= {"n_clusters": chosen["clusters"], "seeding": chosen["seeding"]}
    judged = exchanges.judge(spec, views, seed=seed, before_round=1)
    for rows, part in zip(held.rows, judged.verdicts, strict=True):
        everything.keep[rows] = part.keep
    return everything


def trained(
    fed: Federation, verdict: Verdict, test: Dataset, chosen: Mapping[str, Any]
) -> tuple[float, float]:
    """Accuracy and attack success after the last round."""
    (probe,) = probes(attack(chosen), test).values()
    for _ in run(fed, start(fed, verdict), chosen["rounds"]):
        pass
    said = predict(fed.model, torch.from_numpy(test.images), multi_label=False)
    rate = metrics.success_rate(said[probe.samples], probe.wanted)
    return float(metrics.accuracy(said, test.labels)), float(rate or 0)


def explained(rows: pd.DataFrame, metric: str) -> pd.Series:
    """Share of a metric's variance that the means of a choice's options explain, eta squared."""
    total = ((rows[metric] - rows[metric].mean()) ** 2).sum()
    between = {
        choice: ((rows.groupby(choice)[metric].transform("mean") - rows[metric].mean()) ** 2).sum()
        for choice in CHOICES
    }
    return (pd.Series(between) / total).sort_values(ascending=False)


def gaps(rows: pd.DataFrame) -> np.ndarray:
    """Distance of accuracy and attack success from the paper's, [rows, 2]."""
    paper = np.array([PAPER[defense] for defense in rows["defense"]])
    return np.abs(rows[["accuracy", "asr"]].to_numpy(float) - paper)


def nearest(rows: pd.DataFrame) -> int:
    """The reading whose eight numbers are nearest to the paper's on average over seeds.

    The distance is the mean of the absolute differences; it was set before any run.
    """
    by_reading = rows.assign(gap=gaps(rows).mean(axis=1)).groupby("reading")["gap"].mean()
    return int(by_reading.index[by_reading.argmin()])


def searched(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the seeds on which all readings ran, without those of the nearest alone."""
    n_readings = rows.groupby("seed")["reading"].transform("nunique")
    return rows[n_readings == n_readings.max()]


def luck(rows: pd.DataFrame) -> pd.DataFrame:
    """Of each reading and seed, whether the column is the paper's, by three measures.

    Returns:
        Columns reading, seed; ``order``, FDSD is the most accurate of the four and the attack
        succeeds least against it; ``fdsd``, its two numbers are near; ``column``, all eight are.
    """
    found = []
    for (reading, seed), part in rows.groupby(["reading", "seed"]):
        by = part.set_index("defense")
        near = dict(zip(part["defense"], (gaps(part) <= NEAR).all(axis=1), strict=True))
        others = by.loc[[d for d in PAPER if d != "fdsd"]]
        first = by.loc["fdsd", "accuracy"] > others["accuracy"].max()
        least = by.loc["fdsd", "asr"] < others["asr"].min()
        found.append(
            {
                "reading": reading,
                "seed": seed,
                "order": bool(first and least),
                "fdsd": bool(near["fdsd"]),
                "column": all(near.values()),
            }
        )
    return pd.DataFrame(found)


def draw(rows: pd.DataFrame) -> Figure:
    """Draw FDSD's numbers by option, what luck gives, and the nearest reading."""
    tried = searched(rows)
    fdsd = tried[tried["defense"] == "fdsd"]
    figure = Figure((13, 14), layout="constrained")
    top, middle, bottom, last = figure.subplots(4, 1, height_ratios=[5, 5, 3, 3])
    for ax, metric, paper in (
        (top, "accuracy", PAPER["fdsd"][0]),
        (middle, "asr", PAPER["fdsd"][1]),
    ):
        _draw_options(ax, fdsd, metric, paper)
    _draw_luck(bottom, luck(tried))
    number = nearest(tried)
    chose = rows["seed"].isin(tried["seed"])
    _draw_nearest(last, rows[rows["reading"] == number], chose, number)
    return figure


def _draw_options(ax: Any, rows: pd.DataFrame, metric: str, paper: float) -> None:
    share = explained(rows, metric)
    rng = np.random.default_rng(0)
    ticks, place = [], 0.0
    for choice in share.index:
        for option in CHOICES[choice]:
            values = 100 * rows.loc[rows[choice].astype(str) == option, metric]
            ax.plot(place + rng.uniform(-0.25, 0.25, len(values)), values, ".", ms=3, alpha=0.5)
            ax.hlines(values.mean(), place - 0.35, place + 0.35, "black", lw=1.5)
            ticks.append((place, option))
            place += 1
        center = place - 0.5 - len(CHOICES[choice]) / 2
        name = choice.replace(" ", "\n", 1)
        ax.text(center, 104, f"{name}\n{100 * share[choice]:.0f} %", ha="center", fontsize=8)
        place += 0.8
    ax.axhline(100 * paper, color="crimson", lw=1)
    ax.text(place - 0.8, 100 * paper, "paper", color="crimson", va="bottom", fontsize=8)
    ax.set_xticks(*zip(*ticks, strict=True), rotation=60, ha="right", fontsize=7)
    ax.set_ylim(-2, 120)
    ax.set_yticks(range(0, 101, 20))
    ax.set_ylabel({"accuracy": "FDSD's accuracy (%)", "asr": "attack success (%)"}[metric])


def _draw_luck(ax: Any, found: pd.DataFrame) -> None:
    titles = {
        "order": "FDSD first in both",
        "fdsd": "FDSD's two numbers near",
        "column": "all eight numbers near",
    }
    n_seeds, n = found["seed"].nunique(), found["reading"].nunique()
    for place, (measure, title) in enumerate(titles.items()):
        per_reading = found.groupby("reading")[measure].sum()
        counts = per_reading.value_counts().reindex(range(n_seeds + 1), fill_value=0)
        x = place * (n_seeds + 2) + np.arange(n_seeds + 1)
        ax.bar(x, counts, color="tab:blue")
        for at, count in zip(x, counts, strict=True):
            ax.text(at, count, str(count), ha="center", va="bottom", fontsize=8)
        pairs = int(found[measure].sum())
        ax.text(
            x.mean(), n * 1.12, f"{title}: {pairs} of {len(found)} pairs", ha="center", fontsize=9
        )
    ax.set_xticks(
        [p * (n_seeds + 2) + k for p in range(3) for k in range(n_seeds + 1)],
        [str(k) for _ in range(3) for k in range(n_seeds + 1)],
    )
    ax.set(ylim=(0, n * 1.25), ylabel="readings", xlabel=f"of {n_seeds} seeds, on how many")


def _draw_nearest(ax: Any, rows: pd.DataFrame, chose: pd.Series, number: int) -> None:
    groups = {
        "seeds that chose it": (rows[chose.loc[rows.index]], "none"),
        "seeds that did not": (rows[~chose.loc[rows.index]], "tab:blue"),
    }
    ticks = []
    for place, (metric, defense) in enumerate(itertools.product(("accuracy", "asr"), PAPER)):
        paper = 100 * PAPER[defense][metric == "asr"]
        ax.hlines(paper, place - 0.35, place + 0.35, "crimson", lw=1.5, label="paper")
        for side, (name, (part, fill)) in zip((-0.12, 0.12), groups.items(), strict=True):
            values = 100 * part.loc[part["defense"] == defense, metric]
            x = np.full(len(values), place + side)
            ax.plot(x, values, "o", mfc=fill, mec="tab:blue", ms=5, label=name)
        ticks.append(f"{defense}\n{'accuracy' if metric == 'accuracy' else 'attack success'}")
    ax.set_xticks(range(len(ticks)), ticks, fontsize=8)
    ax.set(ylim=(-2, 104), ylabel="%", title=f"the nearest reading, {number}")
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles[:3], labels[:3], loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


if __name__ == "__main__":
    main()
