"""8x8 handwritten digits that scikit-learn ships: for demonstrations and tests, no download."""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from fedsieve.records import Dataset
from fedsieve.sources import Source

SOURCE = Source(
    homepage="https://archive.ics.uci.edu/dataset/80",
    license="CC BY 4.0",
    citation=(
        "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine "
        "Learning Repository, 1998 (its test set, as scikit-learn ships it)"
    ),
)

N_TEST = 360
"""A fifth of the 1,797 images."""


def fetch(root: Path) -> dict[str, str]:
    """Nothing lies in the data root: the images are part of scikit-learn."""
    return {}


def read(root: Path) -> tuple[Dataset, Dataset]:
    """Return 1,437 training and 360 test images [1, 8, 8] of the digits 0 to 9.

    The source has 17 gray levels, spread here over 0..255. It has no split of its own, so a fixed
    one is drawn, stratified by class.
    """
    images, labels = load_digits(return_X_y=True)
    pixels = np.rint(images * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    train_images, test_images, train_labels, test_labels = train_test_split(
        pixels, labels.astype(np.int64), test_size=N_TEST, stratify=labels, random_state=0
    )
    classes = tuple(str(digit) for digit in range(10))
    return (
        Dataset(train_images, train_labels, classes),
        Dataset(test_images, test_labels, classes),
    )
