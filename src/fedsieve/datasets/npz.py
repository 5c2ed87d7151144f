"""Bring your own data: an npz archive in MedMNIST's layout, of any image size."""

from pathlib import Path
from typing import Annotated

from fedsieve.archives import read_npz
from fedsieve.paths import expanded
from fedsieve.ranges import Count, OneOf, Range, Text
from fedsieve.records import Dataset
from fedsieve.sources import Source, verify

SOURCE = Source(
    homepage="the user's own file; layout: https://github.com/MedMNIST/MedMNIST",
    license="that of the file's content",
    citation="whatever the file's content asks for",
)


EXAMPLE = {"file": "my-scans.npz"}
"""A valid spec, for the documentation and the contract tests."""


def fetch(root: Path, *, file: Text, sha256: Text | None = None) -> dict[str, str]:
    """Check that the archive is there and, where ``sha256`` is given, holds what it should."""
    path = expanded(file, root)
    # a path of this machine would make the result depend on it
    name = file if path == root / file and not Path(file).is_absolute() else path.name
    return {name: _verified(path, sha256)}


def read(
    root: Path,
    *,
    file: Text,
    sha256: Text | None = None,
    labels: Annotated[str, OneOf("auto", "single", "multi")] = "auto",
    first_labels: Count | None = None,
    class_names: Annotated[list[str], Range(least=1)] | None = None,
) -> tuple[Dataset, Dataset]:
    """Return the training and the test split; a validation split is dropped.

    Args:
        file: Path of the archive, relative to the data root or absolute; ~ and $VARIABLES are
            filled in.
        sha256: Its expected SHA-256 in hexadecimal; not checked when None.
        labels: ``single``, ``multi``, or ``auto`` for what the archive holds. ``single`` reduces
            a multi-label archive to the images with exactly one of its labels.
        first_labels: In that reduction, the number of leading labels to keep as classes, 1 or more.
        class_names: Name of each class, or of each label in the archive; default "0", "1", ...
    """
    path = expanded(file, root)
    _verified(path, sha256)
    return read_npz(path, labels=labels, first_labels=first_labels, class_names=class_names)


def _verified(path: Path, sha256: str | None) -> str:
    return verify(path, None if sha256 is None else f"sha256:{sha256.lower()}")
