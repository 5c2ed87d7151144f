import json
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fedsieve import checkpoints, rounds
from fedsieve.checkpoints import Progress
from fedsieve.engine import federation
from fedsieve.engine.holdings import Holdings
from fedsieve.records import Dataset, keeping

CPU = torch.device("cpu")
N_ROUNDS = 4
TASK = {
    "model": {"use": "cnn2", "channels": [2, 3], "hidden": 4},
    "local": {"epochs": 1, "batch_size": 8, "lr": 0.1, "momentum": 0.9, "weight_decay": 0.0},
}
MEMORY = """
import torch
from fedsieve.vectors import Aggregate

def init(n_clients, layout):
    return {"last": torch.zeros(layout.n_params), "count": torch.zeros((), dtype=torch.int64)}

def aggregate(updates, cohort, n_samples, state):
    update = updates.mean(dim=0) + 0.5 * state["last"]
    weights = torch.full((len(updates),), 1 / len(updates))
    return Aggregate(update, weights), {"last": update, "count": state["count"] + 1}
"""


@pytest.fixture
def fed(plugin):
    plugin("aggregators", "toy_memory", MEMORY)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 1, 12, 12), dtype=np.uint8)
    data = Dataset(images, rng.integers(0, 3, 60), tuple("abc"))
    rows = [np.arange(c, 60, 4) for c in range(4)]
    sanitizer = {"use": "cluster_majority", "n_clusters": 3}
    return federation.build(
        Holdings(data, data, rows, frozenset()),
        TASK,
        rounds.Defense(
            {"use": "toy_memory"},
            sanitize=sanitizer,
            judgements={2: ("raw",), 4: ("conv2",)},
            detect={"use": "mcdfl", "hidden": 3},
            screenings=frozenset({2, 3}),
        ),
        rounds.Sampling(3),
        seed=1,
        device=CPU,
        workers=1,
    )


def beginning(fed):
    return Progress(rounds.start(fed, keeping(np.ones(60, bool))), {}, [])


def advanced(fed, progress, n_rounds):
    for state, record in rounds.run(fed, progress.state, n_rounds):
        test = torch.from_numpy(np.resize(record.cohort.astype(np.uint8), (1, 7)))
        known = progress.predictions.get("test", test[:0])
        note = {"weights": record.weights.tolist()}
        judged = {f"{state.round}.{k}": torch.from_numpy(v) for k, v in record.judged.items()}
        notes, judged = [*progress.notes, note], progress.judged | judged
        screened = progress.screened | {f"{state.round}.benign": torch.from_numpy(record.benign)}
        saved = progress.snapshots | {f"{state.round}.values": state.values.clone()}
        tested = {"test": torch.cat([known, test])}
        progress = Progress(state, tested, notes, judged, screened, saved)
    return progress


def assert_same(one, other):
    assert one.state.round == other.state.round
    assert torch.equal(one.state.values, other.state.values)
    for part in ("keep", "repaired"):
        a, b = getattr(one.state.verdict, part), getattr(other.state.verdict, part)
        np.testing.assert_array_equal(a, b)
    for part in ("aggregator", "detector"):
        a, b = getattr(one.state, part), getattr(other.state, part)
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) and a[name].dtype == b[name].dtype for name in a)
    assert torch.equal(one.predictions["test"], other.predictions["test"])
    assert one.notes == other.notes
    np.testing.assert_array_equal(one.state.benign, other.state.benign)
    for part in ("judged", "screened", "snapshots"):
        a, b = getattr(one, part), getattr(other, part)
        assert a.keys() == b.keys() != set()
        assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("after", range(1, N_ROUNDS + 1))
def test_a_resumed_run_ends_as_an_undisturbed_one_to_the_bit(fed, tmp_path, after):
    nothing = beginning(fed)
    whole = advanced(fed, nothing, N_ROUNDS)
    checkpoints.save(tmp_path / "c", "run", advanced(fed, nothing, after))
    fed.values.fill_(7)  # nothing may survive in the model
    resumed = checkpoints.load(tmp_path / "c", "run", CPU)
    assert resumed.state.round == after
    assert_same(advanced(fed, resumed, N_ROUNDS), whole)
    # among what is the same: the generator, and the predictors that clients keep
    assert {"generator.0.weight", "own_heads", "own_has"} <= whole.state.detector.keys()
    assert whole.state.detector["own_has"].any()


def test_the_key_knows_every_setting_and_the_content_of_inputs(tmp_path):
    path = tmp_path / "input"
    path.write_text("one", encoding="utf-8")
    key = checkpoints.key([{"a": 1, "b": 2}, 3], [path])
    assert key == checkpoints.key([{"b": 2, "a": 1}, 3], [path])
    assert key != checkpoints.key([{"a": 1, "b": 2}, 4], [path])
    assert key != checkpoints.key([{"a": 1, "b": 2}, 3], [path, path])
    path.write_text("two", encoding="utf-8")
    assert key != checkpoints.key([{"a": 1, "b": 2}, 3], [path])


@pytest.fixture
def saved(fed, tmp_path):
    path = tmp_path / "c"
    checkpoints.save(path, "run", advanced(fed, beginning(fed), 1))
    return path


def ignored(path, capsys, run="run"):
    found = checkpoints.load(path, run, CPU)
    said = capsys.readouterr().out
    assert found is None
    assert str(path) in said
    assert "starting from round one" in said


def test_no_checkpoint_is_no_message(tmp_path, capsys):
    assert checkpoints.load(tmp_path / "none", "run", CPU) is None
    assert capsys.readouterr().out == ""


def test_a_checkpoint_of_another_run_is_ignored_with_a_message(saved, capsys):
    ignored(saved, capsys, run="other")


@pytest.mark.parametrize("size", [0, 7, 100, -1])
def test_a_truncated_checkpoint_is_ignored_with_a_message(saved, capsys, size):
    saved.write_bytes(saved.read_bytes()[:size])
    ignored(saved, capsys)


def test_a_file_that_is_no_checkpoint_is_ignored_with_a_message(saved, capsys):
    save_file({"values": torch.zeros(3)}, saved)
    ignored(saved, capsys)


def test_a_checkpoint_with_a_flipped_bit_is_ignored_with_a_message(saved, capsys):
    content = bytearray(saved.read_bytes())
    content[-1] ^= 1
    saved.write_bytes(content)
    ignored(saved, capsys)


def test_a_state_whose_tensors_share_memory_can_be_saved(fed, tmp_path):
    state, zero = beginning(fed).state, torch.zeros(3)
    shared = replace(state, round=1, aggregator={"a": zero, "b": zero})
    checkpoints.save(tmp_path / "c", "run", Progress(shared, {}, []))
    found = checkpoints.load(tmp_path / "c", "run", CPU)
    assert found.state.aggregator["b"].tolist() == [0, 0, 0]


KILLED = """
import os, signal, sys
from fedsieve import checkpoints
from fedsieve.__main__ import main

save = checkpoints.save

def save_and_die(path, key, progress):
    save(path, key, progress)
    if progress.state.round == 2:
        os.kill(os.getpid(), signal.SIGKILL)

checkpoints.save = save_and_die
main(sys.argv[1:])
"""
"""A job that is killed once it has written the checkpoint of its second round."""


@pytest.mark.slow
def test_a_killed_training_job_resumes_and_writes_the_same_bytes(
    tmp_path, training, flags, undisturbed, written_bytes
):
    rounds = 5
    arguments = ["train", *flags(training(tmp_path, rounds, checkpoint_seconds=0.0))]
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "model.checkpoint").exists()
    assert not (tmp_path / "model.safetensors").exists()
    command = [sys.executable, "-m", "fedsieve", *arguments]
    log = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout
    assert log.startswith(f"round 3/{rounds}:")
    assert f"round {rounds}/{rounds}:" in log
    assert written_bytes(tmp_path) == undisturbed(rounds)
    assert not (tmp_path / "model.checkpoint").exists()


def test_a_checkpoint_of_other_settings_is_not_resumed_by_a_job(
    tmp_path, training, stage, capsys, undisturbed, written_bytes
):
    (tmp_path / "model.checkpoint").write_bytes(b"broken")
    stage("train")(**training(tmp_path))
    assert "unreadable checkpoint" in capsys.readouterr().out
    assert written_bytes(tmp_path) == undisturbed(3)
    assert (
        json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["settings"]["code"]
        == "digest"
    )
