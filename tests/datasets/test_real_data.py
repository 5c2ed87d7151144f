"""The real data sets, from the data mirror that FEDSIEVE_DATA names."""

import numpy as np
import pytest

from fedsieve import registry

MNIST_TRAIN = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
MNIST_TEST = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def load(mirror, name, **spec):
    spec["use"] = name
    files = registry.bind("datasets", spec, "fetch")(mirror)
    return files, registry.bind("datasets", spec, "read")(mirror)


@pytest.mark.parametrize(
    ("name", "train_counts", "test_counts", "mean"),
    [
        # published class counts, and mean intensities (0.1307 and 0.2860 of 255)
        ("mnist", MNIST_TRAIN, MNIST_TEST, 0.1307),
        ("fashion_mnist", [6000] * 10, [1000] * 10, 0.2860),
    ],
)
def test_idx_data_sets_are_complete(mirror, name, train_counts, test_counts, mean):
    files, (train, test) = load(mirror, name)
    assert len(files) == 4
    assert (train.images.shape, test.images.shape) == ((60000, 1, 28, 28), (10000, 1, 28, 28))
    assert np.bincount(train.labels).tolist() == train_counts
    assert np.bincount(test.labels).tolist() == test_counts
    assert train.images.mean() / 255 == pytest.approx(mean, abs=5e-5)


def test_cifar10_as_an_archive_is_complete(mirror):
    _, (train, test) = load(mirror, "npz", file="cifar10.npz")
    assert (train.images.shape, test.images.shape) == ((50000, 3, 32, 32), (10000, 3, 32, 32))
    assert np.bincount(train.labels).tolist() == [5000] * 10
    channels = train.images[::50].mean(axis=(0, 2, 3)) / 255
    np.testing.assert_allclose(channels, [0.4914, 0.4822, 0.4465], atol=0.02)  # a 50th of them


def test_chest_xrays_reduce_to_the_eight_class_task(mirror):
    spec = {"labels": "single", "first_labels": 8}
    _, (train, test) = load(mirror, "npz", file="nih1000.npz", **spec)
    with np.load(mirror / "nih1000.npz") as archive:
        labels = archive["train_labels"]
    one = np.flatnonzero((labels.sum(axis=1) == 1) & (labels[:, :8].sum(axis=1) == 1))
    assert len(train.images) == len(one) == 164
    assert (labels[one, train.labels] == 1).all()
    assert len(test.images) == 45


def test_pneumonia_is_a_task_of_two_classes(mirror):
    _, (train, test) = load(mirror, "npz", file="pneumoniamnist.npz", class_names=["normal", "ill"])
    assert (len(train.images), len(test.images)) == (4708, 624)
    assert np.bincount(train.labels).tolist() == [1214, 3494]  # published: 1,214 and 3,494
