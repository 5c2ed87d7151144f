"""Read the containers that data sets come in: MNIST's idx files and MedMNIST's npz archive.

An archive holds ``{train,val,test}_{images,labels}``. Images are uint8 ``[samples, height,
width]`` or ``[samples, height, width, 1 or 3]``; labels are integers ``[samples]`` or
``[samples, 1]`` (single-label), or 0/1 ``[samples, labels]`` (multi-label).

ASSUME: neither paper mentions a validation split, so ``val_*`` is dropped: nothing is trained or
tuned on it.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Int64
from numpy.lib.npyio import NpzFile
from torchvision.datasets.mnist import read_image_file, read_label_file

from fedsieve.artifacts import UNREADABLE
from fedsieve.checks import check_learnable, check_names, described
from fedsieve.errors import InputError, wrong
from fedsieve.notices import warn
from fedsieve.records import Dataset, Images

LABELS = ("auto", "single", "multi")

Table = Int64[np.ndarray, "samples labels"]
"""Labels as an archive holds them: one column of classes, or one column of 0/1 per label."""


def read_idx(images: Path, labels: Path, classes: tuple[str, ...]) -> Dataset:
    """Read one split from idx files of verified content (a malformed one is not a user error)."""
    pixels = read_image_file(str(images)).numpy()
    return Dataset(pixels[:, None], read_label_file(str(labels)).numpy(), classes)


def read_npz(
    path: Path,
    *,
    labels: str = "auto",
    first_labels: int | None = None,
    class_names: list[str] | None = None,
) -> tuple[Dataset, Dataset]:
    """Read the training and the test split of an archive in MedMNIST's layout.

    Args:
        labels: ``single`` for one class per image, ``multi`` for 0/1 per class, ``auto`` for what
            the archive holds. ``single`` reduces a multi-label archive to the images that carry
            exactly one of its labels.
        first_labels: In that reduction, keep only images whose label is among the first so many,
            which are then the classes.
        class_names: Name of each class, or of each label in the archive; default "0", "1", ...

    Raises:
        InputError: naming file and key, what was found and what was wanted.
    """
    if labels not in LABELS:
        raise InputError(f"labels: {labels!r} is none of {', '.join(LABELS)}")
    train_images, train_table = _read_split(path, "train")
    test_images, test_table = _read_split(path, "test")
    _check_same(path, "test_images", test_images.shape[1:], train_images.shape[1:])
    _check_same(path, "test_labels", test_table.shape[1:], train_table.shape[1:])
    columns = train_table.shape[1]
    multi = labels == "multi" or (labels == "auto" and columns > 1)
    if first_labels is not None and (multi or not 0 < first_labels <= columns > 1):
        wanted = f"labels: single and 1 to {columns} of several 0/1 labels"
        raise wrong(path, "first_labels", str(first_labels), wanted)
    table = np.concatenate([train_table, test_table])
    if multi or columns > 1:
        _check_binary(path, table)
        n_names = columns
        if labels == "auto" and (table.sum(axis=1) == 1).all():
            warn(
                f"{path}: every row of train_labels and test_labels has exactly one 1, as one-hot "
                f"classes have; taken as {columns} labels of which an image may have several "
                "(multi-label). Write labels: single for one class per image, or labels: multi"
            )
    else:
        n_names = _count_classes(path, table, class_names)
    if len(test_table) > len(train_table):
        counts = f"{len(test_table)} in test_images, {len(train_table)} in train_images"
        warn(f"{path}: more test than training samples ({counts}); are the two exchanged?")
    names = _names(path, n_names, class_names)[:first_labels]
    train = _dataset(train_images, train_table, names, multi)
    test = _dataset(test_images, test_table, names, multi)
    check_learnable(path, train, test)
    return train, test


def _read_split(path: Path, split: str) -> tuple[Images, Table]:
    """Read one split, its images as ``[samples, channels, height, width]``."""
    images, labels = _array(path, f"{split}_images"), _array(path, f"{split}_labels")
    found, given = described(images), images
    if images.ndim == 3:
        images = images[..., None]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        wanted = "uint8 [samples, height, width], [..., 1] or [..., 3]"
        raise wrong(path, f"{split}_images", found, wanted)
    if not images.size:
        raise wrong(path, f"{split}_images", found, "at least one sample and pixel")
    if labels.dtype.kind not in "iub" or labels.ndim not in (1, 2) or not labels.size:
        wanted = "integers [samples], [samples, 1] or [samples, labels]"
        raise wrong(path, f"{split}_labels", described(labels), wanted)
    if len(labels) != len(images):
        raise wrong(path, f"{split}_labels", described(labels), f"{len(images)} rows, as images")
    _tell(f"{path}: {split}_images", given)
    table = labels.reshape(len(labels), -1).astype(np.int64)
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)), table


def _tell(where: str, images: np.ndarray) -> None:
    """Say how images that may be meant otherwise are understood."""
    found = described(images)
    if images.ndim == 3 and images.shape[2] in (1, 3):
        warn(
            f"{where}: {found} taken as gray images of {images.shape[1]} x {images.shape[2]} pixels"
        )
    if images.ndim == 4 and images.shape[1] in (1, 3):
        height, width, channels = images.shape[1:]
        warn(
            f"{where}: {found} taken as {height} x {width} pixels with channels last ({channels}); "
            "where channels come first, store images.transpose(0, 2, 3, 1)"
        )
    if images.max() <= 1:
        warn(
            f"{where}: no pixel is above 1, and pixels go from 0 (black) to 255 (white); "
            "where they are shares of white, store np.rint(255 * images).astype('uint8')"
        )


def _array(path: Path, key: str) -> np.ndarray:
    try:
        with path.open("rb") as file, NpzFile(file, allow_pickle=False) as archive:
            return archive[key]
    except UNREADABLE as error:
        raise InputError(
            f"{path}: cannot read {key}: {error}. Wanted: an npz archive in MedMNIST's layout, "
            "{train,test}_{images,labels}, without pickled objects"
        ) from error


def _dataset(images: Images, table: Table, names: tuple[str, ...], multi: bool) -> Dataset:
    """Turn the table into labels; a reduction keeps the images with one label, if that is named."""
    if multi:
        return Dataset(images, table.astype(np.uint8), names)
    if table.shape[1] == 1:
        return Dataset(images, table[:, 0], names)
    keep = (table.sum(axis=1) == 1) & table[:, : len(names)].any(axis=1)
    return Dataset(images[keep], table[keep].argmax(axis=1), names)


def _names(path: Path, n_names: int, given: list[str] | None) -> tuple[str, ...]:
    names = tuple(str(name) for name in (range(n_names) if given is None else given))
    if len(set(names)) != n_names or len(names) != n_names:
        raise wrong(path, "class_names", str(given), f"{n_names} different names")
    check_names(path, "class_names", names)
    return names


def _check_same(path: Path, key: str, found: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if found != wanted:
        raise wrong(path, key, f"{list(found)} per sample", f"{list(wanted)}, as in training")


def _check_binary(path: Path, table: Table) -> None:
    if table.min() < 0 or table.max() > 1:
        found = f"values from {table.min()} to {table.max()}"
        raise wrong(path, "train_labels, test_labels", found, "0 or 1 for each of several labels")


def _count_classes(path: Path, table: Table, given: list[str] | None) -> int:
    """Return the number of classes of a single-label archive: those named, or those present."""
    present = np.unique(table)
    n_classes = len(present) if given is None else len(given)
    if present[0] < 0 or present[-1] >= n_classes:
        found = f"values from {present[0]} to {present[-1]}"
        wanted = f"0 to {n_classes - 1}, without gaps unless class_names names every class"
        raise wrong(path, "train_labels, test_labels", found, wanted)
    return n_classes
