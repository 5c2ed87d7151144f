"""Recorded steps, on the CPU; tests named after a card need a real one (docs/gpu.md)."""

import copy
import importlib
import json
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fedsieve import device, graphs, provenance, registry
from fedsieve.errors import InputError
from fedsieve.local import Sgd, TrainingData, Workers, batches, train_client
from fedsieve.records import Dataset
from fedsieve.vectors import bind, flatten

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (90, 1, 12, 12), dtype=np.uint8)
CLASSES = tuple("0123456789")
CPU = torch.device("cpu")
DATA = TrainingData.of(Dataset(IMAGES, RNG.integers(0, 10, 90), CLASSES), CPU)
SEVERAL = TrainingData.of(
    Dataset(IMAGES, (RNG.random((90, 10)) < 0.3).astype(np.uint8), CLASSES), CPU
)
CLIENTS = (40, 7, 33)
"""Samples of each client: full batches of 8 and smaller ones, 5 of none, 4 of 1 and so left out."""
SGD = Sgd(epochs=2, batch_size=8, lr=0.1, momentum=0.9, weight_decay=0.01)
on_a_card = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU")


def cnn2():
    return registry.load("models", "cnn2").build((1, 12, 12), 10, channels=(3, 5), hidden=9)


def cnn_bn():
    return registry.load("models", "cnn_bn").build((1, 12, 12), 10, blocks=((4,), (6,)))


def bf16():
    model = cnn2()
    model.bf16 = True
    return model


class Tape(TorchDispatchMode):
    """A graph on the CPU: holds every operation with its memory, and repeats it there.

    As on a card, what a capture does to tensors has not happened, and Python runs only then.
    """

    def __init__(self):
        super().__init__()
        self.operations, self.undo, self.replays = [], [], 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
        self.undo += [(t, t.clone()) for t in tensors]
        made = function(*args, **(kwargs or {}))
        self.operations.append((function, args, kwargs or {}, made))
        return made

    @torch.no_grad()
    def __exit__(self, *error):
        super().__exit__(*error)
        for tensor, before in reversed(self.undo):
            tensor.copy_(before)

    @torch.no_grad()
    def replay(self):
        self.replays += 1
        for function, args, kwargs, made in self.operations:
            again = function(*args, **kwargs)
            for place, new in zip(tree_leaves(made), tree_leaves(again), strict=True):
                if isinstance(new, torch.Tensor) and new.data_ptr() != place.data_ptr():
                    place.copy_(new)


@pytest.fixture
def tapes(monkeypatch):
    """A CUDA without a card, whose graphs are tapes; those made so far."""
    made = []

    def graph():
        made.append(Tape())
        return made[-1]

    def stream(*_):
        return SimpleNamespace(wait_stream=lambda _: None)

    monkeypatch.setattr(torch.cuda, "CUDAGraph", graph)
    monkeypatch.setattr(torch.cuda, "Stream", stream)
    monkeypatch.setattr(torch.cuda, "current_stream", stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "graph", lambda tape, **_: tape)
    return made


def eagerly(step, touched):
    """A capture that only hands back the step on its buffers."""
    return step


def trained(model, train, data=DATA, sgd=SGD, clients=CLIENTS, n_workers=1, local_loss=None):
    """Weights and losses of clients one after another, and the replicas' last state."""
    start = flatten(model).expand(len(clients), -1)
    replicas = [copy.deepcopy(model) for _ in range(n_workers)]
    steps = [batches(np.arange(n), sgd, np.random.default_rng(n)) for n in clients]
    values, losses = Workers(replicas, train).train(start, data, steps, sgd, local_loss)
    return values, losses, replicas[0].state_dict()


def assert_same(one, other):
    assert torch.equal(one[0], other[0])
    assert one[1] == other[1]
    assert all(torch.equal(one[2][name], tensor) for name, tensor in other[2].items())


PLAIN = Sgd(epochs=2, batch_size=8, lr=0.1)
CASES = {
    "plain": (cnn2, DATA, PLAIN),
    "momentum and decay": (cnn2, DATA, SGD),
    "batch normalization": (cnn_bn, DATA, SGD),
    "several labels": (cnn2, SEVERAL, SGD),
    "augmented": (cnn_bn, DATA, Sgd(2, 8, 0.1, 0.9, augment=True)),
    "limited steps": (cnn2, DATA, Sgd(1, 8, 0.1, 0.9, steps=7)),
    "bfloat16": (bf16, DATA, SGD),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("capture", [eagerly, graphs.captured])
def test_recorded_steps_give_the_bytes_of_plain_ones(tapes, case, capture):
    torch.manual_seed(0)
    build, data, sgd = CASES[case]
    model = build()
    wanted = trained(model, train_client, data, sgd)
    assert_same(trained(model, graphs.recorder(capture), data, sgd), wanted)
    assert not torch.equal(wanted[0][0], flatten(model))


def test_a_step_is_captured_once_and_replayed_for_each_full_batch(tapes):
    train, model = graphs.recorder(graphs.captured), cnn2()
    trained(model, train)
    # twice 40 // 8, none of 7, and twice 33 // 8
    assert [tape.replays for tape in tapes] == [18]


def test_clients_of_later_rounds_replay_the_same_step(tapes):
    workers, model = Workers([cnn2()], graphs.recorder(graphs.captured)), cnn2()
    for number in range(3):
        steps = [batches(np.arange(16), SGD, np.random.default_rng(number))]
        workers.train(flatten(model)[None], DATA, steps, SGD)
    assert [tape.replays for tape in tapes] == [12]


def test_each_replica_of_a_model_has_a_recording_of_its_own(tapes):
    train, model = graphs.recorder(graphs.captured), cnn2()
    first, second = (trained(model, train)[0] for _ in range(2))
    assert torch.equal(first, second)
    assert len(tapes) == 2


@pytest.mark.parametrize(
    ("data", "sgd"),
    [(DATA, Sgd(2, 8, 0.1)), (DATA, Sgd(2, 9, 0.1, 0.9, 0.01)), (SEVERAL, SGD)],
    ids=["settings", "batch", "labels"],
)
def test_other_settings_and_shapes_have_a_recording_of_their_own(tapes, data, sgd):
    recorded, plain = Workers([cnn2()], graphs.recorder(graphs.captured)), Workers([cnn2()])
    start = flatten(cnn2())[None]
    for of, by in ((DATA, SGD), (data, sgd)):
        found, wanted = (
            workers.train(start, of, [batches(np.arange(20), by, np.random.default_rng(0))], by)
            for workers in (recorded, plain)
        )
        assert torch.equal(found[0], wanted[0])
    assert len(tapes) == 2


def test_a_client_without_a_full_batch_captures_nothing(tapes):
    trained(cnn2(), graphs.recorder(graphs.captured), clients=[7, 1, 0])
    assert tapes == []


def test_a_local_loss_that_changes_is_never_recorded(tapes):
    model, factor = cnn2(), iter(range(1000))

    def pull(model, labels):
        return model.predictor[0].bias.sum() * next(factor)

    found = trained(model, graphs.recorder(graphs.captured), local_loss=pull)
    factor = iter(range(1000))
    assert_same(found, trained(model, train_client, local_loss=pull))
    assert tapes == []


def test_a_model_bound_anew_is_recorded_anew(tapes):
    train, model = graphs.recorder(graphs.captured), cnn2()
    for _ in range(2):
        values = bind(model)
        before = values.clone()
        train(model, DATA, batches(np.arange(16), SGD, RNG), SGD, None)
        assert not torch.equal(values, before)
    assert len(tapes) == 2


def test_capture_leaves_no_trace_in_tensors_and_random_state(tapes):
    model, seen = cnn_bn(), []
    values, other = bind(model), torch.zeros(3)
    changed = [values, other, *model.buffers()]

    def step():
        seen.append([torch.get_rng_state(), *(tensor.clone() for tensor in changed)])
        other.add_(torch.rand(()))
        values.add_(F.cross_entropy(model(torch.rand(8, 1, 12, 12)), torch.arange(8)))

    graphs.captured(step, changed)
    first, second, _, at_capture = seen
    assert not any(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(first, at_capture, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(first[1:], changed, strict=True))


def test_training_by_recorded_steps_writes_the_same_bytes(
    tmp_path, stage, training, undisturbed, written_bytes, tapes, monkeypatch
):
    monkeypatch.setattr(graphs, "wanted", lambda _: True)
    stage("train")(**training(tmp_path, rounds=2))
    assert written_bytes(tmp_path) == undisturbed(2)
    assert sum(tape.replays for tape in tapes) > len(tapes) > 0
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["cuda_graphs"] is True


def test_the_warm_up_model_is_trained_by_recorded_steps_to_the_same_bytes(
    tmp_path, scenario, stage, training, tapes, monkeypatch
):
    inputs = {name: scenario / f"{name}.npz" for name in ("data", "clients", "poisoning")}
    task = training(tmp_path)["task"]
    made = []
    for wanted in (False, True):
        monkeypatch.setattr(graphs, "wanted", lambda _, wanted=wanted: wanted)
        path = tmp_path / f"{wanted}.safetensors"
        stage("warmup")(**inputs, task=task, seed=1, encoder=path, device="cpu")
        made.append(path.read_bytes())
        assert bool(tapes) == wanted
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("setting", "kind", "wanted"),
    [
        (None, "cuda", False),
        ("0", "cuda", False),
        ("1", "cuda", True),
        ("1", "cpu", False),
        (None, "cpu", False),
    ],
)
def test_graphs_are_wanted_on_a_card_alone_and_only_if_asked_for(
    monkeypatch, setting, kind, wanted
):
    monkeypatch.delenv(graphs.SETTING, raising=False)
    if setting:
        monkeypatch.setenv(graphs.SETTING, setting)
    assert graphs.wanted(torch.device(kind)) is wanted


def test_a_setting_that_is_neither_0_nor_1_is_an_error_that_says_so(monkeypatch):
    monkeypatch.setenv(graphs.SETTING, "yes")
    with pytest.raises(InputError, match=r"^FEDSIEVE_CUDA_GRAPHS='yes': set it to 1, or to 0"):
        graphs.wanted(CPU)


def test_without_the_setting_clients_are_trained_as_ever(
    tmp_path, stage, training, tapes, monkeypatch
):
    monkeypatch.delenv(graphs.SETTING, raising=False)
    monkeypatch.setattr(graphs, "recorder", None)
    stage("train")(**training(tmp_path, rounds=1))
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["cuda_graphs"] is False


@pytest.mark.parametrize("build", [cnn2, cnn_bn, bf16])
@on_a_card
def test_graphs_on_a_card_give_the_bytes_of_plain_steps(build):
    model, data = build().to("cuda"), TrainingData(DATA.images.cuda(), DATA.labels.cuda())
    with torch.backends.cudnn.flags(deterministic=True, allow_tf32=False):
        wanted = trained(model, train_client, data)
        assert_same(trained(model, graphs.recorder(graphs.captured), data), wanted)


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(provenance.ROOT.parent)
    return importlib.import_module("benchmarks.graphs").main


def test_the_benchmark_runs_dry_on_the_cpu(benchmark, capsys):
    benchmark(["--dry-run", "--turns", "1", "--only", "mnist", "fashion"])
    said = capsys.readouterr().out
    assert said.count("the same bytes: yes; plain repeats: yes") == 2
    assert "dry run on the CPU" in said


def test_the_benchmark_tells_other_weights(benchmark, capsys, monkeypatch):
    monkeypatch.setattr(graphs.Replica, "step", lambda *_: None)
    benchmark(["--dry-run", "--turns", "1", "--only", "mnist"])
    assert "the same bytes: NO" in capsys.readouterr().out


def test_the_benchmark_without_a_card_says_so(benchmark, capsys, monkeypatch):
    monkeypatch.setattr(device, "choose", lambda _: CPU)
    benchmark([])
    assert capsys.readouterr().out.startswith("no card: nothing to measure")
