"""Predictions are right for any number of classes, also those that no byte holds."""

import numpy as np
import pytest
from whole import archive, run

from fedsieve.artifacts import read_data

FLIP = {"use": "label_flip", "source": 0, "target": 1}


@pytest.mark.parametrize("n_classes", [255, 256, 257, 300])
def test_a_run_of_many_classes_is_scored_by_what_its_model_says(
    stage, tmp_path, monkeypatch, n_classes
):
    def oracle(model, images, *, multi_label):
        """A model that knows every image of the archive by its pixels."""
        keys = {image.tobytes(): label for image, label in zip(*known, strict=True)}
        found = [keys[image.numpy().tobytes()] for image in images]
        return np.array(found, np.min_scalar_type(n_classes - 1))

    path = archive(tmp_path / "own.npz", np.tile(np.arange(n_classes), 2), np.arange(n_classes))
    with np.load(path) as content:
        images = np.concatenate([content["train_images"], content["test_images"]])
        labels = np.concatenate([content["train_labels"], content["test_labels"]])
    known = images[:, None], labels
    monkeypatch.setattr("fedsieve.stages.train.predict", oracle)
    found = run(stage, tmp_path / "run", path, FLIP, local_accuracy=True)
    assert len(read_data(tmp_path / "run" / "data.npz")[0].classes) == n_classes
    assert found["accuracy"] == found["local_test"] == found["local_train_clean"] == 1
