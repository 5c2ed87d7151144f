"""ChestMNIST: 28x28 chest X-rays with 14 findings, the archive of the medmnist package.

Verified by the MD5 that medmnist records: its publisher gives no SHA-256.
"""

from pathlib import Path
from typing import Annotated

from medmnist.info import HOMEPAGE, INFO

from fedsieve.archives import read_npz
from fedsieve.ranges import OneOf
from fedsieve.records import Dataset
from fedsieve.sources import File, Source, provide, verified

FINDINGS = list(INFO["chestmnist"]["label"].values())

SOURCE = Source(
    homepage=HOMEPAGE,
    license=INFO["chestmnist"]["license"],
    citation=(
        "J. Yang et al., MedMNIST v2, Scientific Data 10:41, 2023; X. Wang et al., ChestX-ray8, "
        "CVPR 2017. The NIH Clinical Center provided the images"
    ),
    files=(
        File(
            "chestmnist.npz",
            f"md5:{INFO['chestmnist']['MD5']}",
            (INFO["chestmnist"]["url"],),
        ),
    ),
)

N_CLASSES = 8
"""Findings of ChestX-ray8, which are the first of ChestMNIST's 14."""


def fetch(root: Path) -> dict[str, str]:
    """Verify the archive, after downloading it if it is missing (83 MB)."""
    return provide(root, SOURCE)


def read(
    root: Path, *, labels: Annotated[str, OneOf("single", "multi")] = "single"
) -> tuple[Dataset, Dataset]:
    """Return the training and the test split, images [1, 28, 28]; the validation split is dropped.

    ASSUME: the FDSD paper reports 8 classes for a data set of 14 labels. They are taken to be the
    first 8 (ChestX-ray8's), and its images those with exactly one of the 14 findings, that one
    among the 8.

    Args:
        labels: ``single`` for that 8-class task, ``multi`` for all 78,468 training and 22,433
            test images with 14 labels of 0 or 1.
    """
    (path,) = verified(root, SOURCE)
    first = N_CLASSES if labels == "single" else None
    return read_npz(path, labels=labels, first_labels=first, class_names=FINDINGS)
