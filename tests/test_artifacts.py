import errno
import fcntl
import os
import time
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fedsieve import artifacts
from fedsieve.artifacts import read_arrays, read_json, replacing, write_arrays, write_json
from fedsieve.errors import InputError
from fedsieve.records import Dataset, Partition, Poisoning

EXPECTED = {"x": ("i", 1)}


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "some.npz"
    write_arrays(path, {"x": np.arange(9)})
    return path


def refused(path, expected=EXPECTED):
    with pytest.raises(InputError) as caught:
        read_arrays(path, expected)
    assert str(path) in str(caught.value)
    assert "Delete it and run" in str(caught.value)
    return str(caught.value)


def damaged(path, content):
    """Whether such an archive is refused by name; AssertionError if it is read as another."""
    path.write_bytes(content)
    try:
        found = read_arrays(path, EXPECTED)["x"]
    except InputError as error:
        return str(path) in str(error)
    np.testing.assert_array_equal(found, np.arange(9))
    return False


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "deep" / "file"
    artifacts.write_text(path, "old")

    def fail():
        with replacing(path) as partial:
            partial.write_text("half of the n", encoding="utf-8")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text(encoding="utf-8") == "old"
    assert list(path.parent.iterdir()) == [path]


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "file"
    path.write_text("old", encoding="utf-8")
    with replacing(path) as partial:
        partial.write_text("new", encoding="utf-8")
        assert path.read_text(encoding="utf-8") == "old"
        assert partial.parent == path.parent
    assert path.read_text(encoding="utf-8") == "new"


@pytest.mark.parametrize("compress", [False, True])
def test_bytes_do_not_depend_on_time(tmp_path, monkeypatch, compress):
    arrays = {"x": np.arange(9.0), "name": np.array(["a", "bc"])}
    write_arrays(tmp_path / "one.npz", arrays, compress=compress)
    later = time.localtime(2_000_000_000)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    monkeypatch.setattr(time, "localtime", lambda *_: later)
    write_arrays(tmp_path / "two.npz", arrays, compress=compress)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_every_truncation_is_refused(archive):
    content = archive.read_bytes()
    assert all(damaged(archive, content[:n]) for n in range(0, len(content), 7))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("compress", [False, True])
def test_a_flipped_bit_is_refused_or_harmless(archive, compress):
    write_arrays(archive, {"x": np.arange(9)}, compress=compress)
    content = archive.read_bytes()
    for bit in range(0, 8 * len(content), 7):  # every byte, each of its bits in turn
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        damaged(archive, bytes(flipped))


def test_a_damaged_header_that_shortens_a_large_array_is_refused(archive):
    write_arrays(archive, {"x": np.arange(4000)})
    archive.write_bytes(archive.read_bytes().replace(b"(4000,)", b"(2000,)", 1))
    refused(archive)


def test_a_file_that_is_missing_empty_or_no_archive_is_refused(tmp_path):
    refused(tmp_path / "missing.npz")
    refused(tmp_path)
    (tmp_path / "empty.npz").write_bytes(b"")
    refused(tmp_path / "empty.npz")
    np.save(tmp_path / "array.npz.npy", np.arange(9))
    refused(tmp_path / "array.npz.npy")


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (np.arange(9.0), "x is float64 with 1 dimensions"),
        (np.zeros((2, 2), int), "x is int64 with 2 dimensions"),
        (np.array(["a"]), "x is <U1"),
    ],
)
def test_another_type_or_dimension_is_refused(archive, array, why):
    write_arrays(archive, {"x": array})
    assert why in refused(archive)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("expected", [{"x": ("f", 1)}, None])
def test_numbers_that_are_not_finite_are_refused(archive, value, expected):
    write_arrays(archive, {"x": np.array([0.0, value])})
    assert "x holds NaN or infinity" in refused(archive, expected)


def test_a_missing_array_is_refused_by_name(archive):
    assert "y is not a file in the archive" in refused(archive, {"y": ("i", 1)})


def test_pickled_objects_are_refused_and_never_loaded(archive):
    archive.unlink()  # another file, which has no seal
    np.savez(archive, x=np.array([{}], object))
    assert "allow_pickle=False" in refused(archive)
    assert "allow_pickle=False" in refused(archive, None)


def test_pickled_objects_are_never_written(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle=False"):
        write_arrays(tmp_path / "x.npz", {"x": np.array([{}], object)})
    assert not list(tmp_path.iterdir())


def test_an_archive_whose_member_lies_about_its_size_is_refused(archive):
    with zipfile.ZipFile(archive, "w") as file:
        header = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little")
        text = b"{'descr': '<i8', 'fortran_order': False, 'shape': (9,), }"
        file.writestr("x.npy", header + text.ljust(117) + b"\n" + b"\0" * 8)
    refused(archive)


def test_json_is_sorted_and_has_no_nan(tmp_path):
    write_json(tmp_path / "x.json", {"b": 1, "a": None})
    assert (tmp_path / "x.json").read_text(encoding="utf-8") == '{\n "a": null,\n "b": 1\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert read_json(tmp_path / "x.json") == {"a": None, "b": 1}


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff"])
def test_what_is_no_json_object_is_refused(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=str(path)):
        read_json(path)


def test_records_are_read_as_they_were_written(tmp_path):
    images = np.arange(12, dtype=np.uint8).reshape(3, 1, 2, 2)
    data = Dataset(images, np.array([0, 1, 1]), ("a", "bc"))
    poisoning = Poisoning(
        *(np.array([1]), np.array([2]), np.array(["flip"])),
        *(np.array([1]), np.array([0]), images[2:]),
    )
    artifacts.write_data(tmp_path / "data", data, data)
    artifacts.write_poisoning(tmp_path / "poisoning", poisoning)
    artifacts.write_partition(tmp_path / "clients", Partition(np.array([0, 2, 0]), 3))
    train, test = artifacts.read_data(tmp_path / "data")
    np.testing.assert_array_equal(train.images, images)
    assert (test.labels.tolist(), test.classes) == ([0, 1, 1], ("a", "bc"))
    found = artifacts.read_poisoning(tmp_path / "poisoning")
    assert found.apply(data).labels.tolist() == [0, 1, 0]
    held = artifacts.read_partition(tmp_path / "clients")
    assert (held.rows(0).tolist(), held.rows(1).tolist(), held.n_clients) == ([0, 2], [], 3)


def test_splits_and_masks_of_another_length_are_refused(tmp_path):
    images, labels = np.zeros((3, 1, 2, 2), np.uint8), np.zeros(2, np.int64)
    splits = {f"{s}_images": images for s in ("train", "test")}
    splits |= {f"{s}_labels": labels for s in ("train", "test")}
    write_arrays(tmp_path / "data", splits | {"classes": np.array(["a", "b"])})
    with pytest.raises(InputError, match="3 train images but 2 labels"):
        artifacts.read_data(tmp_path / "data")
    write_arrays(tmp_path / "keep", {"keep": np.ones(3, bool), "repaired": np.zeros(3, int)})
    with pytest.raises(InputError, match="3 samples where 4 are expected"):
        artifacts.read_verdict(tmp_path / "keep", 4)


def test_a_message_has_whatever_arrays_and_without_a_path_none(tmp_path):
    write_arrays(tmp_path / "message", {"a": np.array(1.5), "b": np.ones((2, 3), bool)})
    write_arrays(tmp_path / "nothing", {})
    assert set(artifacts.read_message(tmp_path / "message")) == {"a", "b"}
    assert artifacts.read_message(tmp_path / "nothing") == artifacts.read_message() == {}


def test_unknown_numbers_are_an_error_unless_they_may_be(tmp_path):
    path = tmp_path / "scores.npz"
    artifacts.write_arrays(path, {"scores": np.array([1.0, np.nan])})
    with pytest.raises(InputError, match="scores holds NaN or infinity"):
        artifacts.read_arrays(path, None)
    assert np.isnan(artifacts.read_arrays(path, None, finite=False)["scores"][1])


def test_content_that_changed_without_being_written_anew_is_refused(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"accuracy": 0.5})
    path.write_text(path.read_text(encoding="utf-8").replace("0.5", "0.7"), encoding="utf-8")
    with pytest.raises(InputError, match=r"it is not as it was written\. Delete it"):
        read_json(path)
    write_json(path, {"accuracy": 0.7})
    assert read_json(path) == {"accuracy": 0.7}


def test_a_disk_that_refuses_is_named_with_the_remedy(tmp_path):
    told = r"x.json: cannot be written: .*No space.* Make room"
    with pytest.raises(InputError, match=told), replacing(tmp_path / "x.json"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not list(tmp_path.iterdir())


@pytest.fixture(params=[0o022, 0o002, 0o077])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_who_may_read_a_file_is_decided_by_the_umask_alone(tmp_path, umask):
    artifacts.write_text(tmp_path / "below/text", "")
    with replacing(tmp_path / "below/model.safetensors") as partial:
        save_file({"weights": torch.zeros(2)}, partial)
    with artifacts.locked(tmp_path / "below/locked"):
        pass
    assert (tmp_path / "below").stat().st_mode & 0o777 == 0o777 & ~umask
    files = list((tmp_path / "below").iterdir())
    assert len(files) == 3
    for path in files:
        assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_another_users_lock_shuts_nobody_out(tmp_path, monkeypatch):
    with artifacts.locked(tmp_path / "data"):
        pass
    really = os.open

    def may_only_read(path, flags, *more):
        if flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return really(path, flags, *more)

    monkeypatch.setattr(os, "open", may_only_read)
    lock = tmp_path / ".data.lock"
    with artifacts.locked(tmp_path / "data"), lock.open("rb") as other:
        refused = pytest.raises(BlockingIOError)
        with refused:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with pytest.raises(PermissionError), artifacts.locked(tmp_path / "none"):
        pass
