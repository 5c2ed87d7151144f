import ast
import hashlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from fedsieve import checkpoints, provenance

PACKAGE = provenance.ROOT / "fedsieve"
FEDAVG = "fedsieve.aggregators.fedavg"


def forget():
    provenance.imports.cache_clear()
    provenance._code.cache_clear()
    provenance._sha256.cache_clear()


@pytest.fixture
def edit(tmp_path, monkeypatch):
    """Work on a copy of the package: ``edit(file, old, new)`` and digests follow."""
    shutil.copytree(PACKAGE, tmp_path / "fedsieve", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "ROOT", tmp_path)

    def change(file, old, new):
        path = tmp_path / "fedsieve" / file
        assert old in path.read_text(encoding="utf-8")
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
        forget()

    forget()
    yield change
    forget()


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
    forget()
    assert provenance.digest("fedsieve.stages.train") == before


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
    forget()
    assert provenance.closure(["fedsieve.a"]) == {f"fedsieve.{name}" for name in "abcd"}
    forget()


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
    forget()
    mine = "fedsieve.attacks.mine"
    beside = {f"fedsieve.attacks.{name}" for name in ("_beside", "_other")}
    of_lab = {"labtools", "labtools.a", "labtools.b"}
    assert provenance.closure([mine]) == {mine, "fedsieve.errors"} | beside | of_lab
    before = provenance.digest(mine)
    (lab / "b.py").write_text("B = 2", encoding="utf-8")
    forget()
    assert provenance.digest(mine) != before
    forget()


def test_files_that_a_spec_names_count_by_content_whatever_their_date(tmp_path):
    archive = tmp_path / "mine.npz"
    archive.write_bytes(b"one" * 10**6)
    spec = {"use": "mine.npz", "file": "mine.npz", "other": "x" * 5000, "n": 3, "none": "a\0b"}
    (first,) = provenance.contents(tmp_path, spec)
    archive.write_bytes(b"two" * 10**6)
    os.utime(archive, (0, 0))
    forget()
    (second,) = provenance.contents(tmp_path, spec)
    assert first == hashlib.sha256(b"one" * 10**6).hexdigest()
    assert second == hashlib.sha256(b"two" * 10**6).hexdigest()
    assert provenance.contents(tmp_path, {"file": str(archive)}) == [second]
    assert provenance.contents(tmp_path, {"file": "missing.npz"}) == []
    forget()


def test_the_environment_names_versions_and_hardware_and_no_host():
    found = provenance.environment()
    assert set(found) == {"python", "packages", "machine", "system", "hardware", "source"}
    assert {"torch", "numpy", "fedsieve"} <= set(found["packages"])
    text = json.dumps(found)
    assert not [name for name in (socket.gethostname(), str(Path.home())) if name in text]


def test_the_processor_is_the_one_that_the_system_names(tmp_path):
    (tmp_path / "cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: A: B\nmodel name\t: C\n", encoding="utf-8"
    )
    found = provenance.hardware(tmp_path / "cpuinfo")
    assert found["cpu"] == "A: B"
    assert found["memory_gib"] == pytest.approx(psutil.virtual_memory().total / 2**30, abs=0.1)
    assert provenance.hardware(tmp_path / "none")["cpu"] == platform.processor()


def git(folder, *arguments):
    who = ["-c", "user.name=n", "-c", "user.email=e"]
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout.strip()


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A repository with one source file."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src/module.py").write_text("", encoding="utf-8")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    monkeypatch.setattr(provenance, "ROOT", tmp_path / "src")
    return tmp_path


def test_a_clone_has_a_commit_and_is_modified_by_code_alone(clone):
    commit = git(clone, "rev-parse", "HEAD")
    assert provenance.revision() == {"commit": commit, "modified": False}
    (clone / "notes.txt").write_text("mine", encoding="utf-8")
    assert provenance.revision() == {"commit": commit, "modified": False}
    (clone / "src/plugin.py").write_text("", encoding="utf-8")
    assert provenance.revision() == {"commit": commit, "modified": True}


def test_no_commit_is_told_without_git_or_outside_a_clone_of_its_own(clone, monkeypatch):
    monkeypatch.setattr(provenance, "ROOT", clone / "src/site-packages")  # of another project
    (clone / "src/site-packages").mkdir()
    assert provenance.revision() is None
    monkeypatch.setattr(provenance, "ROOT", clone / "src")
    monkeypatch.setenv("PATH", str(clone))
    assert provenance.revision() is None


def test_a_clone_without_a_commit_has_none(clone):
    shutil.rmtree(clone / ".git")
    git(clone, "init", "--quiet")
    assert provenance.revision() is None


def test_a_training_records_settings_versions_hardware_and_times(tmp_path, stage, training):
    before = datetime.now(UTC).replace(microsecond=0)
    stage("train")(**training(tmp_path, rounds=1))
    found = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert found["settings"]["code"] == "digest"
    assert found["environment"]["packages"]["numpy"] == np.__version__
    assert found["torch"]["build"] == torch.__version__
    started, ended = (datetime.fromisoformat(found[key]) for key in ("started", "ended"))
    assert before <= started <= ended <= datetime.now(UTC)
    assert len(found["seconds_per_round"]) == 1
    assert found["peak_memory_mb"] > 50


def test_another_commit_resumes_the_checkpoint_and_changes_no_digest(
    tmp_path, training, stage, monkeypatch
):
    seen = []
    known = checkpoints.key

    def key(settings, inputs):
        seen.append(known(settings, inputs))
        return seen[-1]

    monkeypatch.setattr(checkpoints, "key", key)
    digests = []
    for commit in ("a", "b"):
        source = {"commit": commit, "modified": False}
        monkeypatch.setattr(provenance, "revision", lambda source=source: source)
        stage("train")(**training(tmp_path, rounds=1))
        digests.append(provenance.digest("fedsieve.stages.train"))
    assert seen[0] == seen[1]
    assert digests[0] == digests[1]


def test_peak_memory_is_in_megabytes():
    assert 50 < provenance.peak_memory_mb() < 50_000


def test_peak_memory_is_not_that_of_the_process_that_started_this_one():
    ballast = bytearray(800_000_000)
    code = "from fedsieve import provenance; print(provenance.peak_memory_mb())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True
    )
    assert len(ballast) > 0
    assert float(done.stdout) < 400


def test_a_plugin_outside_the_package_counts_by_its_content_not_by_its_place(tmp_path, monkeypatch):
    source = "from fedsieve.errors import InputError\n\n\ndef assign(labels):\n    return {}\n"
    found = []
    for folder, text in (("a", "labels"), ("b", "labels"), ("c", "None")):
        (tmp_path / folder / "partitions").mkdir(parents=True)
        (tmp_path / folder / "partitions/mine.py").write_text(source.format(text), encoding="utf-8")
        monkeypatch.setenv("FEDSIEVE_PLUGINS", str(tmp_path / folder))
        forget()
        assert "fedsieve.errors" in provenance.closure(["fedsieve.partitions.mine"])
        found.append(provenance.digest("fedsieve.partitions.mine"))
    forget()
    assert found[0] == found[1] != found[2]
