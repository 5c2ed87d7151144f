"""MNIST and Fashion-MNIST share their format; small files of it stand in for theirs here."""

import gzip
import hashlib
from dataclasses import replace

import numpy as np
import pytest

from fedsieve import registry
from fedsieve.errors import InputError
from fedsieve.sources import gzipped

PIXELS = {"train": np.arange(12).reshape(2, 2, 3), "t10k": np.full((1, 2, 3), 255)}
LABELS = {"train": np.array([7, 0]), "t10k": np.array([9])}


def idx(array):
    """Bytes of an idx file: magic number 0x0000 08 <dimensions>, big-endian sizes, content."""
    header = np.array([0x0800 + array.ndim, *array.shape], ">i4")
    return header.tobytes() + array.astype(np.uint8).tobytes()


@pytest.fixture(params=["mnist", "fashion_mnist"])
def plugin(request):
    return registry.load("datasets", request.param)


@pytest.fixture
def root(plugin, tmp_path, monkeypatch):
    """A data root with packed idx files, and a plug-in that expects them."""
    raw = tmp_path / plugin.SOURCE.files[0].path.rpartition("/")[0]
    raw.mkdir(parents=True)
    resources, sha256 = [], {}
    for kind, arrays in (("images-idx3", PIXELS), ("labels-idx1", LABELS)):
        for split, array in arrays.items():
            name, content = f"{split}-{kind}-ubyte", idx(array)
            (raw / f"{name}.gz").write_bytes(gzip.compress(content))
            sha256[name] = hashlib.sha256(content).hexdigest()
            md5 = hashlib.md5((raw / f"{name}.gz").read_bytes()).hexdigest()
            resources.append((f"{name}.gz", md5))
    order = [name.rpartition("/")[2] + ".gz" for name in (f.path for f in plugin.SOURCE.files)]
    resources.sort(key=lambda resource: order.index(resource[0]))
    files = gzipped(raw.relative_to(tmp_path).as_posix(), [], resources, sha256)
    monkeypatch.setattr(plugin, "SOURCE", replace(plugin.SOURCE, files=files))
    return tmp_path


def test_packed_files_are_unpacked_and_read_as_they_are(plugin, root):
    assert len(plugin.fetch(root)) == 4
    train, test = plugin.read(root)
    np.testing.assert_array_equal(train.images, PIXELS["train"][:, None])
    np.testing.assert_array_equal(test.images, PIXELS["t10k"][:, None])
    assert (train.labels.tolist(), test.labels.tolist()) == ([7, 0], [9])
    assert (train.images.dtype, train.labels.dtype) == (np.uint8, np.int64)
    assert len(train.classes) == 10


def test_the_unpacked_files_are_enough(plugin, root):
    found = plugin.fetch(root)
    for packed in root.rglob("*.gz"):
        packed.unlink()
    assert plugin.fetch(root) == found
    assert len(plugin.read(root)[0].images) == 2


def test_a_file_damaged_after_the_fetch_is_not_read(plugin, root):
    plugin.fetch(root)
    path = root / plugin.SOURCE.files[0].path
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=f"{path.name}: .*sha256 is .*expected"):
        plugin.read(root)


def test_a_damaged_archive_is_not_unpacked(plugin, root):
    path = root / plugin.SOURCE.files[0].archive.path
    path.write_bytes(b"?" + path.read_bytes())
    with pytest.raises(InputError, match=f"{path.name}: .*md5 is .*expected"):
        plugin.fetch(root)
    assert not path.with_suffix("").exists()
