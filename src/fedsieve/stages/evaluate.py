"""Score one scenario: accuracy, attack success and source recall, sanitizing and detection."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fedsieve import metrics, registry
from fedsieve.artifacts import (
    read_arrays,
    read_data,
    read_json,
    read_partition,
    read_poisoning,
    write_json,
    write_text,
)
from fedsieve.records import Dataset, Probe


def evaluate(
    *,
    data: Path,
    clients: Path,
    poisoning: Path,
    predictions: Path,
    clients_log: Path,
    kept: Path,
    floor: Path,
    attack: dict[str, Any],
    rounds: Path,
    metrics_file: Path,
) -> None:
    """Write the scenario's numbers; all rates are fractions, null where one is undefined.

    Args:
        data, clients, poisoning: The data set, who holds it, and the ground truth.
        predictions: What the global model predicted after every round.
        clients_log: What the defense did with each client in every round.
        kept: The samples trained on in the last round.
        floor: The same attack's success rate on the unattacked model.
        attack: Plug-in and parameters (config ``attacks``).
        rounds: Written: a row per round.
        metrics_file: Written: the numbers after the last round.
    """
    train, test = read_data(data)
    truth, held = read_poisoning(poisoning), read_partition(clients)
    probes = registry.bind("attacks", attack, "probe")(test)
    predicted = read_arrays(predictions, None)
    curve = pd.DataFrame(
        [
            _round({name: rows[number] for name, rows in predicted.items()}, test, probes, attack)
            for number in range(len(predicted["test"]))
        ]
    )
    curve.insert(0, "round", range(1, len(curve) + 1))
    write_text(rounds, curve.to_csv(index=False))
    last = curve.iloc[-1].drop("round").astype(object)
    final = {str(name): rate for name, rate in last.where(last.notna(), None).items()}
    done = read_arrays(kept, {"keep": ("b", 1), "sanitized": ("b", 0), "bytes": ("i", 1)})
    found: dict[str, Any] = {
        **final,
        **read_json(floor),
        **_detection(pd.read_csv(clients_log), truth.malicious),
    }
    if done["sanitized"]:
        found |= _sanitization(metrics.sanitization(done["keep"], truth, train.labels, held))
    write_json(metrics_file, found)


def _round(
    predicted: dict[str, np.ndarray],
    test: Dataset,
    probes: dict[str, Probe],
    attack: dict[str, Any],
) -> dict[str, Any]:
    """Accuracy, success rates and source recall after one round."""
    rates = {
        kind: metrics.success_rate(predicted[f"probe.{kind}"], probe.wanted)
        for kind, probe in probes.items()
    }
    row = {"accuracy": metrics.accuracy(predicted["test"], test.labels)}
    if rates:
        row["asr"] = metrics.attack_success(rates)
    row |= {f"asr.{kind}": rate for kind, rate in rates.items()}
    if "source" in attack:
        recalls = metrics.class_accuracy(predicted["test"], test.labels, len(test.classes))
        row["source_recall"] = recalls[attack["source"]]
    return row


def _sanitization(scores: dict[str, Any]) -> dict[str, Any]:
    """Sanitization scores under the names of the tables."""
    renamed = {name.replace("recall_", "recall."): score for name, score in scores.items()}
    renamed["vanished"] = len(renamed["vanished"])
    return {f"sanitization.{name}": score for name, score in renamed.items()}


def _detection(log: pd.DataFrame, malicious: np.ndarray) -> dict[str, Any]:
    """Score a defense as a detector, over all its decisions about a client in a round.

    A client counts as flagged where the detector bans it or the aggregator gives its update no
    weight; one that a sanitizer left without samples does not.
    """
    ignored = (log["n_samples"] > 0) & (log["weight"] == 0)
    flagged = (log["benign"] == 0) | ignored
    bad = log["client"].isin(malicious)
    scores = metrics.client_detection(np.flatnonzero(flagged), np.flatnonzero(bad), len(log))
    return {f"detection.{name}": score for name, score in scores.items()}
