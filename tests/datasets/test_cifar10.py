"""Small pickles, of the form that Python 2 wrote the official ones in, stand in for CIFAR-10's."""

import hashlib
import pickle
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10

from fedsieve.checksums import hash_file
from fedsieve.datasets import cifar10
from fedsieve.errors import InputError
from fedsieve.sources import File

NAMES = list(cifar10.SHA256)
CLASSES = [f"class {number}" for number in range(10)]


def batch(number):
    """One image whose red, green and blue planes hold 10, 20 and 30 plus the batch's number."""
    planes = np.repeat(np.uint8([10, 20, 30]) + np.uint8(number), 1024)[None]
    content = pickle.dumps({"data": planes, "labels": [number]}, protocol=2)
    # the official files give a dtype's two flags as integers, and numpy's module its old name
    content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    return content.replace(b"\x89\x88\x87", b"K\x00K\x01\x87")


def use_files_of(root, monkeypatch):
    """Make the plug-in, and torchvision, expect what lies below the root."""
    md5 = {
        path.name: hashlib.md5(path.read_bytes()).hexdigest()
        for path in (root / CIFAR10.base_folder).iterdir()
    }
    monkeypatch.setattr(CIFAR10, "train_list", [[name, md5[name]] for name in NAMES[:5]])
    monkeypatch.setattr(CIFAR10, "test_list", [[NAMES[5], md5[NAMES[5]]]])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": md5[NAMES[6]]})
    files = tuple(
        replace(file, checksum=f"sha256:{hash_file(root / file.path)}")
        for file in cifar10.SOURCE.files
    )
    monkeypatch.setattr(cifar10, "SOURCE", replace(cifar10.SOURCE, files=files))


@pytest.fixture
def root(tmp_path, monkeypatch):
    folder = tmp_path / CIFAR10.base_folder
    folder.mkdir()
    for number, name in enumerate(NAMES[:6]):
        (folder / name).write_bytes(batch(number))
    (folder / NAMES[6]).write_bytes(pickle.dumps({"label_names": CLASSES}, protocol=2))
    use_files_of(tmp_path, monkeypatch)
    return tmp_path


def test_batches_are_read_in_order_with_channels_first(root):
    train, test = cifar10.read(root)
    assert train.labels.tolist() == [0, 1, 2, 3, 4]
    assert test.labels.tolist() == [5]
    assert (train.images.shape, train.images.dtype) == ((5, 3, 32, 32), np.uint8)
    assert train.images[4, :, 31, 0].tolist() == [14, 24, 34]
    assert train.classes == tuple(CLASSES)


def test_the_archive_is_unpacked_file_by_file(root, monkeypatch):
    path = root / CIFAR10.filename
    with tarfile.open(path, "w:gz") as tar:
        tar.add(root / CIFAR10.base_folder, CIFAR10.base_folder)
    archive = File(path.name, f"sha256:{hash_file(path)}")
    files = tuple(replace(file, archive=archive) for file in cifar10.SOURCE.files)
    monkeypatch.setattr(cifar10, "SOURCE", replace(cifar10.SOURCE, files=files))
    for file in files:
        (root / file.path).unlink()
    assert list(cifar10.fetch(root)) == [file.path for file in files]
    assert len(cifar10.read(root)[0].images) == 5


class Touch:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", NAMES)
def test_a_foreign_pickle_is_refused_unopened(root, name, tmp_path):
    (root / CIFAR10.base_folder / name).write_bytes(pickle.dumps(Touch(tmp_path / "opened")))
    for step in (cifar10.fetch, cifar10.read):
        with pytest.raises(InputError, match=f"{name}: .*sha256"):
            step(root)
    assert not (tmp_path / "opened").exists()


def test_the_foreign_pickle_of_the_test_above_does_run_when_opened(tmp_path):
    pickle.loads(pickle.dumps(Touch(tmp_path / "opened")))
    assert (tmp_path / "opened").exists()
