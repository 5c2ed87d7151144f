import hashlib
from dataclasses import replace

import numpy as np
import pytest

from fedsieve.datasets import chestmnist
from fedsieve.errors import InputError

FINDINGS = [  # of each training image, in ChestMNIST's order: 4 is mass, 5 nodule, 13 hernia
    [4],
    [],
    [5],
    [4, 5],
    [13],
    [4, 13],
    [0],
]


def table(findings):
    labels = np.zeros((len(findings), 14), np.uint8)
    for row, found in enumerate(findings):
        labels[row, found] = 1
    return labels


@pytest.fixture
def root(tmp_path, monkeypatch):
    arrays = {}
    for split, findings in (("train", FINDINGS), ("val", [[0]]), ("test", [[], [5], [4, 0]])):
        arrays[f"{split}_images"] = np.arange(len(findings)).repeat(28 * 28).astype(np.uint8)
        arrays[f"{split}_images"].shape = (-1, 28, 28)
        arrays[f"{split}_labels"] = table(findings)
    path = tmp_path / "chestmnist.npz"
    np.savez(path, **arrays)
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    file = replace(chestmnist.SOURCE.files[0], checksum=f"md5:{md5}")
    monkeypatch.setattr(chestmnist, "SOURCE", replace(chestmnist.SOURCE, files=(file,)))
    return tmp_path


def test_single_keeps_images_with_one_finding_that_is_among_the_first_eight(root):
    train, test = chestmnist.read(root)
    assert train.images[:, 0, 0, 0].tolist() == [0, 2, 6]
    assert train.labels.tolist() == [4, 5, 0]
    assert test.labels.tolist() == [5]
    assert (train.labels.dtype, train.images.shape) == (np.int64, (3, 1, 28, 28))


def test_single_has_the_classes_of_chestxray8(root):
    assert chestmnist.read(root, labels="single")[0].classes == (
        "atelectasis",
        "cardiomegaly",
        "effusion",
        "infiltration",
        "mass",
        "nodule",
        "pneumonia",
        "pneumothorax",
    )


def test_multi_keeps_every_image_and_finding_of_training_and_test(root):
    train, test = chestmnist.read(root, labels="multi")
    np.testing.assert_array_equal(train.labels, table(FINDINGS))
    np.testing.assert_array_equal(test.labels, table([[], [5], [4, 0]]))
    assert train.labels.dtype == np.uint8
    assert len(train.classes) == 14


def test_fetch_returns_the_sha256_although_only_the_md5_is_recorded(root):
    sha256 = hashlib.sha256((root / "chestmnist.npz").read_bytes()).hexdigest()
    assert chestmnist.fetch(root) == {"chestmnist.npz": sha256}


def test_other_content_is_refused(root):
    (root / "chestmnist.npz").write_bytes(b"other")
    for step in (chestmnist.fetch, chestmnist.read):
        with pytest.raises(InputError, match=r"chestmnist.npz: .*md5 is .*expected"):
            step(root)
