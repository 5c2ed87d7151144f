"""The demo's configuration with something wrong: it is refused in plain words, or it is fine."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fedsieve.errors import InputError
from fedsieve.settings import check, complete

ROOT = Path(__file__).parents[1]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"))
DEMO = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))
SCREEN = 25
"""Lines of a terminal that a message may fill."""


def places(node, key=()):
    """Every key of a configuration, entries of lists included."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node)
    for name, inner in pairs:
        yield (*key, name)
        if isinstance(inner, dict | list):
            yield from places(inner, (*key, name))


def edited(key, edit):
    """The demo's configuration after ``edit(parent, last)`` at one key."""
    config = copy.deepcopy(DEMO)
    parent = config
    for name in key[:-1]:
        parent = parent[name]
    edit(parent, key[-1])
    return config


def complaint(config):
    """What the check says; nothing where the configuration is fine."""
    try:
        check(config, SCHEMA)
    except InputError as error:
        return str(error)
    return ""


def named(key, said):
    """Whether a message names a key, or what lacks it; a place in a list goes by the list's."""
    return any(part in said for part in [p for p in key if isinstance(p, str)][-2:])


KEYS = sorted(places(DEMO), key=str)
NAMES = [key for key in KEYS if isinstance(key[-1], str)]
NUMBERS = st.integers() | st.floats() | st.sampled_from([-1, 0, 1, 0.5, 10**400, -0.0, "1e-3"])
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=9) | st.dates()
KEYED = st.text(max_size=9) | st.integers() | st.booleans() | st.none()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYED, inner, max_size=4),
    max_leaves=6,
)


@settings(max_examples=300)
@given(st.sampled_from(KEYS), VALUES)
def test_any_value_anywhere_is_fine_or_named(key, value):
    said = complaint(edited(key, lambda parent, last: parent.__setitem__(last, value)))
    assert not said or named(key, said)
    assert len(said.splitlines()) <= SCREEN


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_a_key_that_is_removed_is_not_needed_or_named(key):
    said = complaint(edited(key, lambda parent, last: parent.pop(last)))
    assert not said or named(key, said)
    assert len(said.splitlines()) <= SCREEN


def misspelt(text, place):
    """Two neighboring letters change places, or one is missing."""
    i = place % len(text)
    swapped = text[:i] + text[i + 1 : i + 2] + text[i] + text[i + 2 :]
    return swapped if swapped != text else text[:i] + text[i + 1 :]


@pytest.mark.parametrize("place", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2))])
@pytest.mark.parametrize("key", NAMES, ids=str)
def test_a_misspelt_key_or_label_is_named(key, place):
    wrong = misspelt(key[-1], place)

    def rename(parent, last):
        parent[wrong] = parent.pop(last)

    said = complaint(edited(key, rename))
    assert wrong in said or named(key, said) or key == ("grids", "demo")  # its name is free
    assert len(said.splitlines()) <= SCREEN


@given(st.sampled_from([()] + [k for k in KEYS if len(k) < 4]), st.text(min_size=1), VALUES)
def test_an_unknown_key_is_named_or_a_label(key, unknown, value):
    config = copy.deepcopy(DEMO)
    parent = config
    for part in key:
        parent = parent[part]
    if not isinstance(parent, dict) or unknown in parent:
        return
    parent[unknown] = value
    said = complaint(config)
    assert not said or "".join(c if c.isprintable() else " " for c in unknown) in said


@pytest.mark.parametrize("config", [{}, {"tasks": 1}, dict.fromkeys(DEMO)], ids=str)
def test_a_configuration_with_next_to_nothing_in_it_is_refused(config):
    said = complaint(config)
    assert all(section in said for section in ("tasks", "partitions", "grids"))


def faulty():
    """The demo's configuration with a mistake of every sort."""
    config = copy.deepcopy(DEMO)
    config["tasks"]["digits"] |= {"ronds": 8, "cohort": "4"}
    config["partitions"]["iid-4"]["n_clients"] = -1
    config["attacks"]["ptach"] = config["attacks"].pop("patch")
    config["attacks"]["hybrid"]["sorce"] = 3
    config["defenses"]["krum"]["aggregate"]["use"] = "krumm"
    del config["grids"]["demo"]["seed"]
    return config


def test_snakemake_prints_the_same_words_on_one_screen_and_no_traceback(tmp_path):
    (tmp_path / "faulty.yaml").write_text(yaml.safe_dump(faulty()), encoding="utf-8")
    arguments = ["-n", "--directory", tmp_path, "--configfile", tmp_path / "faulty.yaml"]
    run = subprocess.run(
        [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    said = complaint(faulty())
    assert run.returncode != 0
    assert [line for line in said.splitlines() if line.strip() not in run.stdout] == []
    assert "Traceback" not in run.stdout
    assert len(run.stdout.splitlines()) <= SCREEN


@given(st.dictionaries(st.sampled_from([*DEMO, "run", "claims", "detections"]), VALUES))
@example({"grids": {"demo": {"screen": {"models": [{}]}}}})
def test_whatever_the_sections_hold_the_check_ends_in_words(sections):
    assert complaint(copy.deepcopy(DEMO) | sections) is not None


@given(st.sampled_from(KEYS), VALUES)
def test_a_configuration_that_passes_does_so_once_it_is_completed(key, value):
    config = edited(key, lambda parent, last: parent.__setitem__(last, value))
    if not complaint(config):
        assert not complaint(complete(config))
