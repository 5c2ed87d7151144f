import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedsieve.attacks import label_flip
from fedsieve.errors import InputError
from fedsieve.records import Dataset

RNG = np.random.default_rng


def dataset(labels) -> Dataset:
    labels = np.asarray(labels)
    n_classes = labels.shape[1] if labels.ndim == 2 else 3
    images = RNG(0).integers(0, 256, (len(labels), 1, 4, 4), dtype=np.uint8)
    return Dataset(images, labels, ("cat", "dog", "owl")[:n_classes])


def test_all_of_the_clients_source_class_get_the_target_label_by_default():
    data = dataset([0, 1, 1, 2, 1, 0])
    found = label_flip.poison(data, np.array([0, 1, 3, 4]), rng=RNG(0), source=1, target=2)
    assert found.samples.tolist() == [1, 4]  # sample 2 is another client's
    assert found.apply(data).labels.tolist() == [0, 2, 1, 2, 2, 0]
    assert set(found.kind) == {"flip"}


def test_no_image_changes():
    data = dataset([1, 1, 0])
    found = label_flip.poison(data, np.arange(3), rng=RNG(0), source=1, target=2)
    np.testing.assert_array_equal(found.apply(data).images, data.images)


@given(st.integers(0, 20), st.integers(0, 10))
def test_halves_of_the_fraction_are_rounded_up(n_source, tenths):
    data = dataset([1] * n_source + [0] * 5)
    found = label_flip.poison(
        data,
        np.arange(len(data.labels)),
        rng=RNG(0),
        source=1,
        target=0,
        poison_fraction=tenths / 10,
    )
    assert len(found.samples) == (n_source * tenths + 5) // 10


def test_multi_label_flip_moves_one_label_and_leaves_the_others():
    data = dataset(np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1]], np.uint8))
    found = label_flip.poison(data, np.arange(3), rng=RNG(0), source=0, target=1)
    assert found.apply(data).labels.tolist() == [[0, 1, 1], [0, 1, 0], [0, 1, 1]]


def test_probe_asks_for_the_test_images_of_the_source_class():
    test = dataset([2, 1, 0, 1])
    probe = label_flip.probe(test, source=1, target=2)["flip"]
    assert (probe.samples.tolist(), probe.wanted) == ([1, 3], 2)
    np.testing.assert_array_equal(probe.images, test.images[[1, 3]])


def test_multi_label_probe_leaves_out_images_that_have_the_target_label():
    test = dataset(np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0]], np.uint8))
    assert label_flip.probe(test, source=0, target=1)["flip"].samples.tolist() == [0]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"source": 3, "target": 0}, r"source: 3 is no class .* 0 \(cat\), 1 \(dog\), 2 \(owl\)"),
        ({"source": 0, "target": -1}, "target: -1 is no class"),
        ({"source": 1, "target": 1}, "target: 1 is the source class itself"),
        ({"source": 1, "target": 0, "poison_fraction": 1.1}, "poison_fraction: 1.1"),
        ({"source": 1, "target": 0, "poison_fraction": float("nan")}, "poison_fraction: nan"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_exists(spec, message):
    with pytest.raises(InputError, match=message):
        label_flip.poison(dataset([0, 1, 2]), np.arange(3), rng=RNG(0), **spec)


def test_a_probe_for_a_class_that_is_not_there_is_an_error():
    with pytest.raises(InputError, match="source: 7 is no class"):
        label_flip.probe(dataset([0, 1, 2]), source=7, target=0)
