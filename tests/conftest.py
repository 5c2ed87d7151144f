"""What all tests share; its import hook checks shapes and types in all of fedsieve."""

import functools
import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path

import jaxtyping
import pytest
import torch
from hypothesis import settings
from needed import absent
from small import MODEL, N_CLIENTS, SANITIZER

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # or each test process would lease a card

jaxtyping.install_import_hook(
    "fedsieve", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
)
settings.register_profile("fedsieve", deadline=None, derandomize=True)  # no test depends on luck
settings.load_profile("fedsieve")
torch.set_num_threads(1)

SGD = {"epochs": 1, "batch_size": 16, "lr": 0.05, "momentum": 0.9, "weight_decay": 0.001}
TASK = {"model": MODEL, "rounds": 3, "cohort": 4, "sampling": "stratified", "local": SGD}
TASK["warmup"] = {"rounds": 2, "steps": 5}
FLIP = {"use": "label_flip", "source": 3, "target": 2}


@pytest.fixture(scope="session")
def mirror():
    """Data root with the real data sets; only outside continuous integration may it be missing."""
    if "FEDSIEVE_DATA" not in os.environ:
        absent("FEDSIEVE_DATA names no data root")
    return Path(os.environ["FEDSIEVE_DATA"])


@pytest.fixture
def plugin(tmp_path_factory, monkeypatch):
    """Add a plug-in for one test: ``plugin(kind, name, source)``; the real ones stay available."""
    registry = importlib.import_module("fedsieve.registry")
    package = tmp_path_factory.mktemp("package")
    for kind in registry.CONTRACTS:
        (package / kind).mkdir()
        for path in (registry.PACKAGE / kind).glob("*.py"):
            (package / kind / path.name).symlink_to(path)

    def add(kind, name, source):
        path = package / kind / f"{name}.py"
        path.write_text(source, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(registry.module(kind, name), path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setitem(sys.modules, spec.name, module)

    monkeypatch.setattr(registry, "PACKAGE", package)
    return add


@pytest.fixture(scope="session")
def stage():
    """A stage's function by name, as the command line finds it."""
    return lambda name: getattr(importlib.import_module(f"fedsieve.stages.{name}"), name)


@pytest.fixture(scope="session")
def scenario(tmp_path_factory, stage):
    """Folder with the artifacts of a small scenario, from the data to the sanitizer's mask."""
    at = tmp_path_factory.mktemp("scenario")
    digits = {"dataset": {"use": "digits"}, "root": at, "receipt": at / "receipt.json"}
    stage("fetch")(**digits)
    stage("data")(**digits, data=at / "data.npz", max_samples=250)
    inputs = {"data": at / "data.npz", "clients": at / "clients.npz"}
    stage("partition")(**inputs, partition={"use": "iid"}, n_clients=N_CLIENTS, seed=1)
    inputs["poisoning"] = at / "poisoning.npz"
    stage("poison")(**inputs, attack=FLIP, ratio=0.4, seed=1)
    stage("warmup")(**inputs, task=TASK, seed=1, encoder=at / "encoder.safetensors")
    _sanitize(at, stage, inputs)
    return at


def _sanitize(at, stage, inputs):
    """Run a sanitizer as the workflow does, but with one client a job; the server has its own."""

    def files(kind):
        return [at / f"{kind}{client}.npz" for client in range(N_CLIENTS)]

    exchange = {"sanitizer": SANITIZER, "exchange": 0, "seed": 1, "remembered": []}
    for client in range(N_CLIENTS):
        view, message, memory = (
            at / f"{kind}{client}.npz" for kind in ("view", "message", "memory")
        )
        encoder = {"encoder": at / "encoder.safetensors", "model": MODEL, "layer": "conv2"}
        stage("features")(**inputs, **encoder, client=[client], view=[view])
        own = {"view": [view], "layers": ["conv2"], "message": [message], "memory": [memory]}
        stage("sanitize_client")(**exchange, **own, broadcast=[], client=[client])
    broadcast = at / "broadcast.npz"
    stage("sanitize_server")(
        **exchange, messages=files("message"), broadcast=broadcast, state=at / "state.npz"
    )
    for client, (view, memory, keep) in enumerate(
        zip(files("view"), files("memory"), files("keep"), strict=True)
    ):
        own = {"view": [view], "layers": ["conv2"], "memory": [memory], "keep": [keep]}
        stage("keep_client")(**own, broadcast=broadcast, sanitizer=SANITIZER, client=[client])
    masks = {"masks": files("keep"), "server": at / "state.npz"}
    stage("keep")(clients=inputs["clients"], **masks, keep=at / "keep.npz")


@pytest.fixture(scope="session")
def training(scenario):
    """Arguments of a training job that writes to a folder: ``training(folder, rounds=9, ...)``."""

    def arguments(folder, rounds=TASK["rounds"], **changed):
        read = {key: scenario / f"{key}.npz" for key in ("data", "clients", "poisoning")}
        settings = {"task": TASK | {"rounds": rounds}, "attack": FLIP, "sanitizer": {}}
        settings |= {"defense": {"aggregate": {"use": "fedavg"}}, "ratio": 0.4, "seed": 1}
        written = {
            "model": folder / "model.safetensors",
            "predictions": folder / "predictions.npz",
            "clients_log": folder / "clients.csv",
            "kept": folder / "kept.npz",
            "screened": folder / "screened.npz",
            "snapshots": folder / "snapshots.safetensors",
            "record": folder / "run.json",
        }
        defaults = {"keep": [scenario / "keep.npz"], "code": "digest", "device": "cpu"}
        return read | settings | written | defaults | changed

    return arguments


@pytest.fixture(scope="session")
def flags():
    """Arguments of a stage as its command line."""

    def text(value):
        return json.dumps(value) if isinstance(value, dict) else str(value)

    def line(arguments):
        words = []
        for name, value in arguments.items():
            values = value if isinstance(value, list) else [value]
            words += ["--" + name.replace("_", "-"), *map(text, values)]
        return words

    return line


@pytest.fixture(scope="session")
def written_bytes():
    """Content of all that a training job writes and other jobs read."""
    names = ("model.safetensors", "predictions.npz", "clients.csv", "kept.npz")
    names += ("screened.npz", "snapshots.safetensors")
    return lambda folder: {name: (folder / name).read_bytes() for name in names}


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory, stage, training, written_bytes):
    """What a training job of so many rounds writes when nothing happens to it."""

    @functools.cache
    def content(rounds):
        folder = tmp_path_factory.mktemp("undisturbed")
        stage("train")(**training(folder, rounds))
        return written_bytes(folder)

    return content
