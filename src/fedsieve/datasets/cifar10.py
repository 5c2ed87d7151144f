"""CIFAR-10: 32x32 color photographs, in torchvision's folder layout.

The batch files are pickles, which run code when loaded: they are loaded only after their SHA-256
was verified here and their MD5 by torchvision.

Source of the checksums: the archive's SHA-256 is the one that Keras records
(keras/src/datasets/cifar10.py). The batch files' have been published by several projects
independently of each other, in agreement, together with the MD5 that torchvision records.
"""

from pathlib import Path

import numpy as np
from torchvision.datasets import CIFAR10

from fedsieve.records import Dataset
from fedsieve.sources import File, Source, provide, verified

SHA256 = {
    "data_batch_1": "54636561a3ce25bd3e19253c6b0d8538147b0ae398331ac4a2d86c6d987368cd",
    "data_batch_2": "766b2cef9fbc745cf056b3152224f7cf77163b330ea9a15f9392beb8b89bc5a8",
    "data_batch_3": "0f00d98ebfb30b3ec0ad19f9756dc2630b89003e10525f5e148445e82aa6a1f9",
    "data_batch_4": "3f7bb240661948b8f4d53e36ec720d8306f5668bd0071dcb4e6c947f78e9682b",
    "data_batch_5": "d91802434d8376bbaeeadf58a737e3a1b12ac839077e931237e0dcd43adcb154",
    "test_batch": "f53d8d457504f7cff4ea9e021afcf0e0ad8e24a91f3fc42091b8adef61157831",
    "batches.meta": "f962466ef690d46b226450fb9aadc74ba4bc64a76aa526b5827fe4bc5c7125cb",
}

ARCHIVE = File(
    CIFAR10.filename,
    "sha256:6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    (CIFAR10.url,),
)

SOURCE = Source(
    homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
    license="none stated; the authors ask to cite the technical report",
    citation="A. Krizhevsky, Learning multiple layers of features from tiny images, 2009",
    files=tuple(
        File(f"{CIFAR10.base_folder}/{name}", f"sha256:{sha256}", archive=ARCHIVE)
        for name, sha256 in SHA256.items()
    ),
)


def fetch(root: Path) -> dict[str, str]:
    """Verify the batch files, after downloading and unpacking what is missing (170 MB)."""
    return provide(root, SOURCE)


def read(root: Path) -> tuple[Dataset, Dataset]:
    """Return 50,000 training and 10,000 test images [3, 32, 32] of ten kinds of things."""
    verified(root, SOURCE)
    return _read_split(root, train=True), _read_split(root, train=False)


def _read_split(root: Path, *, train: bool) -> Dataset:
    batches = CIFAR10(root, train=train)
    images = np.ascontiguousarray(batches.data.transpose(0, 3, 1, 2))
    return Dataset(images, np.array(batches.targets, np.int64), tuple(batches.classes))
