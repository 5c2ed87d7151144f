"""What every file of src/fedsieve/attacks promises; a new one is tested once it is there."""

import copy
import inspect

import numpy as np
import pytest
from specs import declares, spec

from fedsieve import registry
from fedsieve.errors import InputError
from fedsieve.poisonings import carries
from fedsieve.records import Dataset

CLASSES = tuple("0123456789")
IMAGES = np.random.default_rng(0).integers(0, 200, (600, 1, 9, 9), dtype=np.uint8)
SEVERAL = (np.random.default_rng(1).random((600, 10)) < 0.2).astype(np.uint8)
DATA = {
    "single": Dataset(IMAGES, np.random.default_rng(1).integers(0, 10, 600), CLASSES),
    "multi_label": Dataset(IMAGES, SEVERAL, CLASSES),
}
ROWS = np.arange(1, 600, 2)

pytestmark = [
    pytest.mark.parametrize("labels", DATA),
    pytest.mark.parametrize("name", registry.available("attacks")),
]


@pytest.fixture
def data(name, labels):
    if labels == "multi_label" and declares("attacks", name, "SINGLE_LABEL"):
        pytest.skip("SINGLE_LABEL: made for data with one label per sample")
    return DATA[labels]


def poison(name, data, rows=ROWS, seed=0):
    supplied = {name: np.random.default_rng(seed) for name in ("rng", "common")}
    return registry.bind("attacks", spec("attacks", name), "poison", **supplied)(data, rows)


def probes(name, data):
    return registry.bind("attacks", spec("attacks", name), "probe")(data)


def test_the_example_is_a_valid_spec(name, data):
    registry.check("attacks", spec("attacks", name))


def test_probe_takes_every_parameter_of_poison(name, labels):
    plugin = registry.load("attacks", name)
    poison, probe = (set(inspect.signature(f).parameters) for f in (plugin.poison, plugin.probe))
    assert not poison - probe - {"data", "rows", "taken", "rng", "common"}, (
        "each parameter of poison is one of probe"
    )


def test_several_labels_per_sample_are_used_or_refused_in_words(name, labels):
    if not declares("attacks", name, "SINGLE_LABEL"):
        assert len(poison(name, DATA[labels]).labels_after.shape) == DATA[labels].labels.ndim
        return
    for function in (poison, probes):
        with pytest.raises(InputError, match="one label per sample"):
            function(name, DATA["multi_label"])


def test_the_example_poisons_something_if_it_has_a_probe_or_needs_none(name, data):
    wanted = bool(probes(name, data)) or bool(declares("attacks", name, "UNTARGETED"))
    assert bool(len(poison(name, data).samples)) == wanted, (
        "the example must poison some of 300 samples of 10 classes"
    )


def test_only_the_clients_own_samples_are_touched(name, data):
    found = poison(name, data)
    assert set(found.samples) <= set(ROWS), "samples: numbers in the training set, out of `rows`"
    assert found.samples.tolist() == sorted(set(found.samples)), "samples: ascending, none twice"
    assert len(found.malicious) == 0, "malicious: empty, the workflow knows who it is"


def test_arrays_run_along_the_poisoned_samples(name, data):
    found = poison(name, data)
    n = len(found.samples)
    assert (found.kind.shape, found.kind.dtype.kind) == ((n,), "U"), "kind: a name per sample"
    assert found.images.shape == (n, *IMAGES.shape[1:]), "images: one per poisoned sample"
    wanted = (n, *data.labels.shape[1:])
    assert found.labels_before.shape == wanted, "labels_before: one per poisoned sample"
    assert found.labels_after.shape == wanted, "labels_after: one per poisoned sample"
    assert found.labels_after.dtype == data.labels.dtype, "labels_after: of the data's type"
    assert (found.samples.dtype, found.images.dtype) == (np.int64, np.uint8)


def test_every_poisoned_sample_differs_from_what_it_was(name, data):
    found = poison(name, data)
    np.testing.assert_array_equal(found.labels_before, data.labels[found.samples])
    for row, before, after, image in zip(
        found.samples, found.labels_before, found.labels_after, found.images, strict=True
    ):
        changed = (before != after).any() or (image != data.images[row]).any()
        assert changed, f"sample {row} counts as poisoned, but is as it was"


def test_labels_stay_within_the_classes(name, data):
    labels = poison(name, data).labels_after
    upper = 2 if data.multi_label else len(CLASSES)
    assert ((labels >= 0) & (labels < upper)).all(), f"labels: from 0 to {upper - 1}"


def test_inputs_are_not_modified_and_not_shared(name, data):
    before, rows = copy.deepcopy(data), ROWS.copy()
    found = poison(name, data, rows)
    found.images[:], found.labels_before[:], found.labels_after[:] = 0, 0, 0
    for probe in probes(name, data).values():
        probe.images[:] = 0
    wrong = "changed by the attack, or by who changes what it returned"
    np.testing.assert_array_equal(data.images, before.images, f"images {wrong}")
    np.testing.assert_array_equal(data.labels, before.labels, f"labels {wrong}")
    np.testing.assert_array_equal(rows, ROWS, f"rows {wrong}")


def test_the_generator_alone_decides(name, data):
    one, again, other = poison(name, data), poison(name, data), poison(name, data, seed=1)
    np.testing.assert_array_equal(one.samples, again.samples, "same rng, other samples")
    np.testing.assert_array_equal(one.images, again.images, "same rng, other images")
    fixed = bool(declares("attacks", name, "DETERMINISTIC"))
    assert (one.samples.tolist() == other.samples.tolist()) == fixed, (
        "another rng must draw other samples, unless the file says DETERMINISTIC = True"
    )


def test_a_client_without_samples_poisons_nothing(name, data):
    assert len(poison(name, data, ROWS[:0]).samples) == 0, "poisonings.empty(data) says so"


@pytest.mark.parametrize("label", range(10))
def test_a_client_with_one_class_is_no_error(name, data, label):
    rows = np.flatnonzero(carries(data.labels, label))
    assert set(poison(name, data, rows).samples) <= set(rows)


def test_each_kind_of_poison_has_a_probe(name, data):
    kinds, asked = set(poison(name, data).kind.tolist()), set(probes(name, data))
    if declares("attacks", name, "UNTARGETED"):
        assert not asked, "an untargeted attack has no probe"
        return
    assert kinds == asked, f"poison names the kinds {kinds}, probe asks for {asked}"


def test_probes_want_a_class_and_ask_no_image_that_truly_has_it(name, data):
    for kind, probe in probes(name, data).items():
        assert probe.wanted in range(len(CLASSES)), f"{kind}: wanted is the number of one class"
        assert len(probe.samples) > 0, f"{kind}: asks no image"
        has = carries(data.labels[probe.samples], probe.wanted)
        assert not has.any(), f"{kind}: asks images that truly are of the class it wants"
        assert probe.images.shape == (len(probe.samples), *IMAGES.shape[1:])
        assert probe.images.dtype == np.uint8


def test_as_a_part_of_a_hybrid_it_poisons_what_no_part_before_it_took(name, data):
    supplied = {name: np.random.default_rng(0) for name in ("rng", "common")}
    first = {"use": "random_flip"}
    both = {"use": "hybrid", "parts": [first, spec("attacks", name)]}
    alone = registry.bind("attacks", first, "poison", **supplied)(data, ROWS)
    supplied = {name: np.random.default_rng(0) for name in ("rng", "common")}
    found = registry.bind("attacks", both, "poison", **supplied)(data, ROWS)
    assert found.samples.tolist() == sorted(set(found.samples.tolist()))
    assert set(alone.samples) <= set(found.samples) <= set(ROWS)
    place = np.searchsorted(found.samples, alone.samples)
    np.testing.assert_array_equal(found.labels_after[place], alone.labels_after)
    asked = registry.bind("attacks", both, "probe")(data)
    assert len(asked) == len(probes(name, data))
