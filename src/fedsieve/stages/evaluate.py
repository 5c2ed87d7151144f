"""Score one scenario: accuracy, attack success and source recall, sanitizing and detection."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fedsieve import metrics
from fedsieve.artifacts import (
    read_arrays,
    read_data,
    read_json,
    read_partition,
    read_poisoning,
    read_verdict,
    write_json,
    write_text,
)
from fedsieve.poisonings import poisoners, probes, with_parts
from fedsieve.record_keys import find_all
from fedsieve.records import DIVERGED, Dataset, Labels, Probe, is_predicted
from fedsieve.tidy import read_table
from fedsieve.trust import ignored

MOST = 0.5
"""Success of a probe without any attack beyond which its success says little of one."""


def evaluate(
    *,
    data: Path,
    clients: Path,
    poisoning: Path,
    predictions: Path,
    clients_log: Path,
    kept: Path,
    screened: Path,
    floor: Path,
    attack: dict[str, Any],
    last_rounds: int,
    rounds: Path,
    metrics_file: Path,
) -> None:
    """Write the scenario's numbers; all rates are fractions, null where one is undefined.

    ``diverged`` is the share of rounds in which no client's loss was a finite number, 1 where a
    sanitizer met a network that had diverged, and judged nothing.

    ``accuracy_lost`` and ``asr_excess`` are differences to the run without attack and defense of
    the same seed, so that their interval over seeds is a paired one. Multi-label data also have
    ``auc``, the final model's macro AUC, and ``accuracy_trivial``: what answering no to every label
    scores, 87.5 % where each image has one of eight, and without which accuracy says little; where
    most images carry some label, ``accuracy_majority``, what answering yes to such labels scores.

    Malicious clients that poisoned nothing count as honest. What a run cannot measure is null, and
    a number that says why is there, as in no other run (``metrics.mark_shortcomings``,
    ``_clean_fails``).

    Args:
        data, clients, poisoning: The data set, who holds it, and the ground truth.
        predictions: What the global model predicted after every round.
        clients_log: What the defense did with each client in every round; for each round of
            ``rounds`` it is scored, too: ``detection.*`` as at the end, of the flags alone.
        kept: The sanitizer's last verdict on the samples, if there is a sanitizer.
        screened: What a detector found, with its flags after the last round if it screened then.
        floor: The same attack's success rate on the unattacked model.
        attack: Plug-in and parameters (config ``attacks``).
        last_rounds: Number of rounds at the end whose mean is reported (config ``tasks``).
        rounds: Written: a row per round.
        metrics_file: Written: the numbers at the end.
    """
    train, test = read_data(data)
    truth, held = read_poisoning(poisoning), read_partition(clients)
    asked = probes(attack, test)
    bad = poisoners(truth, held)
    predicted = read_arrays(predictions, None)
    said = predicted.pop("scores", None)
    numbers = predicted.pop("rounds")
    shown = Shown(truth.apply(train).labels, train.labels, test)
    log = read_table(clients_log)
    took_part = _took_part(log, bad)
    measured = metrics.measurable(truth, asked, took_part=took_part)
    curve = pd.DataFrame(
        [
            _round(
                {name: rows[i] for name, rows in predicted.items()}, shown, asked, measured, attack
            )
            for i in range(len(numbers))
        ]
    )
    curve.insert(0, "round", numbers)
    last = curve.tail(last_rounds).mean().drop("round").astype(object)
    flagging = _flagging(log, bad, truth.malicious)
    write_text(rounds, curve.merge(flagging, "left", on="round").to_csv(index=False))
    final = {str(name): rate for name, rate in last.where(last.notna(), None).items()}
    clean = read_json(floor)
    found = {**final, **clean, **_differences(final, clean)}
    if said is not None:
        found["auc"] = metrics.macro_auc(said, test.labels)
        nothing = np.zeros_like(test.labels)
        found["accuracy_trivial"] = metrics.accuracy(nothing, test.labels)
        if (frequent := train.labels.mean(axis=0) > 0.5).any():
            found["accuracy_majority"] = metrics.accuracy(nothing + frequent, test.labels)
    last_flags = read_arrays(screened, None, finite=False)
    found |= _detection(log, bad)
    found["malicious_per_cohort"] = _malicious_per_cohort(log, truth.malicious)
    found |= _screening(flagging, last_flags, bad)
    found |= metrics.mark_shortcomings(truth, held, asked, took_part=took_part)
    found |= _clean_fails(clean, test)
    done = read_arrays(kept, {"sanitized": ("b", 0), "bytes": ("i", 0)})
    if find_all(DIVERGED, read_arrays(kept, None, finite=False)):
        found["diverged"] = 1.0
    if done["sanitized"]:
        verdict = read_verdict(kept, len(train.labels))
        scores = metrics.sanitization(verdict.keep, truth, train.labels, held)
        scores |= metrics.repair(verdict.repaired, train.labels)
        found |= _sanitization(scores, int(done["bytes"]))
    write_json(metrics_file, found)


@dataclass(frozen=True)
class Shown:
    """What predictions are compared with: the clients' labels as they have them and as they are."""

    held: Labels
    true: Labels
    test: Dataset


def _took_part(log: pd.DataFrame, bad: np.ndarray) -> bool:
    """Whether the server drew some attacker for some round, or a detector kept it from being so."""
    attackers = log[log["client"].isin(bad)]
    return bool((attackers["sampled"].astype(bool) | (attackers["benign"] == 0)).any())


def _clean_fails(clean: dict[str, Any], test: Dataset) -> dict[str, float]:
    """``clean_fails``: 1 where the model trained without attack and defense fails by itself.

    It gives most images of a probe the class that the attacker wants, or is no better than one
    that names the most frequent class every time. Nothing where it does not, or nobody attacks.
    """
    lost = [rate for name, rate in clean.items() if name.startswith("asr_floor")]
    if not lost:
        return {}
    given_away = any(rate is not None and rate > MOST for rate in lost)
    idle = not test.multi_label and clean["accuracy_unattacked"] <= _most_frequent(test)
    return {"clean_fails": 1.0} if given_away or idle else {}


def _most_frequent(test: Dataset) -> float:
    """Share of the most frequent class."""
    return float(np.bincount(test.labels).max() / len(test.labels))


def _round(
    predicted: dict[str, np.ndarray],
    shown: Shown,
    probes: dict[str, Probe],
    measured: frozenset[str],
    attack: dict[str, Any],
) -> dict[str, Any]:
    """Accuracy, success rates and source recall after one round."""
    test = shown.test
    rates = {
        kind: metrics.success_rate(predicted[f"probe.{kind}"], probe.wanted)
        if kind in measured
        else None
        for kind, probe in probes.items()
    }
    row = {"accuracy": metrics.accuracy(predicted["test"], test.labels)}
    if rates:
        row["asr"] = metrics.attack_success(rates)
    row |= {f"asr.{kind}": rate for kind, rate in rates.items()}
    source = _source(attack)
    if source is not None and source in range(len(test.classes)):
        recalls = metrics.class_accuracy(predicted["test"], test.labels, len(test.classes))
        row["source_recall"] = recalls[source]
    if "local" in predicted:
        row |= _local(predicted["local"], predicted["local_test"], shown)
    return row


def _source(attack: dict[str, Any]) -> int | None:
    """The class that an attack, or the first of its parts that names one, calls its source."""
    named = (spec.get("source") for spec in with_parts(attack))
    return next((source for source in named if isinstance(source, int)), None)  # or anything else


def _local(own: np.ndarray, other: np.ndarray, shown: Shown) -> dict[str, Any]:
    """Accuracy of a round's local models, on the labels that their clients have and on the true.

    ASSUME: the mean over all samples that were predicted; MCDFL's Figures 5 and 6 show the mean
    over 10 clients of the same size, which is the same.
    """
    seen, tested = is_predicted(own), is_predicted(other)
    return {
        "local_train": metrics.accuracy(own[seen], shown.held[seen]),
        "local_train_clean": metrics.accuracy(own[seen], shown.true[seen]),
        "local_test": metrics.accuracy(other[tested], shown.test.labels[tested]),
    }


def _differences(final: dict[str, Any], clean: dict[str, Any]) -> dict[str, Any]:
    """What an attack achieves under this defense: accuracy lost, success above its floor.

    None where its success is, as far as the floor is known.
    """
    found = {"accuracy_lost": clean["accuracy_unattacked"] - final["accuracy"]}
    for name, low in clean.items():
        if name.startswith("asr_floor") and low is not None:
            kind = name.removeprefix("asr_floor")
            rate = final[f"asr{kind}"]
            found[f"asr_excess{kind}"] = None if rate is None else rate - low
    return found


def _malicious_per_cohort(log: pd.DataFrame, malicious: np.ndarray) -> int | None:
    """Malicious clients whose updates an aggregator got in each round; None where that varies.

    A defense that assumes this number is as well off as one that is told it, but only if it is the
    same in every round: of a number that varies the mean is right in few of them.
    """
    counted = log["client"].isin(malicious) & (log["n_samples"] > 0)
    numbers = counted.groupby(log["round"]).sum().unique()
    return int(numbers[0]) if len(numbers) == 1 else None


def _sanitization(scores: dict[str, Any], sent: int) -> dict[str, Any]:
    """Scores of a sanitizer, and the megabytes that it sent, under the names of the tables."""
    renamed = {name.replace("recall_", "recall."): score for name, score in scores.items()}
    renamed["vanished"] = len(renamed["vanished"])
    renamed["megabytes"] = sent / 1e6
    return {f"sanitization.{name}": score for name, score in renamed.items()}


def _flagging(log: pd.DataFrame, bad: np.ndarray, malicious: np.ndarray) -> pd.DataFrame:
    """Score the detector's flags in each round; nothing but the round's number without a detector.

    Args:
        bad: Clients to find, those that poisoned something.
        malicious: Clients whose share of the cohort is ``malicious_share``.
    """
    rows = []
    for number, part in log.groupby("round"):
        row: dict[str, Any] = {"round": number}
        if part["detected"].any():
            flagged, wanted = (
                np.flatnonzero(mask) for mask in (part["benign"] == 0, part["client"].isin(bad))
            )
            scores = metrics.client_detection(flagged, wanted, len(part))
            row |= {f"detection.{name}": score for name, score in scores.items()}
        sampled = part["sampled"].astype(bool)
        share = part.loc[sampled, "client"].isin(malicious).mean()
        row["malicious_share"] = share if sampled.any() else None
        rows.append(row)
    return pd.DataFrame(rows)


def _screening(
    flagging: pd.DataFrame, last: dict[str, np.ndarray], malicious: np.ndarray
) -> dict[str, Any]:
    """Scores of a detector's flags at the end; nothing for a defense without a detector.

    Those by the final model if it screened after the last round, else those that held in it.
    ``inverted`` is whether it then bans benign clients more readily than malicious ones.
    """
    if final := find_all("benign", last):
        scores = metrics.client_detection(np.flatnonzero(~final[0]), malicious, len(final[0]))
    else:
        row, prefix = flagging.iloc[-1].astype(object), "detection."
        found = {str(k).removeprefix(prefix): v for k, v in row.items() if prefix in str(k)}
        scores = {name: None if pd.isna(score) else score for name, score in found.items()}
    recall, false = (scores.get(name) for name in ("recall", "false_positive_rate"))
    if recall is not None and false is not None:
        scores["inverted"] = float(recall < false)
    return {f"screening.{name}": score for name, score in scores.items()}


def _detection(log: pd.DataFrame, malicious: np.ndarray) -> dict[str, Any]:
    """Score a defense as a detector, over all its decisions about a client in a round.

    A client counts as flagged where the detector bans it, or where the aggregator gives its update
    less than half of an even share of its round and less than half of its share by samples; one
    that a sanitizer left without samples does not.
    ``outside_domain`` is the share of rounds in which the aggregator's conditions did not hold;
    ``diverged`` that in which no client's loss was a finite number.
    """
    flagged = (log["benign"] == 0) | ignored(log)
    bad = log["client"].isin(malicious)
    scores = metrics.client_detection(np.flatnonzero(flagged), np.flatnonzero(bad), len(log))
    outside = 1 - log.groupby("round")["in_domain"].first().mean()
    trained = log[log["n_samples"] > 0]
    learned = np.isfinite(trained["loss"]).groupby(trained["round"]).any()
    return {f"detection.{name}": score for name, score in scores.items()} | {
        "outside_domain": float(outside),
        "diverged": float(1 - learned.mean()) if len(learned) else 0.0,
    }
