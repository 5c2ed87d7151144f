import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedsieve.archives import read_npz
from fedsieve.datasets import npz
from fedsieve.errors import InputError
from fedsieve.notices import SIGN

SINGLE = {"train_labels": [[0], [1], [1], [2]], "test_labels": [[2], [0]]}
MULTI = {
    "train_labels": [[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]],
    "test_labels": [[0, 1, 0], [1, 0, 0], [0, 0, 1]],
}


def write(path, labels=SINGLE, shape=(5, 4), **changed):
    """Write an archive of images whose pixels all hold the row number."""
    arrays = {key: np.array(value, np.uint8) for key, value in labels.items()}
    for split in ("train", "test"):
        images = [np.full(shape, row, np.uint8) for row in range(len(arrays[f"{split}_labels"]))]
        arrays[f"{split}_images"] = np.array(images)
    np.savez(path, **arrays | changed)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "own.npz"


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [((5, 4), (1, 5, 4)), ((5, 4, 1), (1, 5, 4)), ((5, 4, 3), (3, 5, 4)), ((7, 3), (1, 7, 3))],
)
def test_images_of_any_size_come_with_channels_first(path, shape, wanted):
    train, test = read_npz(write(path, shape=shape))
    assert train.images.shape == (4, *wanted)
    assert test.images.shape == (2, *wanted)
    assert train.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3]


def test_colors_stay_with_their_pixel(path):
    images = np.random.default_rng(0).integers(0, 256, (4, 5, 4, 3), np.uint8)
    test_images = images[:2]
    train, _ = read_npz(write(path, train_images=images, test_images=test_images))
    assert train.images[3, :, 2, 1].tolist() == images[3, 2, 1].tolist()


@pytest.mark.parametrize("dtype", ["u1", "i8", "i2", "u8"])
@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_single_labels_of_any_integer_type_become_int64(path, dtype, shape):
    labels = {key: np.array(SINGLE[key]).astype(dtype).reshape(shape) for key in SINGLE}
    train, test = read_npz(write(path, **labels))
    assert train.labels.tolist() == [0, 1, 1, 2]
    assert test.labels.tolist() == [2, 0]
    assert train.labels.dtype == np.int64
    assert train.classes == ("0", "1", "2")


@pytest.mark.parametrize("labels", ["auto", "multi"])
def test_several_columns_are_several_labels(path, labels):
    train, _ = read_npz(write(path, MULTI), labels=labels)
    assert train.labels.tolist() == MULTI["train_labels"]
    assert train.labels.dtype == np.uint8
    assert train.multi_label


def test_one_binary_column_can_be_a_multi_label_task(path):
    labels = {"train_labels": [[0], [1]], "test_labels": [[1]]}
    assert read_npz(write(path, labels), labels="multi")[0].labels.tolist() == [[0], [1]]
    assert read_npz(path)[0].labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("first", "rows", "classes"),
    [(None, [0, 1, 3], ["0", "1", "2"]), (3, [0, 1, 3], ["0", "1", "2"]), (2, [0, 1], ["0", "1"])],
)
def test_single_reduces_several_labels_to_images_with_one_of_the_first(path, first, rows, classes):
    train, test = read_npz(write(path, MULTI), labels="single", first_labels=first)
    assert train.images[:, 0, 0, 0].tolist() == rows
    assert train.labels.tolist() == [[0, 1, None, 2][row] for row in rows]
    assert len(test.labels) == (2 if first == 2 else 3)
    assert train.classes == tuple(classes)


@given(st.lists(st.lists(st.integers(0, 1), min_size=4, max_size=4), min_size=1), st.integers(2, 4))
def test_the_reduction_keeps_exactly_the_rows_with_one_label(tmp_path_factory, extra, first):
    rows = np.eye(4, dtype=int).tolist() + extra  # so that every class is there
    path = tmp_path_factory.mktemp("archive") / "own.npz"
    write(path, {"train_labels": rows, "test_labels": rows})
    train, _ = read_npz(path, labels="single", first_labels=first)
    assert train.labels.tolist() == [
        row.index(1) for row in rows if sum(row) == 1 and row.index(1) < first
    ]


def test_class_names_follow_the_labels(path):
    names = ["cat", "dog", "owl"]
    assert read_npz(write(path), class_names=names)[0].classes == ("cat", "dog", "owl")
    train, _ = read_npz(write(path, MULTI), labels="single", first_labels=2, class_names=names)
    assert train.classes == ("cat", "dog")


def test_a_named_class_may_lack_samples(path):
    assert read_npz(write(path), class_names=list("abcd"))[0].classes == ("a", "b", "c", "d")


WRONG_ARRAYS = {
    "float images": ({"train_images": np.zeros((4, 5, 4))}, "train_images: found float64"),
    "flat images": ({"train_images": np.zeros((4, 20), "u1")}, r"found uint8 \[4, 20\], wanted"),
    "two channels": ({"test_images": np.zeros((2, 5, 4, 2), "u1")}, "test_images: found uint8"),
    "channels first": ({"test_images": np.zeros((2, 3, 5, 4), "u1")}, "test_images: found uint8"),
    "no images": ({"test_images": np.zeros((0, 5, 4), "u1")}, "at least one sample"),
    "other size": ({"test_images": np.zeros((2, 6, 4), "u1")}, r"test_images: found \[1, 6, 4\]"),
    "other channels": ({"test_images": np.zeros((2, 5, 4, 3), "u1")}, r"found \[3, 5, 4\]"),
    "more labels": ({"train_labels": np.zeros(5, "u1")}, r"train_labels: found uint8 \[5\]"),
    "float labels": ({"train_labels": np.zeros(4)}, r"train_labels: found float64 \[4\]"),
    "text labels": ({"train_labels": np.array(list("abca"))}, "train_labels: found <U1"),
    "cubic labels": ({"test_labels": np.zeros((2, 1, 1), "u1")}, "test_labels: found uint8"),
    "other width": ({"test_labels": np.zeros((2, 2), "u1")}, r"test_labels: found \[2\] per"),
    "negative": ({"test_labels": np.array([-1, 0])}, "found values from -1 to 2, wanted 0 to"),
    "beyond int64": ({"test_labels": np.array([2**64 - 1, 0], "u8")}, "found values from -1"),
    "gap": ({"train_labels": np.array([0, 1, 4, 2])}, "found values from 0 to 4"),
    "huge": ({"test_labels": np.array([10**15, 0])}, "found values from 0 to 1000000000000000"),
    "only in test": ({"train_labels": np.array([0, 1, 1, 0])}, r"found classes \['2'\]"),
    "one class": (
        {"train_labels": np.zeros(4, "u1"), "test_labels": np.zeros(2, "u1")},
        "at least two",
    ),
}


@pytest.mark.parametrize(("arrays", "message"), WRONG_ARRAYS.values(), ids=WRONG_ARRAYS)
def test_a_wrong_array_is_named_with_what_was_found(path, arrays, message):
    with pytest.raises(InputError, match=f"own.npz: .*{message}"):
        read_npz(write(path, **arrays))


WRONG_SPECS = {
    "unknown task": ({"labels": "both"}, "both.* is none of auto, single, multi"),
    "not several": (
        {"labels": "multi"},
        "train_labels, test_labels: found values from 0 to 2, wanted 0 or 1",
    ),
    "nothing to reduce": ({"labels": "single", "first_labels": 2}, "first_labels: found 2"),
    "too few names": ({"class_names": ["a", "b"]}, "found values from 0 to 2, wanted 0 to 1"),
    "equal names": ({"class_names": ["a", "a", "b"]}, "class_names: .*3 different names"),
}


@pytest.mark.parametrize(("spec", "message"), WRONG_SPECS.values(), ids=WRONG_SPECS)
def test_a_spec_that_does_not_fit_is_an_error(path, spec, message):
    with pytest.raises(InputError, match=message):
        read_npz(write(path), **spec)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"first_labels": 2}, "first_labels: found 2, wanted labels: single"),
        ({"labels": "single", "first_labels": 4}, "1 to 3 of several"),
        ({"labels": "single", "first_labels": 0}, "1 to 3 of several"),
        ({"class_names": ["a", "b"]}, "class_names: .*3 different names"),
    ],
)
def test_a_spec_that_does_not_fit_several_labels_is_an_error(path, spec, message):
    with pytest.raises(InputError, match=message):
        read_npz(write(path, MULTI), **spec)


def test_a_reduction_that_leaves_nothing_is_an_error(path):
    labels = MULTI | {"test_labels": [[1, 1, 0], [0, 0, 0]]}
    with pytest.raises(InputError, match="test_labels: found no image with exactly one"):
        read_npz(write(path, labels), labels="single")


def test_a_label_that_only_the_test_set_has_is_an_error(path):
    labels = MULTI | {"train_labels": [[1, 0, 0], [0, 1, 0]]}
    with pytest.raises(InputError, match=r"test_labels: found classes \['2'\]"):
        read_npz(write(path, labels))


def test_a_missing_array_is_named(path):
    np.savez(path, train_images=np.zeros((2, 4, 4), np.uint8))
    with pytest.raises(InputError, match=r"own\.npz: cannot read train_labels"):
        read_npz(path)


def test_pickled_objects_are_refused(path):
    with pytest.raises(InputError, match="cannot read train_labels: Object arrays"):
        read_npz(write(path, train_labels=np.array([{}, [], 1, 2], object)))


@pytest.mark.parametrize("length", [0, 100, 500])
def test_a_truncated_archive_is_an_input_error(path, length):
    path.write_bytes(write(path).read_bytes()[:length])
    with pytest.raises(InputError, match=r"own\.npz: cannot read"):
        read_npz(path)


def test_another_kind_of_file_is_an_input_error(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(InputError, match=r"own\.npz: cannot read train_images"):
        read_npz(path)


def test_flipped_bits_in_compressed_pixels_are_an_input_error(path):
    images = np.zeros((4, 80, 80), np.uint8)
    labels = {key: np.array(value) for key, value in SINGLE.items()}
    np.savez_compressed(path, train_images=images, test_images=images[:2], **labels)
    content = bytearray(path.read_bytes())
    content[60:100] = bytes(255 - byte for byte in content[60:100])
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"own\.npz: cannot read train_images"):
        read_npz(path)


def test_the_file_is_found_below_the_data_root_or_anywhere(tmp_path):
    (tmp_path / "sub").mkdir()
    path = write(tmp_path / "sub/own.npz")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert npz.fetch(tmp_path, file="sub/own.npz") == {"sub/own.npz": sha256}
    assert npz.fetch(tmp_path / "elsewhere", file=str(path)) == {"own.npz": sha256}
    assert len(npz.read(tmp_path, file="sub/own.npz")[0].labels) == 4


def test_the_expected_sha256_is_checked_in_either_case(tmp_path):
    sha256 = hashlib.sha256(write(tmp_path / "own.npz").read_bytes()).hexdigest()
    npz.fetch(tmp_path, file="own.npz", sha256=sha256.upper())
    for step in (npz.fetch, npz.read):
        with pytest.raises(InputError, match=f"own.npz: .*{sha256}, expected {'0' * 64}"):
            step(tmp_path, file="own.npz", sha256="0" * 64)


def test_read_passes_the_task_on(tmp_path):
    write(tmp_path / "own.npz", MULTI)
    spec = {"labels": "single", "first_labels": 2, "class_names": ["cat", "dog", "owl"]}
    assert npz.read(tmp_path, file="own.npz", **spec)[0].classes == ("cat", "dog")


ONE_HOT = {
    "train_labels": [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 0]],
    "test_labels": [[0, 1, 0], [0, 0, 1]],
}


def said(capsys):
    """Warnings that were printed."""
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith(SIGN)]


def bright(path, labels, shape=(5, 4)):
    """An archive whose pixels are not all black."""
    n = {split: len(labels[f"{split}_labels"]) for split in ("train", "test")}
    images = {f"{s}_images": np.full((n[s], *shape), 200, np.uint8) for s in n}
    return write(path, labels, **images)


def test_one_hot_labels_are_taken_as_several_with_a_word_on_how_to_choose(path, capsys):
    train, _ = read_npz(bright(path, ONE_HOT))
    assert train.multi_label
    [text] = said(capsys)
    for word in (
        str(path),
        "exactly one 1",
        "taken as 3 labels",
        "labels: single",
        "labels: multi",
    ):
        assert word in text


@pytest.mark.parametrize("chosen", ["single", "multi"])
def test_who_chooses_what_one_hot_labels_are_hears_nothing(path, capsys, chosen):
    train, _ = read_npz(bright(path, ONE_HOT), labels=chosen)
    assert train.multi_label == (chosen == "multi")
    assert train.labels.shape[0] == 4  # single: as many images, none is dropped
    assert not said(capsys)


def test_an_archive_that_can_be_read_in_one_way_alone_is_read_without_a_word(path, capsys):
    for labels in (SINGLE, MULTI):
        read_npz(bright(path, labels))
        assert not said(capsys)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((3, 3, 3), ["3 x 3 pixels with channels last (3)", "transpose(0, 2, 3, 1)"]),
        ((1, 28, 1), ["1 x 28 pixels with channels last (1)"]),
        ((3, 5, 1), ["3 x 5 pixels with channels last (1)"]),
        ((28, 3), ["gray images of 28 x 3 pixels"]),
    ],
)
def test_images_whose_shape_may_mean_two_things_are_taken_with_a_word(path, capsys, shape, words):
    read_npz(bright(path, SINGLE, shape))
    texts = said(capsys)
    assert all(any(word in text for text in texts) for word in words)


def test_images_of_zeros_and_ones_are_said_to_be_nearly_black(path, capsys):
    images = {
        "train_images": np.ones((4, 5, 4), np.uint8),
        "test_images": np.ones((2, 5, 4), np.uint8),
    }
    read_npz(write(path, **images))
    assert ["no pixel is above 1" in text for text in said(capsys)] == [True, True]


def test_more_test_than_training_samples_may_have_been_exchanged(path, capsys):
    read_npz(bright(path, {"train_labels": [0, 1], "test_labels": [0, 1, 1]}))
    [text] = said(capsys)
    assert "are the two exchanged?" in text


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\x1b[31m", "a\x00"])
def test_a_class_that_nothing_could_show_by_its_name_is_refused(path, name):
    with pytest.raises(InputError, match=r"class_names: found .*wanted names of printable"):
        read_npz(write(path), class_names=["cat", "dog", name])


def test_odd_names_that_can_be_shown_are_taken(path):
    names = ("$x_1$ \\frac{|}", "<b>&amp;</b>", "\N{GRINNING FACE}")
    assert read_npz(write(path), class_names=list(names))[0].classes == names
