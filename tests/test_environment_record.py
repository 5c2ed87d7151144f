"""What run.json records of a run: versions, hardware, commit, times, memory."""

import json
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

from fedsieve import checkpoints, environment, provenance


def test_the_environment_names_versions_and_hardware_and_no_host():
    found = environment.environment()
    assert set(found) == {"python", "packages", "machine", "system", "hardware", "source"}
    assert {"torch", "numpy", "fedsieve"} <= set(found["packages"])
    text = json.dumps(found)
    assert not [name for name in (socket.gethostname(), str(Path.home())) if name in text]


def test_the_processor_is_the_one_that_the_system_names(tmp_path):
    (tmp_path / "cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: A: B\nmodel name\t: C\n", encoding="utf-8"
    )
    found = environment.hardware(tmp_path / "cpuinfo")
    assert found["cpu"] == "A: B"
    assert found["memory_gib"] == pytest.approx(psutil.virtual_memory().total / 2**30, abs=0.1)
    assert environment.hardware(tmp_path / "none")["cpu"] == platform.processor()


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
    monkeypatch.setattr(environment, "ROOT", tmp_path / "src")
    return tmp_path


def test_a_clone_has_a_commit_and_is_modified_by_code_alone(clone):
    commit = git(clone, "rev-parse", "HEAD")
    assert environment.revision() == {"commit": commit, "modified": False}
    (clone / "notes.txt").write_text("mine", encoding="utf-8")
    assert environment.revision() == {"commit": commit, "modified": False}
    (clone / "src/plugin.py").write_text("", encoding="utf-8")
    assert environment.revision() == {"commit": commit, "modified": True}


def test_no_commit_is_told_without_git_or_outside_a_clone_of_its_own(clone, monkeypatch):
    monkeypatch.setattr(environment, "ROOT", clone / "src/site-packages")  # of another project
    (clone / "src/site-packages").mkdir()
    assert environment.revision() is None
    monkeypatch.setattr(environment, "ROOT", clone / "src")
    monkeypatch.setenv("PATH", str(clone))
    assert environment.revision() is None


def test_a_clone_without_a_commit_has_none(clone):
    shutil.rmtree(clone / ".git")
    git(clone, "init", "--quiet")
    assert environment.revision() is None


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
        monkeypatch.setattr(environment, "revision", lambda source=source: source)
        stage("train")(**training(tmp_path, rounds=1))
        digests.append(provenance.digest("fedsieve.stages.train"))
    assert seen[0] == seen[1]
    assert digests[0] == digests[1]


def test_peak_memory_is_in_megabytes():
    assert 50 < environment.peak_memory_mb() < 50_000


def test_peak_memory_is_not_that_of_the_process_that_started_this_one():
    ballast = bytearray(800_000_000)
    code = "from fedsieve import environment; print(environment.peak_memory_mb())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True
    )
    assert len(ballast) > 0
    assert float(done.stdout) < 400
