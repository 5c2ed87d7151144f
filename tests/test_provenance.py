import ast
import hashlib
import os
import re
import shutil

import pytest

from fedsieve import provenance, registry

PACKAGE = provenance.ROOT / "fedsieve"
FEDAVG = "fedsieve.aggregators.fedavg"


@pytest.fixture
def edit(tmp_path, monkeypatch):
    """Work on a copy of the package: ``edit(file, old, new)`` and digests follow."""
    shutil.copytree(PACKAGE, tmp_path / "fedsieve", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "ROOT", tmp_path)

    def change(file, old, new):
        path = tmp_path / "fedsieve" / file
        assert old in path.read_text(encoding="utf-8")
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
        provenance.forget()

    provenance.forget()
    yield change
    provenance.forget()


def test_comments_change_nothing(edit):
    before = provenance.digest(FEDAVG)
    edit("aggregators/fedavg.py", "    weights = n_samples", "    # why\n\n    weights = n_samples")
    assert provenance.digest(FEDAVG) == before


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("aggregators/fedavg.py", "FedAvg: the mean"),
        ("aggregators/fedavg.py", "Average the updates by sample count"),
        ("vectors.py", "What the server makes of a cohort's updates."),
        ("vectors.py", "What a method remembers between rounds"),  # below an attribute
    ],
)
def test_docstrings_change_nothing(edit, file, text):
    before = provenance.digest(FEDAVG)
    edit(file, text, "Something else")
    assert provenance.digest(FEDAVG) == before


def test_formatting_changes_nothing(edit, tmp_path):
    before = provenance.digest("fedsieve.stages.train")
    for path in (tmp_path / "fedsieve").rglob("*.py"):
        path.write_text(ast.unparse(ast.parse(path.read_text(encoding="utf-8"))), encoding="utf-8")
    provenance.forget()
    assert provenance.digest("fedsieve.stages.train") == before


def rename(root, old, new):
    """Move a module within the package, and let all that import it say so."""
    (source, old_name), (target, new_name) = (name.rsplit(".", 1) for name in (old, new))
    to = root.joinpath(*new.split(".")).with_suffix(".py")
    to.parent.mkdir(exist_ok=True)
    root.joinpath(*old.split(".")).with_suffix(".py").rename(to)
    whole = re.compile(rf"^from {re.escape(source)} import (.*\b{old_name}\b.*)$", re.M)
    for path in root.rglob("*.py"):
        text = path.read_text(encoding="utf-8").replace(f"from {old} import", f"from {new} import")
        if found := whole.search(text):
            others = [name for name in found[1].split(", ") if name != old_name]
            lines = [f"from {source} import {', '.join(others)}"] * bool(others)
            text = whole.sub("\n".join([*lines, f"from {target} import {new_name}"]), text)
            text = re.sub(rf"\b{old_name}\.(?=\w)", f"{new_name}.", text)
        path.write_text(text, encoding="utf-8")
    provenance.forget()


def digests():
    """Digest of each stage and of each plug-in."""
    modules = [
        registry.module(kind, name)
        for kind in registry.CONTRACTS
        for name in registry.available(kind)
    ]
    modules += [f"fedsieve.stages.{path.stem}" for path in PACKAGE.glob("stages/[!_]*.py")]
    return {module: provenance.digest(module) for module in modules}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("fedsieve.vectors", "fedsieve.low.vectors"),  # moved, imported by its names
        ("fedsieve.rounds", "fedsieve.low.turns"),  # moved and renamed, imported whole
        ("fedsieve.excess", "fedsieve.surplus"),
    ],
)
def test_a_module_that_is_moved_or_renamed_changes_no_digest(edit, tmp_path, old, new):
    before = digests()
    rename(tmp_path, old, new)
    assert new in provenance.closure(["fedsieve.stages.train", "fedsieve.sanitizers.sieve"])
    assert digests() == before


def test_an_edit_of_a_shared_function_changes_those_that_reach_it_and_no_others(edit):
    before = digests()
    edit("excess.py", "np.maximum(gate, luck)", "np.minimum(gate, luck)")
    changed = {module for module, found in digests().items() if found != before[module]}
    assert changed == {m for m in before if "fedsieve.excess" in provenance.closure([m])}
    assert {"fedsieve.sanitizers.sieve", "fedsieve.detectors.mcdfl_plus"} <= changed
    assert "fedsieve.stages.train" not in changed


def test_imports_that_swap_places_change_the_digest(tmp_path, monkeypatch):
    (tmp_path / "fedsieve").mkdir()
    for name, text in {"low": "def f(): return 1", "high": "def f(): return 2"}.items():
        (tmp_path / f"fedsieve/{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    found = []
    for names in (("low", "high"), ("high", "low")):
        text = "from fedsieve.{} import f as a\nfrom fedsieve.{} import f as b\nx = a() - b()"
        (tmp_path / "fedsieve/user.py").write_text(text.format(*names), encoding="utf-8")
        provenance.forget()
        found.append(provenance.digest("fedsieve.user"))
    assert found[0] != found[1]
    provenance.forget()


@pytest.mark.parametrize("stage", ["features", "floor", "feature_maps"])
def test_what_applies_a_model_does_not_hang_on_how_it_was_trained(stage):
    reached = provenance.closure([f"fedsieve.stages.{stage}"])
    trained = {"rounds", "graphs", "screening", "exchanges", "leases", "local", "engine.federation"}
    assert not reached & {f"fedsieve.{name}" for name in trained}


def test_trainings_do_not_hang_on_how_digests_cards_and_grids_are_made():
    reached = provenance.closure(["fedsieve.stages.train", FEDAVG])
    apart = {"provenance", "leases", "cards", "grids", "plugin_specs", "settings", "annotations"}
    assert not reached & {f"fedsieve.{name}" for name in apart}


def test_a_changed_constant_changes_the_digest_of_those_that_reach_it(edit):
    stages = {name: f"fedsieve.stages.{name}" for name in ("train", "features", "keep", "oracle")}
    before = {name: provenance.digest(module) for name, module in stages.items()}
    edit("features.py", "CHUNK = 64", "CHUNK = 65")
    changed = {name for name, module in stages.items() if provenance.digest(module) != before[name]}
    assert changed == {"train", "features"}


def test_a_changed_module_changes_its_importers_however_far(edit):
    before = provenance.digest("fedsieve.stages.train"), provenance.digest("fedsieve.device")
    edit("errors.py", "class InputError(ValueError)", "class InputError(Exception)")
    after = provenance.digest("fedsieve.stages.train"), provenance.digest("fedsieve.device")
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_a_plugin_counts_where_it_is_named_and_only_there(edit):
    alone = provenance.digest("fedsieve.stages.train")
    named = provenance.digest("fedsieve.stages.train", FEDAVG)
    edit("aggregators/fedavg.py", "weights.sum()", "weights.max()")
    assert provenance.digest("fedsieve.stages.train") == alone
    assert provenance.digest("fedsieve.stages.train", FEDAVG) != named


def test_a_string_that_is_no_docstring_counts(edit):
    before = provenance.digest("fedsieve.stages.warmup")
    edit("stages/warmup.py", '"warm-up").integers', '"warmup").integers')
    assert provenance.digest("fedsieve.stages.warmup") != before


def test_the_order_of_modules_is_irrelevant_and_repeats_count_once():
    one = provenance.digest("fedsieve.rng", "fedsieve.errors")
    assert one == provenance.digest("fedsieve.errors", "fedsieve.rng", "fedsieve.rng")
    assert one != provenance.digest("fedsieve.errors")


def test_every_form_of_import_is_followed(tmp_path, monkeypatch):
    (tmp_path / "fedsieve").mkdir()
    forms = {
        "a": "from fedsieve import b as other, missing\nimport fedsieve.c as x",
        "b": "def f():\n    from fedsieve.d import name",
        "c": "import numpy, fedsieve",
        "d": "import fedsieve.a",
        "e": "",
    }
    for name, text in forms.items():
        (tmp_path / f"fedsieve/{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    provenance.forget()
    assert provenance.closure(["fedsieve.a"]) == {f"fedsieve.{name}" for name in "abcd"}
    provenance.forget()


def test_modules_of_the_user_are_followed_and_installed_ones_are_not(tmp_path, monkeypatch):
    package = tmp_path / "fedsieve/attacks"
    package.mkdir(parents=True)
    (package / "mine.py").write_text(
        "from . import _beside\nfrom ._other import f\nimport labtools.a", encoding="utf-8"
    )
    (package / "_beside.py").write_text("from .. import errors", encoding="utf-8")
    (package / "_other.py").write_text("import json, numpy, packaged", encoding="utf-8")
    (tmp_path / "fedsieve/errors.py").write_text("", encoding="utf-8")
    lab = tmp_path / "lab/labtools"
    lab.mkdir(parents=True)
    (lab / "__init__.py").write_text("from .b import x", encoding="utf-8")
    (lab / "a.py").write_text("A = 1", encoding="utf-8")
    (lab / "b.py").write_text("B = 1", encoding="utf-8")
    installed = tmp_path / "env/site-packages"
    installed.mkdir(parents=True)
    (installed / "packaged.py").write_text("", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'lab'}:{installed}")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    provenance.forget()
    mine = "fedsieve.attacks.mine"
    beside = {f"fedsieve.attacks.{name}" for name in ("_beside", "_other")}
    of_lab = {"labtools", "labtools.a", "labtools.b"}
    assert provenance.closure([mine]) == {mine, "fedsieve.errors"} | beside | of_lab
    before = provenance.digest(mine)
    (lab / "b.py").write_text("B = 2", encoding="utf-8")
    provenance.forget()
    assert provenance.digest(mine) != before
    provenance.forget()


def test_files_that_a_spec_names_count_by_content_whatever_their_date(tmp_path):
    archive = tmp_path / "mine.npz"
    archive.write_bytes(b"one" * 10**6)
    spec = {"use": "mine.npz", "file": "mine.npz", "other": "x" * 5000, "n": 3, "none": "a\0b"}
    (first,) = provenance.contents(tmp_path, spec)
    archive.write_bytes(b"two" * 10**6)
    os.utime(archive, (0, 0))
    provenance.forget()
    (second,) = provenance.contents(tmp_path, spec)
    assert first == hashlib.sha256(b"one" * 10**6).hexdigest()
    assert second == hashlib.sha256(b"two" * 10**6).hexdigest()
    assert provenance.contents(tmp_path, {"file": str(archive)}) == [second]
    assert provenance.contents(tmp_path, {"file": "missing.npz"}) == []
    provenance.forget()


def test_a_plugin_outside_the_package_counts_by_its_content_not_by_its_place(tmp_path, monkeypatch):
    source = "from fedsieve.errors import InputError\n\n\ndef assign(labels):\n    return {}\n"
    found = []
    for folder, text in (("a", "labels"), ("b", "labels"), ("c", "None")):
        (tmp_path / folder / "partitions").mkdir(parents=True)
        (tmp_path / folder / "partitions/mine.py").write_text(source.format(text), encoding="utf-8")
        monkeypatch.setenv("FEDSIEVE_PLUGINS", str(tmp_path / folder))
        provenance.forget()
        assert "fedsieve.errors" in provenance.closure(["fedsieve.partitions.mine"])
        found.append(provenance.digest("fedsieve.partitions.mine"))
    provenance.forget()
    assert found[0] == found[1] != found[2]
