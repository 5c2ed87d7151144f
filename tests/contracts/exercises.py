"""Run a plug-in on next to nothing, through all functions that the workflow calls."""

import contextlib
import urllib.error
import urllib.request
import warnings
from collections import OrderedDict
from functools import partial
from unittest import mock

import numpy as np
import torch
from torch import nn

from fedsieve import exchanges, poisonings, registry
from fedsieve.errors import InputError
from fedsieve.local import Sgd, TrainingData
from fedsieve.records import Dataset, View, keeping
from fedsieve.rounds import Defense, Sampling, assemble, run, start
from fedsieve.vectors import layout, seeded

N_CLASSES = 4
LABELS = np.arange(60) % N_CLASSES
IMAGES = np.random.default_rng(0).integers(0, 256, (60, 1, 16, 16), dtype=np.uint8)
SEVERAL = (np.random.default_rng(1).random((60, N_CLASSES)) < 0.3).astype(np.uint8)
DATA = [Dataset(IMAGES, labels, tuple("abcd")) for labels in (LABELS, SEVERAL)]
ROWS = [np.arange(client, 60, 5) for client in range(5)]


def aggregator(spec, folder):
    if spec.get("n_malicious") == "oracle":  # what it is told then
        spec = spec | {"n_malicious": 2}
    shape = layout(nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2)))
    state = registry.bind("aggregators", spec, "init")(6, shape)
    for _ in range(2):
        aggregate = registry.bind("aggregators", spec, "aggregate", rng=np.random.default_rng(0))
        updates, cohort = torch.randn(5, shape.n_params), torch.tensor([0, 1, 2, 4, 5])
        _, state = aggregate(updates, cohort, torch.tensor([3, 9, 1, 4, 2]), state)


def sanitizer(spec, folder):
    features = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
    chances = np.full((60, N_CLASSES), 1 / N_CLASSES, np.float32)
    for judgement, layers in ((0, {"raw": features}), (4, {"raw": features, "output": chances})):
        views = [
            View(client, {name: array[own] for name, array in layers.items()}, LABELS[own], 4)
            for client, own in enumerate(ROWS)
        ]
        exchanges.judge(spec, views, seed=1, before_round=1, judgement=judgement)


def network():
    first = nn.Sequential(nn.Conv2d(1, 2, 5, stride=5), nn.ReLU())
    extractor = nn.Sequential(OrderedDict(conv=first, penultimate=nn.Flatten()))
    parts = OrderedDict(extractor=extractor, predictor=nn.Sequential(nn.Linear(18, N_CLASSES)))
    return nn.Sequential(parts)


def detector(spec, folder):
    fed = assemble(
        partial(seeded, network, 3),
        TrainingData(torch.from_numpy(IMAGES), torch.from_numpy(LABELS)),
        ROWS,
        sampling=Sampling(4),
        sgd=Sgd(epochs=1, batch_size=8, lr=0.05),
        defense=Defense({"use": "fedavg"}, detect=spec),
        seed=5,
        workers=1,
        n_classes=N_CLASSES,
    )
    list(run(fed, start(fed, keeping(np.ones(60, bool))), 2))


def attack(spec, folder):
    for data in DATA:
        supplied = {name: np.random.default_rng(0) for name in ("rng", "common")}
        with contextlib.suppress(InputError):  # several labels; the probe is to be tried, too
            registry.bind("attacks", spec, "poison", **supplied)(data, ROWS[0])
        with contextlib.suppress(InputError):
            poisonings.probes(spec, data)


def partition(spec, folder):
    given = {"n_clients": 3, "rng": np.random.default_rng(0)}
    for data in DATA:
        registry.bind("partitions", spec, "assign", **given)(data.labels)


def model(spec, folder):
    for channels in (1, 3):
        with contextlib.suppress(InputError):  # such as a mean for each of three channels
            build = registry.bind("models", spec, "build")
            net = seeded(partial(build, (channels, 28, 28), 4), 0)
            net(torch.rand(2, channels, 28, 28))


def dataset(spec, folder):
    arrays = {"train_images": IMAGES[:, 0], "train_labels": LABELS}
    arrays |= {"test_images": IMAGES[:, 0], "test_labels": LABELS}
    np.savez(folder / "my-scans.npz", **arrays)
    refused = urllib.error.URLError("no network in this test")
    with mock.patch.object(urllib.request, "urlopen", side_effect=refused):
        for function in ("fetch", "read"):
            registry.bind("datasets", spec, function)(folder)


EXERCISES = {
    "aggregators": aggregator,
    "sanitizers": sanitizer,
    "detectors": detector,
    "attacks": attack,
    "partitions": partition,
    "models": model,
    "datasets": dataset,
}


def exercise(kind, spec, folder):
    """Run it; what it refuses in words is fine, anything else that it raises is not."""
    with warnings.catch_warnings(), contextlib.suppress(InputError):
        warnings.simplefilter("ignore")  # such as clusters that converge to fewer
        EXERCISES[kind](spec, folder)
