from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from fedsieve.datasets import digits

TRAIN, TEST = digits.read(Path())


def test_nothing_is_fetched():
    assert digits.fetch(Path("there is no such folder")) == {}


def test_the_split_has_every_image_once():
    pixels = np.concatenate([TRAIN.images, TEST.images]).reshape(1797, 64)
    wanted = np.rint(load_digits().data / 16 * 255)
    np.testing.assert_array_equal(np.sort(pixels, axis=0), np.sort(wanted, axis=0))
    assert (TRAIN.images.shape, TEST.images.shape) == ((1437, 1, 8, 8), (360, 1, 8, 8))


def test_gray_levels_span_a_byte():
    assert TRAIN.images.dtype == np.uint8
    assert (TRAIN.images.min(), TRAIN.images.max()) == (0, 255)


def test_an_image_keeps_its_label():
    images, labels = load_digits(return_X_y=True)
    by_image = {
        np.rint(image / 16 * 255).astype(np.uint8).tobytes(): label
        for image, label in zip(images, labels, strict=True)
    }
    found = [by_image[image.tobytes()] for image in TEST.images]
    np.testing.assert_array_equal(TEST.labels, found)


def test_every_class_gives_a_fifth_to_the_test_set():
    share = np.bincount(TEST.labels) / np.bincount(load_digits().target)
    np.testing.assert_allclose(share, 360 / 1797, atol=0.006)  # one image of 174 to 183


def test_the_split_is_the_same_every_time():
    train, _ = digits.read(Path())
    np.testing.assert_array_equal(train.images, TRAIN.images)
