"""The figure of samples caught, missed and lost."""

import numpy as np

from fedsieve import samples
from fedsieve.records import Dataset
from fedsieve.samples import PER_FATE, Shown
from fedsieve.stages.caught import by_fate

CLASSES = ("0", "1", "ankle boots")


def dataset(labels):
    """One-pixel images whose value is their row."""
    labels = np.array(labels, np.int64)
    return Dataset(np.arange(len(labels), dtype=np.uint8)[:, None, None, None], labels, CLASSES)


def test_each_sample_is_shown_by_truth_and_fate_with_the_label_that_it_carries():
    # rows 0 and 1 were flipped from 0 to 1; 1 and 3 are removed
    clean, held = dataset([0, 0, 1, 2]), dataset([1, 1, 1, 2])
    keep, poisoned = np.array([True, False, True, False]), np.array([True, True, False, False])
    found = by_fate(clean, held, keep, poisoned, seed=1)
    assert {fate: shown.images.ravel().tolist() for fate, shown in found.items()} == {
        "poisoned, removed": [1],
        "poisoned, kept": [0],
        "clean, removed": [3],
    }
    assert found["poisoned, kept"].labels == ["0 as 1"]
    assert found["clean, removed"].labels == ["ankle b…"]
    assert found["clean, removed"][2:] == (1, 2)


def test_of_many_samples_some_are_drawn_and_all_are_counted():
    data = dataset([0] * 20)
    removed, poisoned = np.zeros(20, bool), np.ones(20, bool)
    shown = by_fate(data, data, removed, poisoned, seed=1)["poisoned, removed"]
    assert len(shown.images) == PER_FATE
    assert (shown.n, shown.of) == (20, 20)


def test_images_stand_beside_each_other_with_room_between_them():
    images = np.zeros((2, 1, 3, 4), np.uint8)
    found = samples.mosaic(images)[0, :, 0]
    assert found[:12].tolist() == [0] * 4 + [1] * 2 + [0] * 4 + [1] * 2
    assert len(found) == PER_FATE * 6 - 2


def test_a_line_says_how_many_samples_there_are():
    nothing = Shown(np.zeros((0, 1, 3, 3), np.uint8), [], 0, 1854)
    figure = samples.caught({"flip": dict.fromkeys(samples.FATES, nothing)}, "mnist")
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["0 of 1,854"] * 3
