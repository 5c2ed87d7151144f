"""Read and write every artifact, atomically, with shape and dtype checked at the door.

Formats: npz without pickle, safetensors (written by the stages that hold torch), JSON
and CSV. The bytes of an artifact depend on its content alone: no time stamps, sorted keys.
"""

import contextlib
import errno
import fcntl
import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.npyio import NpzFile
from safetensors import SafetensorError

from fedsieve import locks
from fedsieve.checksums import hash_file
from fedsieve.errors import InputError
from fedsieve.records import Dataset, Message, Partition, Poisoning, Verdict, View

UNREADABLE = (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What a damaged archive may raise: RuntimeError where a header claims encryption or the like."""

REFUSED = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}
"""Why a disk does not take a file."""

SEAL = "user.fedsieve.sha256"
"""Extended attribute that holds the checksum of an artifact."""

Expected = Mapping[str, tuple[str, int | tuple[int, ...]]]
"""Name of each array -> its dtype kinds (numpy's letters, e.g. "u", "if") and its dimensions."""

_LABELS = ("iu", (1, 2))
_ANY = ("biuf", tuple(range(5)))
_DATA: Expected = {
    "train_images": ("u", 4),
    "train_labels": _LABELS,
    "test_images": ("u", 4),
    "test_labels": _LABELS,
    "classes": ("U", 1),
}
_PARTITION: Expected = {"client": ("i", 1), "n_clients": ("i", 0)}
_VIEW: Expected = {"features": ("f", 2), "labels": _LABELS, "n_classes": ("i", 0)}
_POISONING: Expected = {
    "malicious": ("i", 1),
    "samples": ("i", 1),
    "kind": ("U", 1),
    "labels_before": _LABELS,
    "labels_after": _LABELS,
    "images": ("u", 4),
}


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it there once the block has succeeded.

    A reader therefore sees the old file or the whole new one, whatever kills the writer.

    Raises:
        InputError: where the disk is full or may not be written; safetensors has an error of its
            own for that.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.touch()
        mode = partial.stat().st_mode
        yield partial
        partial.chmod(mode)  # safetensors would let nobody else read what it writes
        with partial.open("rb") as file:
            seal(partial)
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        if isinstance(error, OSError) and error.errno not in REFUSED:
            raise
        raise InputError(
            f"{path}: cannot be written: {error}. Make room on the disk, or allow writing to the "
            "folder, and run the workflow again; what is finished stays."
        ) from error
    finally:
        with contextlib.suppress(OSError):  # a read-only disk refuses this, too
            partial.unlink(missing_ok=True)


def seal(path: Path) -> None:
    """Note a file's checksum beside its content, where the file system has room for such notes."""
    with contextlib.suppress(OSError, AttributeError):
        os.setxattr(path, SEAL, hash_file(path).encode())


def check_seal(path: Path) -> bool:
    """Whether an artifact has a seal; InputError if it has, and is not as it was written."""
    try:
        expected = os.getxattr(path, SEAL)
    except (OSError, AttributeError):  # no file, no seal, or no system that has them
        return False
    if hash_file(path).encode() != expected:
        raise broken(path, "it is not as it was written")
    return True


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock beside ``path``, waiting for a writer that was orphaned by its workflow."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(locks.opened(path.with_name(f".{path.name}.lock")), "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], *, compress: bool = False) -> None:
    """Write named arrays to an npz archive."""
    save = np.savez_compressed if compress else np.savez
    with replacing(path) as partial, partial.open("wb") as file:
        save(file, allow_pickle=False, **arrays)


def read_arrays(
    path: Path, expected: Expected | None, *, finite: bool = True
) -> dict[str, np.ndarray]:
    """Read the named arrays of an npz archive, or all of them.

    Args:
        finite: Whether NaN and infinity are errors; for some artifacts they mean "unknown".

    Raises:
        InputError: where the file is unreadable, an array is missing, of another type or number
            of dimensions, or not finite. The message names file and array.
    """
    sealed = check_seal(path)
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as content:
            if not sealed and (damaged := content.testzip()):
                raise zipfile.BadZipFile(f"wrong checksum of {damaged}")
            with NpzFile(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in expected or archive.files}
    except UNREADABLE as error:
        raise broken(path, str(error)) from error
    for name, array in arrays.items():
        _check(path, name, array, *(expected[name] if expected else _ANY))
        if finite and array.dtype.kind == "f" and not np.isfinite(array).all():
            raise broken(path, f"{name} holds NaN or infinity")
    return arrays


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object with sorted keys."""
    with replacing(path) as partial:
        partial.write_text(
            json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8"
        )


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object."""
    check_seal(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
        if not isinstance(content, dict):
            raise ValueError("not a JSON object")
    except (OSError, ValueError) as error:
        raise broken(path, str(error)) from error
    return content


def write_text(path: Path, text: str) -> None:
    """Write text, such as CSV."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_data(path: Path, train: Dataset, test: Dataset) -> None:
    """Write both splits of a data set."""
    arrays = {
        "train_images": train.images,
        "train_labels": train.labels,
        "test_images": test.images,
        "test_labels": test.labels,
        "classes": np.array(train.classes),
    }
    write_arrays(path, arrays)


def read_data(path: Path) -> tuple[Dataset, Dataset]:
    """Read the training and the test split."""
    arrays = read_arrays(path, _DATA)
    classes = tuple(str(name) for name in arrays["classes"])
    splits = []
    for split in ("train", "test"):
        images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        if len(images) != len(labels):
            raise broken(path, f"{len(images)} {split} images but {len(labels)} labels")
        splits.append(Dataset(images, labels, classes))
    return splits[0], splits[1]


def write_partition(path: Path, partition: Partition) -> None:
    """Write the client of each training sample."""
    write_arrays(path, {"client": partition.client, "n_clients": np.array(partition.n_clients)})


def read_partition(path: Path) -> Partition:
    """Read the client of each training sample."""
    arrays = read_arrays(path, _PARTITION)
    return Partition(arrays["client"], int(arrays["n_clients"]))


def write_poisoning(path: Path, poisoning: Poisoning) -> None:
    """Write the ground truth of a poisoned training set."""
    write_arrays(path, asdict(poisoning), compress=True)


def read_poisoning(path: Path) -> Poisoning:
    """Read the ground truth of a poisoned training set."""
    return Poisoning(**read_arrays(path, _POISONING))


def read_view(paths: Mapping[str, Path], client: int) -> View:
    """Read what a sanitizer sees of a client, a file per layer; a diverged network gives NaN."""
    files = {layer: read_arrays(path, _VIEW, finite=False) for layer, path in paths.items()}
    layers = {layer: arrays["features"] for layer, arrays in files.items()}
    arrays = next(iter(files.values()))
    return View(client, layers, arrays["labels"], int(arrays["n_classes"]))


def read_message(path: Path | None = None) -> Message:
    """Read the arrays of a message, whatever they are called; none without a path."""
    return read_arrays(path, None) if path else {}


def write_verdict(path: Path, verdict: Verdict, **more: np.ndarray) -> None:
    """Write what becomes of samples, with further arrays beside it."""
    write_arrays(path, {"keep": verdict.keep, "repaired": verdict.repaired, **more}, compress=True)


def read_verdict(path: Path, n_samples: int) -> Verdict:
    """Read what becomes of samples, which should be ``n_samples``."""
    arrays = read_arrays(path, {"keep": ("b", 1), "repaired": ("i", 1)})
    for array in arrays.values():
        if len(array) != n_samples:
            raise broken(path, f"{len(array)} samples where {n_samples} are expected")
    return Verdict(**arrays)


def _check(
    path: Path, name: str, array: np.ndarray, kinds: str, dimensions: int | tuple[int, ...]
) -> None:
    allowed = (dimensions,) if isinstance(dimensions, int) else dimensions
    if array.dtype.kind not in kinds or array.ndim not in allowed:
        raise broken(path, f"{name} is {array.dtype} with {array.ndim} dimensions")


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def broken(path: Path, why: str) -> InputError:
    """Say what is wrong with an artifact, and how to make it anew."""
    return InputError(
        f"{path}: not a usable artifact: {why}. Delete it and run the workflow again; "
        "only this file and what depends on it are made anew."
    )
