"""`bf16: true` changes how a network computes and nothing else."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fedsieve.artifacts import read_data
from fedsieve.engine.models import initial_model
from fedsieve.features import extract, predict, scores

MODEL = {"use": "cnn2", "padding": 1, "hidden": 16, "channels": [4, 8]}


@pytest.fixture(scope="module")
def both(scenario):
    """The same untrained network computing in float32 and in bfloat16, and images."""
    train, _ = read_data(scenario / "data.npz")
    models = [initial_model(MODEL | more, train, 1) for more in ({}, {"bf16": True})]
    return *models, torch.from_numpy(train.images[:100])


def test_both_start_from_the_same_weights_in_float32(both):
    plain, half, _ = both
    for a, b in zip(plain.parameters(), half.parameters(), strict=True):
        assert a.dtype == b.dtype == torch.float32
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_outputs_and_features_are_float32_arrays_with_the_precision_of_bfloat16(both):
    plain, half, images = both
    for found, other in (
        (scores(plain, images), scores(half, images)),
        *(
            (extract(plain, images, layer), extract(half, images, layer))
            for layer in ("conv2", "output")
        ),
    ):
        assert other.dtype == np.float32
        assert not np.array_equal(found, other)
        np.testing.assert_allclose(found, other, atol=2**-7 * np.abs(found).max() * 4)


def test_pixels_do_not_change(both):
    plain, half, images = both
    np.testing.assert_array_equal(extract(plain, images, "raw"), extract(half, images, "raw"))


def test_predictions_mostly_agree(both):
    plain, half, images = both
    a, b = (predict(model, images, multi_label=False) for model in (plain, half))
    assert (a == b).mean() > 0.9


def test_training_learns_as_much_and_writes_float32_weights(stage, training, tmp_path):
    found = []
    for name, more in (("plain", {}), ("off", {"bf16": False}), ("half", {"bf16": True})):
        (tmp_path / name).mkdir()
        arguments = training(tmp_path / name)
        task = arguments["task"]
        stage("train")(**arguments | {"task": task | {"model": task["model"] | more}})
        found.append(load_file(arguments["model"]))
    plain, off, half = found
    for name, values in plain.items():
        assert torch.equal(values, off[name])
        assert half[name].dtype == torch.float32
        assert not torch.equal(values, half[name])
        torch.testing.assert_close(values, half[name], rtol=0, atol=0.1)
