"""What every file of src/fedsieve/attacks promises; a new one is tested once it is there."""

import copy

import numpy as np
import pytest

from fedsieve import registry
from fedsieve.poisonings import carries
from fedsieve.records import Dataset

CLASSES = tuple("0123456789")
IMAGES = np.random.default_rng(0).integers(0, 200, (600, 1, 9, 9), dtype=np.uint8)
SINGLE = Dataset(IMAGES, np.random.default_rng(1).integers(0, 10, 600), CLASSES)
SEVERAL = Dataset(
    IMAGES, (np.random.default_rng(1).random((600, 10)) < 0.2).astype(np.uint8), CLASSES
)
ROWS = np.arange(1, 600, 2)

pytestmark = [
    pytest.mark.parametrize("name", registry.available("attacks")),
    pytest.mark.parametrize("data", [SINGLE, SEVERAL], ids=["single", "multi_label"]),
]


def poison(name, data, rows=ROWS, seed=0):
    plugin = registry.load("attacks", name)
    return plugin.poison(data, rows, rng=np.random.default_rng(seed), **plugin.EXAMPLE)


def probes(name, data):
    plugin = registry.load("attacks", name)
    return plugin.probe(data, **plugin.EXAMPLE)


def test_the_example_is_a_valid_spec(name, data):
    example = registry.load("attacks", name).EXAMPLE
    registry.check("attacks", {"use": name, **example})


def test_the_example_poisons_some_but_not_all(name, data):
    assert len(poison(name, data).samples) < len(ROWS)
    assert len(poison(name, data).samples) > 0 or name == "unattacked"


def test_only_the_clients_own_samples_are_touched(name, data):
    found = poison(name, data)
    assert set(found.samples) <= set(ROWS)
    assert found.samples.tolist() == sorted(set(found.samples))
    assert len(found.malicious) == 0


def test_arrays_run_along_the_poisoned_samples(name, data):
    found = poison(name, data)
    n = len(found.samples)
    assert (found.kind.shape, found.kind.dtype.kind) == ((n,), "U")
    assert found.images.shape == (n, *IMAGES.shape[1:])
    assert found.labels_after.shape == found.labels_before.shape == (n, *data.labels.shape[1:])
    assert found.labels_after.dtype == data.labels.dtype
    assert (found.samples.dtype, found.images.dtype) == (np.int64, np.uint8)


def test_every_poisoned_sample_differs_from_what_it_was(name, data):
    found = poison(name, data)
    np.testing.assert_array_equal(found.labels_before, data.labels[found.samples])
    for row, before, after, image in zip(
        found.samples, found.labels_before, found.labels_after, found.images, strict=True
    ):
        assert (before != after).any() or (image != data.images[row]).any()


def test_labels_stay_within_the_classes(name, data):
    labels = poison(name, data).labels_after
    upper = 2 if data.multi_label else len(CLASSES)
    assert ((labels >= 0) & (labels < upper)).all()


def test_inputs_are_not_modified_and_not_shared(name, data):
    before, rows = copy.deepcopy(data), ROWS.copy()
    found = poison(name, data, rows)
    found.images[:], found.labels_before[:], found.labels_after[:] = 0, 0, 0
    for probe in probes(name, data).values():
        probe.images[:] = 0
    np.testing.assert_array_equal(data.images, before.images)
    np.testing.assert_array_equal(data.labels, before.labels)
    np.testing.assert_array_equal(rows, ROWS)


def test_the_generator_alone_decides(name, data):
    one, same, other = poison(name, data), poison(name, data), poison(name, data, seed=1)
    np.testing.assert_array_equal(one.samples, same.samples)
    np.testing.assert_array_equal(one.images, same.images)
    assert one.samples.tolist() != other.samples.tolist() or name == "unattacked"


def test_a_client_without_samples_poisons_nothing(name, data):
    assert len(poison(name, data, ROWS[:0]).samples) == 0


@pytest.mark.parametrize("label", range(10))
def test_a_client_with_one_class_is_no_error(name, data, label):
    rows = np.flatnonzero(carries(data.labels, label))
    assert set(poison(name, data, rows).samples) <= set(rows)


def test_each_kind_of_poison_has_a_probe(name, data):
    assert set(poison(name, data).kind) == set(probes(name, data))


def test_probes_want_a_class_and_ask_no_image_that_truly_has_it(name, data):
    for probe in probes(name, data).values():
        assert probe.wanted in range(len(CLASSES))
        assert len(probe.samples) > 0
        assert not carries(data.labels[probe.samples], probe.wanted).any()
        assert probe.images.shape == (len(probe.samples), *IMAGES.shape[1:])
        assert probe.images.dtype == np.uint8
