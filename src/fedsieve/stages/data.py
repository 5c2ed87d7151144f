"""Read a verified data set into one archive: images as bytes, labels, class names."""

from pathlib import Path
from typing import Any

import numpy as np

from fedsieve import registry
from fedsieve.artifacts import read_json, write_data
from fedsieve.checks import check_splits, check_wanted_labels, present
from fedsieve.errors import InputError
from fedsieve.notices import warn
from fedsieve.records import Dataset
from fedsieve.rng import stream


def data(
    *,
    dataset: dict[str, Any],
    root: Path,
    receipt: Path,
    data: Path,
    max_samples: int = 0,
    label: str = "",
) -> None:
    """Write training and test split of a data set.

    Args:
        dataset: Plug-in and parameters (config ``tasks.*.dataset``).
        root: Data root.
        receipt: SHA-256 of the files, as fetched; the content is verified once more.
        data: Written: the archive.
        max_samples: Use a random subset of this many training samples; 0 uses all.
        label: Of the task, whose methods may need one label per sample.
    """
    expected = read_json(receipt)["files"]
    found = registry.bind("datasets", dataset, "fetch")(root)
    if found != expected:
        raise InputError(
            f"{root}: the files of {dataset['use']} are not those that were fetched; "
            f"delete {receipt} to accept the new content, and run again"
        )
    read = registry.bind("datasets", dataset, "read")
    train, test = check_splits(registry.file_of("datasets", dataset), read(root))
    check_wanted_labels(label, train)
    if 0 < max_samples < len(train.images):
        rows = np.sort(stream(0, "subset").permutation(len(train.images))[:max_samples])
        train = Dataset(train.images[rows], train.labels[rows], train.classes)
    write_data(data, train, test)
    for split, having in (("training", train), ("test", test)):
        if absent := [having.classes[i] for i in np.flatnonzero(~present(having)).tolist()]:
            shown = ", ".join(map(repr, absent[:5])) + ", ..." * (len(absent) > 5)
            counts = f"{len(absent)} of {len(having.classes)} classes"
            warn(f"{data}: no {split} image of {counts} ({shown}); an attack on one cannot work")
    print(f"{len(train.images)} training and {len(test.images)} test images")
