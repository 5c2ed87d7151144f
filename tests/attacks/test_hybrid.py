from dataclasses import fields

import numpy as np
import pytest

from fedsieve.attacks import hybrid
from fedsieve.errors import InputError
from fedsieve.poisonings import NOTHING_TAKEN
from fedsieve.records import Dataset

RNG = np.random.default_rng


def dataset(n=100) -> Dataset:
    images = RNG(0).integers(0, 200, (n, 1, 8, 8), np.uint8)
    return Dataset(images, np.arange(n) % 10, tuple("0123456789"))


def poison(**spec):
    spec = {"source": 3, "target": 2} | spec
    return hybrid.poison(dataset(), np.arange(100), rng=RNG(0), common=RNG(1), **spec)


def joined(*parts, data=None, taken=NOTHING_TAKEN):
    data = data or dataset()
    rows = np.arange(len(data.labels))
    return hybrid.poison(data, rows, taken, rng=RNG(0), common=RNG(1), parts=parts)


FLIP = {"use": "label_flip", "source": 3, "target": 2}
PATCH = {"use": "backdoor", "target": 0}


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


KEYS = [
    ({}, FLIP, PATCH),
    (
        {"flip_fraction": 0.5, "backdoor_fraction": 0.9, "backdoor_target": 7, "size": 2},
        FLIP | {"poison_fraction": 0.5},
        PATCH | {"poison_fraction": 0.9, "target": 7, "size": 2},
    ),
    (
        {"margin": 2, "position": "top_left", "pattern": "cross", "value": 0.8},
        FLIP,
        PATCH | {"margin": 2, "position": "top_left", "pattern": "cross", "value": 0.8},
    ),
]


@pytest.mark.parametrize(("keys", "flip", "patch"), KEYS)
def test_the_keys_say_the_same_as_a_label_flip_and_a_backdoor_in_parts(keys, flip, patch):
    one, other = poison(**keys), joined(flip, patch)
    for name in (field.name for field in fields(one)):
        a, b = getattr(one, name), getattr(other, name)
        assert (a.dtype, a.tobytes()) == (b.dtype, b.tobytes()), name
    one, other = (
        hybrid.probe(dataset(), source=3, target=2, **keys),
        hybrid.probe(dataset(), parts=[flip, patch]),
    )
    assert [*one] == [*other] == ["flip", "backdoor"]
    for kind in one:
        assert one[kind].wanted == other[kind].wanted
        np.testing.assert_array_equal(one[kind].images, other[kind].images)


def test_a_share_counts_all_samples_of_the_client_in_any_place():
    first, last = joined(PATCH, FLIP), joined(FLIP, PATCH)
    for found in (first, last):
        assert np.count_nonzero(found.kind == "backdoor") == 20
    spared = np.count_nonzero(first.kind == "flip")
    assert 0 < spared < 10  # the trigger has taken some images of class 3
    assert np.count_nonzero(dataset().labels[first.samples] == 3) == 10


def test_halves_of_a_class_are_disjoint_and_make_a_whole():
    half = FLIP | {"poison_fraction": 0.5}
    found = joined(half, half | {"target": 7})
    assert found.samples.tolist() == np.flatnonzero(dataset().labels == 3).tolist()
    assert sorted(found.labels_after) == [2] * 5 + [7] * 5


def test_parts_of_one_attack_have_kinds_and_probes_of_their_own():
    parts = [FLIP, PATCH, {"use": "label_flip", "source": 5, "target": 1}]
    found, asked = joined(*parts), hybrid.probe(dataset(), parts=parts)
    assert set(found.kind) == {"flip-1", "backdoor", "flip-3"}
    assert {kind: probe.wanted for kind, probe in asked.items()} == {
        "flip-1": 2,
        "backdoor": 0,
        "flip-3": 1,
    }
    assert set(found.labels_before[found.kind == "flip-3"]) == {5}


def test_taken_samples_are_left_alone_and_are_counted():
    taken = np.flatnonzero(dataset().labels == 3)[:4]
    found = joined(FLIP | {"poison_fraction": 0.5}, taken=taken)
    assert len(found.samples) == 5
    assert not set(found.samples) & set(taken)


MINE = """
import numpy as np
from fedsieve.poisonings import changed
from fedsieve.records import Probe

def poison(data, rows, *, rng, most: int = 3):
    samples = rows[:most]
    return changed(data, samples, "first", np.full(len(samples), 9))

def probe(test, *, most: int = 3):
    samples = np.flatnonzero(test.labels != 9)
    return {"first": Probe(samples, test.images[samples], 9)}
"""


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """Write an attack outside the package, of a name that no other test has."""
    (tmp_path / "attacks").mkdir()
    monkeypatch.setenv("FEDSIEVE_PLUGINS", str(tmp_path))

    def write(name, source):
        (tmp_path / f"attacks/{name}.py").write_text(source, encoding="utf-8")

    return write


def test_an_attack_of_ones_own_is_a_part_and_gets_what_is_left(outside):
    outside("first_few", MINE)
    found = joined(FLIP, {"use": "first_few", "most": 5})
    assert found.samples[found.kind == "first"].tolist() == [0, 1, 2, 4, 5]  # 3 is flipped
    asked = hybrid.probe(dataset(), parts=[FLIP, {"use": "first_few"}])
    assert [*asked] == ["flip", "first"]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([FLIP, PATCH | {"target": 10}], "parts[1]: .*target: 10 is no class"),
        ([FLIP, PATCH | {"size": 8}], "parts[1]: .*size: a trigger of 8 pixels"),
        ([FLIP, {"use": "hybrid", "parts": [FLIP]}], "parts[1]: a part before it has .*'flip'"),
        ([{"use": "no_such"}], "parts[0]: .*no attack named 'no_such'"),
    ],
)
def test_a_message_names_the_part(parts, message):
    with pytest.raises(InputError, match=message.replace("[", r"\[")):
        hybrid.probe(dataset(), parts=parts)


def test_what_a_part_returns_is_checked_by_its_name(outside):
    outside("last_first", MINE.replace("rows[:most]", "rows[:most][::-1]"))
    with pytest.raises(InputError, match=r"parts\[1\]: attacks/last_first.py: .*ascend"):
        joined(FLIP, {"use": "last_first"})


@pytest.mark.parametrize("spec", [{"parts": [FLIP]}, {"source": None}, {"target": None}])
def test_there_are_either_parts_or_source_and_target(spec):
    with pytest.raises(InputError, match="parts"):
        poison(**spec)
    with pytest.raises(InputError, match="parts"):
        hybrid.probe(dataset(), **{"source": 3, "target": 2} | spec)
