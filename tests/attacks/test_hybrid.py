import numpy as np
import pytest

from fedsieve.attacks import hybrid
from fedsieve.errors import InputError
from fedsieve.records import Dataset

RNG = np.random.default_rng


def dataset(n=100) -> Dataset:
    images = RNG(0).integers(0, 200, (n, 1, 8, 8), np.uint8)
    return Dataset(images, np.arange(n) % 10, tuple("0123456789"))


def poison(**spec):
    return hybrid.poison(dataset(), np.arange(100), rng=RNG(0), source=3, target=2, **spec)


def test_all_of_the_source_class_are_flipped_and_a_fifth_of_all_images_patched():
    found = poison()
    kinds, counts = np.unique(found.kind, return_counts=True)
    assert dict(zip(kinds, counts, strict=True)) == {"flip": 10, "backdoor": 20}


def test_no_sample_is_poisoned_twice_where_everything_is_poisoned():
    found = poison(backdoor_fraction=1.0)
    # all but the ten images of the backdoor's target class: 10 flipped, 80 patched
    assert len(set(found.samples)) == len(found.samples) == 90
    assert np.count_nonzero(found.kind == "flip") == 10


def test_flips_change_labels_only_and_patches_change_both():
    found, data = poison(), dataset()
    same = (found.images == data.images[found.samples]).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(same, found.kind == "flip")
    assert set(found.labels_after[found.kind == "flip"]) == {2}
    assert set(found.labels_after[found.kind == "backdoor"]) == {0}


def test_amount_of_patching_does_not_shift_which_samples_are_flipped():
    few, many = (poison(flip_fraction=0.5, backdoor_fraction=q) for q in (0.1, 0.5))
    assert few.samples[few.kind == "flip"].tolist() == many.samples[many.kind == "flip"].tolist()


def test_probes_both_attacks_apart():
    probes = hybrid.probe(dataset(), source=3, target=2, backdoor_target=1, size=2)
    assert {kind: (probe.wanted, len(probe.samples)) for kind, probe in probes.items()} == {
        "flip": (2, 10),
        "backdoor": (1, 90),
    }


def test_trigger_is_the_same_in_training_and_in_the_probe():
    spec = {"size": 2, "margin": 2, "position": "top_left", "pattern": "cross", "value": 0.8}
    found = poison(**spec)
    patched = found.images[found.kind == "backdoor"]
    probe = hybrid.probe(dataset(), source=3, target=2, **spec)["backdoor"]
    np.testing.assert_array_equal(patched[0, 0, 2:4, 2:4], np.full((2, 2), 204))
    np.testing.assert_array_equal(probe.images[0, 0, 2:4, 2:4], np.full((2, 2), 204))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"flip_fraction": 2.0}, "flip_fraction: 2.0"),
        ({"backdoor_fraction": -1.0}, "backdoor_fraction: -1.0"),
        ({"backdoor_target": 10}, "backdoor_target: 10 is no class"),
        ({"size": 8}, "size: a trigger of 8 pixels"),
    ],
)
def test_a_wrong_parameter_is_named_as_in_the_config(spec, message):
    with pytest.raises(InputError, match=f"^{message}"):
        poison(**spec)
    with pytest.raises(InputError, match=f"^{message}"):
        hybrid.probe(dataset(), source=3, target=2, **spec)
