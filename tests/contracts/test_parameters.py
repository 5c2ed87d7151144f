"""What every parameter of a plug-in promises: no value of a configuration ends in a traceback."""

import math
import re
import reprlib
import traceback

import pytest
from exercises import exercise
from specs import spec

from fedsieve import annotations, registry
from fedsieve.errors import InputError
from fedsieve.settings import check

FEW = [None, True, 0, 1, -1, 10**30, 0.5, 1e-300, math.nan, "x", "\0", [], [1], [[1]], {}]
"""One of each sort."""

MORE = [
    *(False, 2, 3, 5, -3, 10**9, -(10**30), 10**400),
    *(0.0, -0.0, 1.0, -0.5, 1.5, 1e-9, 1e300, math.inf, -math.inf),
    *("", " ", "own", "auto", "oracle", "none", "1e-3", "0.5", "3", "../x", "ü" * 300),
    *([0], [0.5], [-1], [math.nan], ["x"], [""], [None], [True], [10**30], [1, 2, 3]),
    *([[]], [[0]], [[1], []], [[1], 2], ["a", "a"], [8] * 40, {"a": 1}),
]
"""Of wrong types and sizes, too short and too long. Left out are sizes that are meant, and only
take memory or time, such as a layer of 8192 units."""

KEYS = {
    "datasets": ("tasks", "t", "dataset"),
    "models": ("tasks", "t", "model"),
    "partitions": ("partitions", "p"),
    "attacks": ("attacks", "a"),
    "sanitizers": ("sanitizers", "s"),
    "detectors": ("defenses", "d", "detect"),
    "aggregators": ("defenses", "d", "aggregate"),
}

PARAMETERS = [
    (kind, name, parameter)
    for kind in registry.CONTRACTS
    for name in registry.available(kind)
    for parameter in sorted(
        registry.parameters(registry.find(kind, name), registry.CONTRACTS[kind])[0]
    )
]

pytestmark = pytest.mark.parametrize(
    "asked",
    PARAMETERS,
    ids=["-".join((kind, parameter, name)) for kind, name, parameter in PARAMETERS],
)


def configuration(kind, own):
    """One scenario, in which a plug-in of this kind is the one to try."""
    sgd = {"epochs": 1, "batch_size": 16, "lr": 0.05, "momentum": 0.9, "weight_decay": 0}
    task = {"dataset": {"use": "digits"}, "model": {"use": "cnn2"}, "local": sgd}
    task |= {"rounds": 8, "cohort": 4, "sampling": "uniform", "warmup": {"rounds": 1, "steps": 1}}
    config = {
        "tasks": {"t": task},
        "partitions": {"p": {"use": "iid", "n_clients": 5}},
        "attacks": {"a": {"use": "unattacked"}},
        "sanitizers": {"s": {"use": "cluster_majority", "features": "raw"}},
        "defenses": {"d": {"sanitize": "s", "aggregate": {"use": "fedavg"}}},
    }
    grid = {"task": ["t"], "partition": ["p"], "attack": ["a"], "ratio": [0.4]}
    config["grids"] = {"g": grid | {"defense": ["d"], "seed": [1]}}
    place = config
    for part in KEYS[kind][:-1]:
        place = place[part]
    kept = {
        k: v for k, v in place.get(KEYS[kind][-1], {}).items() if k in ("n_clients", "features")
    }
    place[KEYS[kind][-1]] = kept | own
    return config


def complaint(config):
    try:
        check(config, {})  # without the schema of the workflow's own keys, which takes its time
    except InputError as error:
        return str(error)
    return ""


def names(line, key, parameter):
    """Whether a line of a complaint is about a parameter, or about one that must differ from it."""
    return line.strip().startswith(key) or f" is {parameter} itself" in line


def allowed(kind, name):
    return annotations.schemas(registry.find(kind, name), registry.CONTRACTS[kind])


def test_its_range_can_be_read_without_importing_the_file(asked):
    kind, name, parameter = asked
    assert allowed(kind, name).get(parameter), (
        f"annotate {parameter} with a plain type, or one of fedsieve.ranges"
    )


def test_a_valid_value_of_it_is_accepted(asked):
    kind, name, _ = asked
    assert complaint(configuration(kind, spec(kind, name))) == ""


def tells(said, key, parameter, value):
    """Whether a complaint names the parameter, what it may be, and the number that it is."""
    line = next((part for part in said.splitlines() if names(part, key, parameter)), "")
    what = re.search("must|holds|at most|neither|itself|entries for", line)
    return what and (not isinstance(value, int | float) or reprlib.repr(value) in line)


@pytest.mark.parametrize(
    "values", [pytest.param(FEW, id="few"), pytest.param(MORE, id="more", marks=pytest.mark.slow)]
)
def test_whatever_value_it_gets_is_refused_in_words_or_works(asked, values, tmp_path):
    kind, name, parameter = asked
    key = ".".join((*KEYS[kind], parameter))
    wrong, works = [], []
    for value in values:
        own = spec(kind, name) | {parameter: value}
        if said := complaint(configuration(kind, own)):
            if not tells(said, key, parameter, value):
                wrong.append(f"{reprlib.repr(value)}: {said}")
        elif value not in works:  # 1.0 works as 1 does
            works.append(value)
            try:
                exercise(kind, own, tmp_path)
            except Exception:
                wrong.append(f"{reprlib.repr(value)}: {traceback.format_exc()}")
    assert not wrong, "\n".join(wrong)
