"""No defense sees the truth: it works on its arguments, and imports nothing that knows more."""

import shutil
import sys

import numpy as np
import pytest
from blind import Peeked, blindfolded, own_modules, peeks
from exercises import EXERCISES, exercise
from specs import spec

from fedsieve import aggregators, guard, provenance, registry, settings

DEFENSES = [(kind, name) for kind in guard.DEFENSES for name in registry.available(kind)]


@pytest.mark.parametrize(("kind", "name"), DEFENSES)
def test_its_imports_reach_nothing_that_knows_what_was_poisoned(kind, name):
    assert guard.forbidden_import(kind, name) is None


@pytest.mark.parametrize(("kind", "name"), DEFENSES)
def test_its_code_names_nothing_that_reaches_files_variables_or_processes(kind, name):
    assert not [said for module in sorted(own_modules(kind, name)) for said in peeks(module)]


@pytest.mark.parametrize(("kind", "name"), DEFENSES)
def test_it_works_where_nothing_but_its_arguments_can_be_read(kind, name, tmp_path, monkeypatch):
    exercise(kind, spec(kind, name), tmp_path)  # what libraries load late is there now
    with blindfolded(monkeypatch):
        exercise(kind, spec(kind, name), tmp_path)


AGGREGATOR = """
import torch
from fedsieve.vectors import Aggregate
{imports}

def init(n_clients, layout):
    return {{}}


def aggregate(updates, cohort, n_samples, state):
    {peek}
    weights = torch.full((len(updates),), 1 / len(updates), dtype=updates.dtype)
    return Aggregate(weights @ updates, weights), state
"""

ROGUES = {
    "imports what reads artifacts": (
        "from fedsieve.artifacts import read_poisoning",
        "read_poisoning('poisoning.npz')",
    ),
    "imports a helper that does": (
        "from fedsieve.aggregators import _helper",
        "_helper.read_poisoning('poisoning.npz')",
    ),
    "opens the file": ("import numpy as np", "np.load('poisoning.npz')"),
    "asks the environment": ("from os import environ", "environ['TRUTH']"),
    "imports by name": ("", "__import__('fedsieve.oracles').oracles"),
}

BY_IMPORTS = {"imports what reads artifacts", "imports a helper that does"}


@pytest.fixture(params=["in the package", "outside of it"])
def rogue(request, tmp_path, monkeypatch):
    """Write an aggregator, and a helper that reads artifacts beside it, in either place."""
    (tmp_path / "src").mkdir()
    package = tmp_path / "src/fedsieve"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(provenance.ROOT / "fedsieve", package, ignore=ignored)
    outside = tmp_path / "mine/aggregators"
    outside.mkdir(parents=True)
    folder = package / "aggregators" if request.param == "in the package" else outside

    def make(imports, peek):
        text = AGGREGATOR.format(imports=imports, peek=peek)
        (folder / "rogue.py").write_text(text, encoding="utf-8")
        helper = "from fedsieve.artifacts import read_poisoning\n"
        (folder / "_helper.py").write_text(helper, encoding="utf-8")
        monkeypatch.setattr(provenance, "ROOT", package.parent)
        monkeypatch.setattr(registry, "PACKAGE", package)
        monkeypatch.setenv("FEDSIEVE_PLUGINS", str(tmp_path / "mine"))
        monkeypatch.setattr(aggregators, "__path__", [str(package / "aggregators"), str(outside)])
        provenance.forget()

    yield make
    for name in ("rogue", "_helper"):
        sys.modules.pop(f"fedsieve.aggregators.{name}", None)
    provenance.forget()


@pytest.mark.parametrize("way", ROGUES)
def test_a_defense_that_reads_the_truth_is_refused(rogue, tmp_path, monkeypatch, way):
    rogue(*ROGUES[way])
    assert bool(guard.forbidden_import("aggregators", "rogue")) == (way in BY_IMPORTS)
    named = [said for module in own_modules("aggregators", "rogue") for said in peeks(module)]
    assert bool(named) == (way not in BY_IMPORTS)
    np.savez(tmp_path / "poisoning.npz", malicious=np.arange(3))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRUTH", "0, 1")
    registry.load("aggregators", "rogue")
    if way == "imports by name":  # it has nothing yet; what it would do with it is refused
        return
    with blindfolded(monkeypatch), pytest.raises((Peeked, KeyError)):
        EXERCISES["aggregators"]({"use": "rogue"}, tmp_path)


def test_an_honest_defense_in_the_same_place_is_not_refused(rogue, tmp_path, monkeypatch):
    rogue("import numpy as np", "np.ones(3)")
    assert guard.forbidden_import("aggregators", "rogue") is None
    assert not [said for module in own_modules("aggregators", "rogue") for said in peeks(module)]
    registry.load("aggregators", "rogue")
    with blindfolded(monkeypatch):
        EXERCISES["aggregators"]({"use": "rogue"}, tmp_path)


def test_a_configuration_that_uses_a_defense_which_sees_the_truth_is_refused(rogue):
    rogue(*ROGUES["imports a helper that does"])
    spec = {"use": "rogue"}
    (problem,) = settings._plugin(("defenses", "mine", "aggregate"), "aggregators", spec)
    assert problem[0] == ("defenses", "mine", "aggregate", "use")
    assert (
        "rogue.py imports fedsieve.aggregators._helper, which imports fedsieve.artifacts: "
        in (problem[1])
    )
