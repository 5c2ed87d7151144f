"""Check what plug-ins return where it comes back; a later job could not say who was wrong.

Types, shapes and ranges alone, since it happens in every round; ``tests/contracts`` has the rest.
``where`` is the plug-in's file as messages show it, such as ``datasets/mine.py``.
"""

import json
import os
import reprlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Bool

from fedsieve.errors import InputError, wrong
from fedsieve.records import Dataset, Message, Screening

SINGLE_LABEL = "FEDSIEVE_SINGLE_LABEL"
"""Environment variable by which the workflow says what of a task needs one label per sample: a
JSON object of texts. As a parameter of a job, another defense would remake the data."""


def described(value: object) -> str:
    """Type and shape of an array or a tensor, a plain value as it is, else what it is made of."""
    if value is None or isinstance(value, bool | int | float | str | np.generic):
        return reprlib.repr(value.item() if isinstance(value, np.generic) else value)
    if isinstance(value, tuple):
        return f"({', '.join(map(described, value))})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {described(each)}' for name, each in value.items())}}}"
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.dtype} {list(value.shape)}"
    return type(value).__name__


def check_array(
    where: object, key: str, found: Any, kind: type[np.generic], shape: tuple[int, ...]
) -> None:
    """Raise InputError unless ``found`` is a numpy array of this type and shape."""
    fits = isinstance(found, np.ndarray) and np.issubdtype(found.dtype, kind)
    if not fits or found.shape != shape:
        wanted = f"numpy {kind.__name__.rstrip('_')} {list(shape)}"
        raise wrong(where, key, described(found), wanted)


def check_labels(where: object, key: str, labels: np.ndarray, n_classes: int) -> None:
    """Raise InputError for a label that is no class, or for several labels other than 0 and 1."""
    top = 1 if labels.ndim == 2 else n_classes - 1
    if labels.size and (labels.min() < 0 or labels.max() > top):
        raise wrong(where, key, f"values from {labels.min()} to {labels.max()}", f"0 to {top}")


def check_names(where: object, key: str, names: Iterable[str]) -> None:
    """Raise InputError for a name that is blank, or that no table and no figure can show."""
    for name in names:
        if not name.strip() or not name.isprintable():
            raise wrong(where, key, ascii(name), "names of printable characters, none blank")


def check_receipt(where: object, files: Any) -> dict[str, str]:
    """Return what ``fetch`` of a data set returned, names of files and their checksums."""
    if not isinstance(files, dict) or not all(isinstance(s, str) for s in files.values()):
        wanted = "a dict of the SHA-256 of each file, {} if there is none"
        raise wrong(where, "fetch", described(files), wanted)
    return files


def check_splits(where: object, returned: Any) -> tuple[Dataset, Dataset]:
    """Return what ``read`` of a data set returned, two splits that a model can learn from."""
    pair = returned if isinstance(returned, tuple) and len(returned) == 2 else ()
    if not pair or not all(isinstance(split, Dataset) for split in pair):
        raise wrong(where, "read", described(returned), "a training and a test Dataset")
    train, test = pair
    _check_split(f"{where}: read", "train", train)
    _check_split(f"{where}: read", "test", test)
    if test.images.shape[1:] != train.images.shape[1:] or test.classes != train.classes:
        found = f"{list(test.images.shape[1:])} and {len(test.classes)} classes"
        wanted = f"{list(train.images.shape[1:])} and the same classes, as in training"
        raise wrong(where, "read: test", found, wanted)
    check_learnable(f"{where}: read", train, test)
    return train, test


def _check_split(where: str, split: str, data: Dataset) -> None:
    images, labels, names = data.images, data.labels, data.classes
    texts = isinstance(names, tuple) and all(isinstance(name, str) for name in names)
    if not texts or len(set(names)) != len(names):
        raise wrong(where, f"{split} classes", reprlib.repr(names), "a tuple of different texts")
    check_names(where, f"{split} classes", names)
    shape = np.shape(images)
    if len(shape) != 4 or not np.prod(shape):
        wanted = "uint8 [samples, channels, height, width], none of them 0"
        raise wrong(where, f"{split} images", described(images), wanted)
    check_array(where, f"{split} images", images, np.uint8, shape)
    if np.ndim(labels) == 2 and (len(names) == 1 or np.shape(labels)[1] > 1):
        check_array(where, f"{split} labels", labels, np.uint8, (len(images), len(names)))
    else:
        check_array(where, f"{split} labels", labels, np.int64, (len(images),))
    check_labels(where, f"{split} labels", labels, len(names))


def check_learnable(where: object, train: Dataset, test: Dataset) -> None:
    """Raise InputError for an empty split, a single class, or one that only the test set has."""
    for key, data in (("train_labels", train), ("test_labels", test)):
        if not len(data.labels):
            raise wrong(where, key, "no image with exactly one of the labels", "at least one")
    if len(train.classes) < 2 and not train.multi_label:
        raise wrong(where, "train_labels", "one class", "at least two")
    if unseen := np.flatnonzero(present(test) & ~present(train)).tolist():
        names = [train.classes[number] for number in unseen]
        raise wrong(where, "test_labels", f"classes {names}", "only classes that train_labels has")


def present(data: Dataset) -> Bool[np.ndarray, " classes"]:
    """Whether each class has a sample."""
    if data.multi_label:
        return np.any(data.labels, axis=0)
    return np.isin(np.arange(len(data.classes)), data.labels)


def check_wanted_labels(label: str, data: Dataset) -> None:
    """Raise InputError for several labels per sample where something of the task needs one."""
    wanting = json.loads(os.environ.get(SINGLE_LABEL, "{}")).get(label)
    if wanting and data.multi_label:
        raise InputError(
            f"tasks.{label}.dataset: several labels per sample, and {wanting} needs one; drop it, "
            "or use labels: single where the data set has that"
        )


def check_assignment(where: object, client: Any, n_samples: int, n_clients: int) -> None:
    """Raise InputError unless ``assign`` of a partition gave each client some of the samples."""
    check_array(where, "assign", client, np.int64, (n_samples,))
    holding = np.unique(client)
    if holding.tolist() != list(range(n_clients)):
        found = f"{len(holding)} clients, from {holding.min()} to {holding.max()}"
        raise wrong(where, "assign", found, f"each of 0 to {n_clients - 1} at least once")


def check_exchange(where: object, function: str, returned: Any) -> tuple[Message, Message]:
    """Return what a step of a sanitizer returned: what it sends, and what it remembers."""
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise wrong(where, function, described(returned), "a pair, what is sent and remembered")
    sent, remembered = returned
    return check_message(where, function, sent), check_message(where, function, remembered)


def check_message(where: object, function: str, message: Any) -> Message:
    """Return a message if it is a dict of arrays of numbers, of the kinds that files hold."""
    named = isinstance(message, dict) and all(
        isinstance(array, np.ndarray | np.generic) and array.dtype.kind in "biuf" and array.ndim < 5
        for array in message.values()
    )
    if not named:
        wanted = "a dict of numpy arrays of numbers, with at most four dimensions"
        raise wrong(where, function, described(message), wanted)
    return message


def check_repair(
    where: object, repaired: Any, keep: Bool[np.ndarray, " samples"], n_classes: int
) -> None:
    """Raise InputError unless ``repair`` of a sanitizer gave classes, and to dropped samples alone.

    ``keep`` are the samples that are not dropped.
    """
    check_array(where, "repair", repaired, np.int64, keep.shape)
    if not np.isin(repaired, np.arange(-1, n_classes)).all():
        raise wrong(where, "repair", "a label that is no class", f"-1 to {n_classes - 1}")
    if np.greater(repaired, -1)[keep].any():
        raise wrong(where, "repair", "a label for a sample that is kept", "-1 for these")


def check_screening(where: object, found: Any, n_clients: int) -> Screening:
    """Return what ``flag`` of a detector returned, a mask and a score for each client."""
    if not isinstance(found, Screening):
        raise wrong(where, "flag", described(found), "a Screening")
    check_array(where, "flag: benign", found.benign, np.bool_, (n_clients,))
    check_array(where, "flag: scores", found.scores, np.floating, (n_clients,))
    check_message(where, "flag: found", found.found)
    return found
