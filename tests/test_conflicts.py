"""Settings of which each is sound and no run can make sense of all: refused before any job."""

import copy
from pathlib import Path

import pytest
import yaml

from fedsieve.conflicts import wanting_one_label
from fedsieve.errors import InputError
from fedsieve.settings import check, complete

ROOT = Path(__file__).parents[1]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"))
DEMO = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))


def changed(**changes):
    """The demo's configuration with some keys set, such as ``tasks__digits__rounds=3``."""
    config = copy.deepcopy(DEMO)
    for path, value in changes.items():
        *parents, last = [part.replace("_to_", "-") for part in path.split("__")]
        node = config
        for parent in parents:
            node = node[parent]
        node[last] = value
    return config


def problems(config):
    with pytest.raises(InputError) as caught:
        check(config, SCHEMA)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


SAME = {"use": "label_flip", "source": 3, "target": 3}
PATCH_NOTHING = {"use": "backdoor", "poison_fraction": 0}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"tasks__digits__local__batch_size": 1, "tasks__digits__model": {"use": "resnet18"}},
            "tasks.digits.local.batch_size: 1 is too few for the batch normalization of resnet18; "
            "use 2 or more",
        ),
        (
            {"tasks__digits__max_samples": 4},
            "tasks.digits.max_samples: 4 samples for the 4 clients of partitions.iid-4.n_clients, "
            "and a batch of one is left out: nobody would train; use more",
        ),
        (
            {"tasks__digits__last_rounds": 9},
            "tasks.digits.last_rounds: 9 rounds, but 8 of tasks.digits.rounds are tested; "
            "use at most 8",
        ),
        (
            {"tasks__digits__last_rounds": 4, "tasks__digits__tested_every": 3},  # 3, 6 and 8
            "tasks.digits.last_rounds: 4 rounds, but 3 of tasks.digits.rounds are tested; "
            "use at most 3",
        ),
        (
            {"defenses__krum__aggregate__n_malicious": 4},
            "defenses.krum.aggregate.n_malicious: 4 of a cohort of 4 (tasks.digits.cohort); "
            "at most 3",
        ),
        (
            {
                "defenses__krum__aggregate": {
                    "use": "multi_krum",
                    "n_malicious": 1,
                    "n_selected": 5,
                }
            },
            "defenses.krum.aggregate.n_selected: 5 of a cohort of 4 (tasks.digits.cohort); "
            "at most 4",
        ),
        (
            {"attacks__hybrid__target": 3},
            "attacks.hybrid.target: 3 is source itself; choose another",
        ),
        (
            {"attacks__hybrid": {"use": "hybrid", "parts": [{"use": "label_flip", "sorce": 3}]}},
            "attacks.hybrid.parts[0].sorce: unknown parameter of label_flip (did you mean "
            "'source'?); known here: poison_fraction, source, target",
        ),
        (
            {"attacks__hybrid": {"use": "hybrid", "parts": [{"use": "backdoor", "size": 0}]}},
            "attacks.hybrid.parts[0].size: must be a whole number >= 1 and <= 1000000000, not 0",
        ),
        (
            {"attacks__hybrid": {"use": "hybrid", "parts": [SAME]}},
            "attacks.hybrid.parts[0].target: 3 is source itself; choose another",
        ),
        (
            {"attacks__hybrid": {"use": "hybrid", "parts": [{"use": "backdor"}]}},
            "attacks.hybrid.parts[0].use: there is no src/fedsieve/attacks/backdor.py (did you "
            "mean 'backdoor'?); known here: backdoor, hybrid, label_flip, random_flip, unattacked",
        ),
        (
            {"attacks__hybrid": {"use": "hybrid", "parts": [{"size": 2}]}},
            "attacks.hybrid.parts[0].use: is missing",
        ),
        (
            {"attacks__hybrid": {"use": "hybrid", "parts": [{"use": "backdoor"}], "source": 3}},
            "attacks.hybrid.parts: must stand alone: drop parts, or source",
        ),
        (
            {"attacks__hybrid": {"use": "hybrid", "source": 3}},
            "attacks.hybrid.target: must be given where there are no parts",
        ),
        (
            {"attacks__hybrid": {"use": "hybrid", "parts": [PATCH_NOTHING]}},
            "attacks.hybrid.parts[0].poison_fraction: must be above 0, not 0, which poisons "
            "nothing; drop the part",
        ),
        (
            {"sanitizers__fdsd__features": "conv9"},
            "sanitizers.fdsd.features: 'conv9' is no layer of cnn2 (tasks.digits.model) "
            "(did you mean 'conv2'?); known here: raw, conv1, conv2, penultimate, output",
        ),
        (
            {"sanitizers__sieve__tau": [0.1] * 6},
            "sanitizers.sieve.tau: has 6 entries for 5 judgements (before_rounds); "
            "drop some or add rounds",
        ),
        (
            {"sanitizers__sieve__before_rounds": [1, 5, 3, 7, 9]},
            "sanitizers.sieve.before_rounds: must ascend: write [1, 3, 5, 7, 9]",
        ),
        (
            {"tasks__digits__model__channels": [8, 16, 32]},
            "tasks.digits.model.channels: must be a list of 2 entries, each entry a whole number "
            ">= 1 and <= 8192, not [8, 16, 32]",
        ),
        (
            {"tasks__digits__model": {"use": "cnn_bn", "blocks": []}},
            "tasks.digits.model.blocks: must not be empty",
        ),
        (
            {"tasks__digits__model": {"use": "cnn_bn", "blocks": [[8], []]}},
            "tasks.digits.model.blocks[1]: must not be empty",
        ),
        (
            {"sanitizers__fdsd__n_clusters": -3},
            "sanitizers.fdsd.n_clusters: must be a whole number >= 1 and <= 8192 or own, not -3",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_key_value_and_range(changes, said):
    assert said in problems(changed(**changes))


def test_a_batch_of_one_trains_a_network_without_batch_normalization():
    check(changed(tasks__digits__local__batch_size=1), SCHEMA)


ONE_LABEL = {
    "attack": ({"attacks__hybrid": {"use": "mine"}}, "hybrid (attacks/mine.py)"),
    "part": (
        {"attacks__hybrid": {"use": "hybrid", "parts": [{"use": "mine"}]}},
        "hybrid (attacks/mine.py)",
    ),
    "defense": ({}, "fdsd (sanitizers/cluster_majority.py)"),
    "detector": (
        {"defenses__krum__detect": {"use": "rowmix"}},
        "krum (detectors/rowmix.py)",
    ),
}


@pytest.mark.parametrize("kind", ONE_LABEL)
@pytest.mark.parametrize("dataset", [{"use": "chestmnist"}, {"use": "npz", "file": "mine.npz"}])
def test_methods_for_one_label_are_refused_on_data_that_are_said_to_have_several(
    kind, dataset, plugin
):
    source = "def poison(data, rows, *, rng): ...\ndef probe(test): ...\nSINGLE_LABEL = True\n"
    plugin("attacks", "mine", source)
    changes, what = ONE_LABEL[kind]
    several = dataset | {"labels": "multi"}
    found = problems(changed(tasks__digits__dataset=several, **changes))
    (line,) = [line for line in found if what in line]
    axis = "attack" if kind in ("attack", "part") else "defense"
    assert line == (
        f"grids.demo.{axis}: {what} needs one label per sample, "
        "and in tasks.digits.dataset labels: multi asks for several; drop it, or use labels: single"
    )


def test_what_needs_one_label_is_told_to_the_jobs_that_read_the_data():
    config = complete(changed(tasks__digits__dataset={"use": "npz", "file": "mine.npz"}))
    check(config, SCHEMA)  # what the archive holds is not known yet
    told = {"digits": "fdsd (sanitizers/cluster_majority.py) (grids.demo.defense)"}
    assert wanting_one_label(config) == told


def hostile():
    """Every key of the schema that is a number, with values that none may have."""
    task = ("tasks", "digits")
    sgd, warmup = (*task, "local"), (*task, "warmup")
    counts = ("max_samples", "rounds", "last_rounds", "tested_every", "cohort")
    keys = [(*task, key) for key in counts]
    keys += [(*sgd, key) for key in ("epochs", "batch_size", "steps")]
    keys += [(*warmup, key) for key in ("rounds", "steps")] + [("partitions", "iid-4", "n_clients")]
    wrong = (0, -3, 1.5, 10**10, 10**30, 10**400, True, None, "x", float("nan"), [], [1], {})
    yield from ((key, value) for key in keys for value in wrong)
    real = (-1e-9, 1e300, 10**30, 10**400, float("inf"), float("nan"), True, None, "x", [], {})
    for key in ("lr", "momentum", "weight_decay"):
        yield from (((*sgd, key), value) for value in real)
    for value in (*wrong[1:-2], [], {}, [-1], [10**30], [1.5]):
        yield ("grids", "demo", "seed"), value if isinstance(value, list) else [value]


HOSTILE = list(hostile())


@pytest.mark.parametrize(("key", "value"), HOSTILE, ids=lambda part: repr(part)[:40])
def test_a_hostile_value_of_a_key_of_the_workflow_is_refused_with_its_name(key, value):
    named = ".".join(key)
    assert any(line.startswith(named) for line in problems(changed(**{"__".join(key): value})))
