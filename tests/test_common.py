"""Labels of config/common.yaml: who gets them, and that each means one thing."""

import inspect
import re
from pathlib import Path

import pytest
import yaml
from configurations import COMMON, WHOLE, WRITTEN

from fedsieve import registry
from fedsieve.errors import InputError
from fedsieve.settings import BUILT_IN, PLUGINS, SHARED, check, with_common

ROOT = Path(__file__).parents[1]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"))
DEMO = "demo.yaml"
"""It may repeat what others share: it is there to be read, and copied, by itself."""

PUBLISHED = {
    "demo.yaml": {
        "attacks.patch": "README.md",
        "attacks.hybrid": "README.md",
        "sanitizers.fdsd": "README.md",
        "sanitizers.sieve": "README.md",
        "defenses.krum": "README.md",
        "defenses.fdsd": "README.md",
    },
    "chest.yaml": {
        "attacks.hybrid": "docs/reproduction/ledger.csv",
        "defenses.fdsd": "docs/reproduction/ledger.csv",
    },
    "chest-quick.yaml": {
        "attacks.hybrid": "docs/reproduction/chest-pneumonia.csv",
        "sanitizers.sieve": "docs/reproduction/chest-pneumonia.csv",
        "defenses.fdsd": "docs/reproduction/chest-pneumonia.csv",
    },
    "cross.yaml": {"defenses.mcdfl": "docs/reproduction/cross-fashion.csv"},
    "mcdfl-headline.yaml": {"defenses.mcdfl-plus": "docs/reproduction/fashion-headline.csv"},
    "mcdfl-quick.yaml": {
        "partitions.dirichlet-1": "docs/reproduction/fashion-uneven.csv",
        "defenses.mcdfl": "docs/reproduction/fashion-wide.csv",
        "defenses.mcdfl-512": "docs/reproduction/cifar-wide.csv",
    },
}
"""Labels that mean something else in a file than elsewhere, and where results were published under
them before each label had to mean one thing. There shall be no more of them."""

SMALL = {
    "common": True,
    "tasks": {
        "small": {
            "dataset": {"use": "digits"},
            "model": {"use": "cnn2", "padding": 1},
            "rounds": 2,
            "cohort": 4,
            "sampling": "uniform",
            "local": {"epochs": 1, "batch_size": 8, "lr": 0.1, "momentum": 0, "weight_decay": 0},
            "warmup": {"rounds": 1, "steps": 5},
        }
    },
    "grids": {
        "mine": {
            "task": ["small"],
            "partition": ["iid-10"],
            "attack": ["flip-3to2"],
            "ratio": [0.2],
            "defense": ["none", "median", "fdsd"],
            "seed": [1],
        }
    },
}
"""A configuration of a user that leaves to config/common.yaml what is there."""


def meaning(section, entry):
    """An entry with the defaults of its plug-ins written out; a sanitizer is told by its label."""
    entry = dict(entry)
    for where, name, kind in PLUGINS:
        spec = (entry.get(name) if name else entry) if where == section else None
        if spec and "use" in spec:
            module = registry.load(kind, spec["use"])
            functions = [f for n in registry.CONTRACTS[kind] if (f := getattr(module, n, None))]
            known = [p for f in functions for p in inspect.signature(f).parameters.values()]
            defaults = {p.name: p.default for p in known if p.default is not p.empty}
            filled = {**defaults, **spec}
            entry = {**entry, name: filled} if name else filled
    return entry


def differing():
    """Labels by file whose entry means something else than elsewhere, as ``section.label``.

    Elsewhere is config/common.yaml, where it has the label, else the files before.
    """
    first = {section: dict(entries) for section, entries in COMMON.items()}
    found = {}
    for name, config in sorted(WRITTEN.items(), key=lambda item: item[0] in PUBLISHED):
        for section in SHARED:
            for label, entry in config.get(section, {}).items():
                other = first[section].setdefault(label, entry)
                if entry != other and meaning(section, entry) != meaning(section, other):
                    found.setdefault(name, set()).add(f"{section}.{label}")
    return found


def test_a_label_means_one_thing_in_all_configurations_but_where_results_were_published():
    assert differing() == {name: {*labels} for name, labels in PUBLISHED.items()}


@pytest.mark.parametrize(
    ("label", "page"), sorted({pair for labels in PUBLISHED.values() for pair in labels.items()})
)
def test_results_are_published_under_a_label_that_means_something_else_elsewhere(label, page):
    name = re.escape(label.split(".", 1)[1])
    text = (ROOT / page).read_text(encoding="utf-8")
    assert re.search(rf"(?<![\w-]){name}(?![\w-])", text)


def test_no_configuration_repeats_what_is_common():
    repeated = [
        f"{name}: {section}.{label}"
        for name, config in WRITTEN.items()
        if name != DEMO
        for section in SHARED
        for label, entry in config.get(section, {}).items()
        if COMMON[section].get(label) == entry
    ]
    assert repeated == []


def test_what_is_not_common_stands_in_one_configuration_alone():
    found = {}
    for name, config in WRITTEN.items():
        if name != DEMO:
            for section in SHARED:
                for label in config.get(section, {}).keys() - COMMON[section].keys():
                    found.setdefault(f"{section}.{label}", []).append(name)
    assert {label: names for label, names in found.items() if len(names) > 1} == {}


def test_what_is_common_serves_at_least_two_configurations():
    taken = [
        (section, label)
        for name, config in WRITTEN.items()
        for section in SHARED
        for label in WHOLE[name].get(section, {}).keys() - config.get(section, {}).keys()
    ]
    lone = [
        f"{section}.{label}"
        for section, entries in COMMON.items()
        for label in entries
        if taken.count((section, label)) < 2
    ]
    assert lone == []


def test_the_common_sections_are_those_that_are_filled_and_leave_built_in_labels_alone():
    assert set(COMMON) == set(SHARED)
    assert [label for s in SHARED for label in BUILT_IN.get(s, {}) if label in COMMON[s]] == []


def test_a_configuration_gets_the_labels_that_it_names_and_no_others():
    found = with_common(SMALL, COMMON)
    assert found == SMALL | {
        "partitions": {"iid-10": {"use": "iid", "n_clients": 10}},
        "attacks": {
            "flip-3to2": {"use": "label_flip", "source": 3, "target": 2, "poison_fraction": 1.0}
        },
        # of what fdsd names, too
        "sanitizers": {
            "fdsd-conv2": {
                "use": "cluster_majority",
                "features": "conv2",
                "n_clusters": 10,
                "vote": "global",
            }
        },
        "defenses": {
            "median": {"aggregate": {"use": "median"}},
            "fdsd": {"sanitize": "fdsd-conv2", "aggregate": {"use": "fedavg"}},
        },
    }
    check(found, SCHEMA, COMMON)


def test_a_configuration_that_defines_all_its_labels_stays_as_it_is():
    assert with_common(WRITTEN[DEMO] | {"common": True}, COMMON) == WRITTEN[DEMO] | {"common": True}


@pytest.mark.parametrize("said", [{}, {"common": False}], ids=["silent", "no"])
def test_a_configuration_that_does_not_ask_gets_nothing(said):
    mine = {key: content for key, content in SMALL.items() if key != "common"} | said
    assert with_common(mine, COMMON) == mine
    with pytest.raises(InputError, match="defenses has no 'median'; known here: none\n"):
        check(mine, SCHEMA, COMMON)


def test_of_a_label_that_the_configuration_defines_nothing_common_is_mixed_in():
    mine = {
        # one that has no parameters in place of one that has, and the other way round
        "defenses": {"krum": {"aggregate": {"use": "median"}}},
        "sanitizers": {"fdsd-conv2": {"use": "cluster_majority", "features": "conv1"}},
        "attacks": {"patch": {"use": "backdoor", "size": 2}},
    }
    grid = SMALL["grids"]["mine"] | {"attack": ["patch"], "defense": ["krum", "fdsd"]}
    found = with_common(SMALL | mine | {"grids": {"mine": grid}}, COMMON)
    assert found["defenses"]["krum"] == {"aggregate": {"use": "median"}}
    assert found["attacks"] == mine["attacks"]
    # the defense fdsd is common, what it calls fdsd-conv2 the user's
    assert found["defenses"]["fdsd"]["sanitize"] == "fdsd-conv2"
    assert found["sanitizers"] == mine["sanitizers"]


def test_what_is_common_stays_as_it_is_whatever_becomes_of_a_configuration():
    before = yaml.safe_dump(COMMON)
    with_common(SMALL, COMMON)["defenses"]["median"]["aggregate"]["use"] = "krum"
    assert yaml.safe_dump(COMMON) == before


def test_an_entry_that_counts_on_the_common_one_of_its_label_is_told_that_it_is_not_mixed_in():
    grid = SMALL["grids"]["mine"] | {"attack": ["patch"], "defense": ["none"]}
    mine = SMALL | {"attacks": {"patch": {"size": 5}}, "grids": {"mine": grid}}
    with pytest.raises(InputError) as caught:
        check(with_common(mine, COMMON), SCHEMA, COMMON)
    (line,) = [line for line in str(caught.value).splitlines() if "attacks.patch.use" in line]
    assert "is missing" in line
    assert "nothing of its entry in config/common.yaml is mixed in" in line


def test_a_label_that_is_nowhere_is_compared_with_the_common_ones():
    mine = SMALL | {"grids": {"mine": SMALL["grids"]["mine"] | {"defense": ["trimed-mean"]}}}
    with pytest.raises(InputError, match=r"defenses has no 'trimed-mean'.*mean 'trimmed-mean'"):
        check(with_common(mine, COMMON), SCHEMA, COMMON)


@pytest.mark.parametrize(
    "wrong",
    [
        {"grids": 1},
        {"grids": {"mine": None}},
        {"grids": {"mine": {"defense": [["median"], {}, 1]}}},
        {"grids": SMALL["grids"], "defenses": None, "partitions": [1]},
        {"grids": SMALL["grids"], "defenses": {"median": 1, 2: {"sanitize": []}}},
        {"grids": SMALL["grids"], "common": "yes"},
    ],
    ids=["no mapping", "no grid", "no labels", "no sections", "no entries", "no yes or no"],
)
def test_what_is_wrong_is_left_to_the_check(wrong):
    wrong = {"common": True} | wrong
    found = with_common(wrong, COMMON)
    assert {section: found[section] for section in wrong if section != "defenses"} == {
        section: content for section, content in wrong.items() if section != "defenses"
    }
    with pytest.raises(InputError, match="the configuration has"):
        check(found, SCHEMA, COMMON)
