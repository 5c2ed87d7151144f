"""Settings that are sound each by itself, and cannot go together.

Imported by the Snakefile, hence the standard library and jsonschema only.
"""

import math
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fedsieve import annotations, plugin_specs
from fedsieve.registry import near
from fedsieve.schema import Key, Problem, shown

OF_COHORT = {"n_malicious": 1, "n_selected": 0}
"""Parameters of aggregators that number clients of a cohort, and how many must be left over."""


def lone_samples(label: str, task: Mapping[Any, Any]) -> Iterator[Problem]:
    """Yield batches of one sample, of which batch normalization makes nothing."""
    model = task["model"]["use"]
    if task["local"]["batch_size"] == 1 and plugin_specs.declared("models", model, "BATCH_NORM"):
        wrong = f"1 is too few for the batch normalization of {model}"
        yield ("tasks", label, "local", "batch_size"), f"{wrong}; use 2 or more"


def untested(label: str, task: Mapping[Any, Any]) -> Iterator[Problem]:
    """Yield means over more rounds than are tested."""
    tested = math.ceil(task["rounds"] / task.get("tested_every", 1))
    if (last := task.get("last_rounds", 1)) > tested:
        wrong = f"{last} rounds, but {tested} of tasks.{label}.rounds are tested"
        yield ("tasks", label, "last_rounds"), f"{wrong}; use at most {tested}"


def wanting_one_label(config: Mapping[Any, Any]) -> dict[str, str]:
    """What of each task needs one label per sample, the first in words; jobs refuse other data."""
    wanting = reversed([*one_label_only(config)])
    return {label: f"{what} ({shown(key)})" for label, key, what in wanting}


def several_labels(config: Mapping[Any, Any]) -> Iterator[Problem]:
    """Yield what needs one label per sample, and gets data that are known to have several."""
    for label, key, what in one_label_only(config):
        data = config["tasks"].get(label, {}).get("dataset", {})
        always = plugin_specs.declared("datasets", data.get("use"), "MULTI_LABEL")
        if always or data.get("labels") == "multi":
            several = f"{data['use']} has several" if always else "labels: multi asks for several"
            wrong = f"{what} needs one label per sample, and in tasks.{label}.dataset {several}"
            yield key, f"{wrong}; {'drop it' if always else 'drop it, or use labels: single'}"


def beyond_cohort(
    label: str, task: Mapping[Any, Any], defense: str, aggregate: Mapping[Any, Any]
) -> Iterator[Problem]:
    """Yield numbers of a cohort's clients that it does not have."""
    for parameter, left in OF_COHORT.items():
        number, most = aggregate.get(parameter), task["cohort"] - left
        if isinstance(number, int) and number > most:
            cohort = f"a cohort of {task['cohort']} (tasks.{label}.cohort)"
            key = ("defenses", defense, "aggregate", parameter)
            yield key, f"{reprlib.repr(number)} of {cohort}; at most {most}"


def unknown_layers(
    label: str, task: Mapping[Any, Any], key: Key, asked: Iterable[str]
) -> Iterator[Problem]:
    """Yield features that are no layer of a model whose file lists its layers."""
    model = task["model"]["use"]
    if listed := plugin_specs.declared("models", model, "LAYERS"):
        known = ["raw", *listed, "output"]
        for layer in asked:
            if layer not in known:
                where = f"{model} (tasks.{label}.model)"
                yield key, f"{layer!r} is no layer of {where}{near(layer, known)}"


def one_label_only(config: Mapping[Any, Any]) -> Iterator[tuple[str, Key, str]]:
    """Yield what of a completed configuration is made for data with one label per sample.

    Returns:
        The task whose data it gets, the key that asks for it, and what it is.
    """
    for name, grid in config["grids"].items():
        for task in grid["task"]:
            for axis, label, kind, spec in _methods(config, grid):
                if plugin_specs.declared(kind, spec.get("use"), "SINGLE_LABEL"):
                    yield task, ("grids", name, axis), f"{label} ({kind}/{spec['use']}.py)"
    for task, content in config["tasks"].items():
        if content.get("local_accuracy"):
            yield task, ("tasks", task, "local_accuracy"), "testing the clients' own models"


def _methods(
    config: Mapping[Any, Any], grid: Mapping[Any, Any]
) -> Iterator[tuple[str, str, str, Mapping[Any, Any]]]:
    """Yield axis, label, kind and spec of each plug-in of a grid that gets to see labels."""
    attacks, sanitizers = config["attacks"], config["sanitizers"]
    for label in grid["attack"]:
        attack = attacks.get(label, {})
        parts = ((kind, part) for _, kind, part in annotations.nested("attacks", attack))
        for kind, spec in (("attacks", attack), *parts):
            yield "attack", label, kind, spec
    for label in grid["defense"]:
        defense = config["defenses"].get(label, {})
        yield "defense", label, "sanitizers", sanitizers.get(defense.get("sanitize"), {})
        yield "defense", label, "detectors", defense.get("detect", {})
    for label in grid.get("screen", {}).get("detections", []):
        yield "screen", label, "detectors", config["detections"].get(label, {})
