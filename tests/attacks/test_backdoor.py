import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedsieve.attacks import backdoor
from fedsieve.errors import InputError
from fedsieve.records import Dataset

RNG = np.random.default_rng


def dataset(labels, height=28, width=28, channels=1) -> Dataset:
    labels = np.asarray(labels)
    shape = (len(labels), channels, height, width)
    return Dataset(RNG(0).integers(0, 200, shape, np.uint8), labels, ("cat", "dog", "owl"))


def trigger(height=28, width=28, **changes):
    spec = {"size": 3, "margin": 1, "position": "bottom_right", "pattern": "square", "value": 1.0}
    images = np.zeros((0, 1, height, width), np.uint8)
    return backdoor.trigger(images, **(spec | changes))


def test_default_trigger_is_a_white_square_in_rows_and_columns_24_to_26_of_mnist():
    data = dataset([1])
    found = backdoor.poison(data, np.array([0]), rng=RNG(0), poison_fraction=1.0)
    expected = data.images.copy()
    expected[:, :, 24:27, 24:27] = 255
    np.testing.assert_array_equal(found.images, expected)


def test_every_channel_is_patched():
    data = dataset([1], height=8, width=8, channels=3)
    found = backdoor.poison(data, np.array([0]), rng=RNG(0), poison_fraction=1.0)
    assert (found.images != data.images).sum(axis=(0, 2, 3)).tolist() == [9, 9, 9]


@pytest.mark.parametrize(
    ("position", "row", "column"),
    [
        ("top_left", 2, 2),
        ("top_right", 2, 25),  # 30 columns: 30 - 3 - 2
        ("bottom_left", 15, 2),  # 20 rows: 20 - 3 - 2
        ("bottom_right", 15, 25),
        ("center", 8, 13),  # (20 - 3) // 2, (30 - 3) // 2
    ],
)
def test_position_and_margin_place_the_trigger(position, row, column):
    mask, _ = trigger(20, 30, position=position, margin=2)
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (
        row,
        row + 2,
        column,
        column + 2,
    )


@pytest.mark.parametrize(
    ("pattern", "mask", "lit"),
    [
        ("square", ["111", "111", "111"], ["111", "111", "111"]),
        ("checkerboard", ["111", "111", "111"], ["101", "010", "101"]),
        ("cross", ["010", "111", "010"], ["010", "111", "010"]),
    ],
)
def test_patterns_of_size_three(pattern, mask, lit):
    found_mask, found_light = trigger(3, 3, margin=0, pattern=pattern)
    assert ["".join(map(str, row)) for row in found_mask] == mask
    assert ["".join(map(str, row // 255)) for row in found_light] == lit


def test_even_cross_is_symmetric():
    mask, _ = trigger(4, 4, size=4, margin=0, pattern="cross")
    assert mask.tolist() == [[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0]]


@pytest.mark.parametrize(("value", "pixel"), [(0.0, 0), (0.2, 51), (1.0, 255)])
def test_value_is_the_brightness_of_lit_pixels(value, pixel):
    assert set(trigger(value=value)[1][24:27, 24:27].ravel()) == {pixel}


def test_stamp_is_equation_one_on_images_in_the_unit_interval():
    images = dataset([0, 1], 6, 6, 3).images
    mask, light = trigger(6, 6, pattern="checkerboard", value=0.6)
    x, m, p = images / 255, mask.astype(float), light / 255
    found = backdoor.stamp(images, mask, light)
    assert found.dtype == np.uint8
    np.testing.assert_allclose(found / 255, (1 - m) * x + m * p)


@given(
    size=st.integers(1, 6),
    margin=st.integers(0, 3),
    position=st.sampled_from(sorted(backdoor.POSITIONS)),
    pattern=st.sampled_from(sorted(backdoor.PATTERNS)),
)
def test_triggers_lie_within_the_image_with_all_their_cells(size, margin, position, pattern):
    mask, light = trigger(9, 11, size=size, margin=margin, position=position, pattern=pattern)
    covered, lit = backdoor.PATTERNS[pattern](size)
    assert (mask.sum(), (light > 0).sum()) == (covered.sum(), lit.sum())
    assert not light[mask == 0].any()


def test_fraction_counts_all_images_of_the_client_but_draws_from_other_classes():
    data = dataset([0] * 6 + [1, 1, 2, 2])
    found = backdoor.poison(data, np.arange(10), rng=RNG(0), poison_fraction=0.25)
    assert len(found.samples) == 3  # 2.5 of ten, rounded up
    assert set(found.labels_before) <= {1, 2}
    assert found.labels_after.tolist() == [0, 0, 0]
    assert set(found.kind) == {"backdoor"}


def test_fewer_are_patched_where_the_other_classes_are_too_few():
    data = dataset([0] * 8 + [1, 2])
    found = backdoor.poison(data, np.arange(10), rng=RNG(0), poison_fraction=0.5)
    assert found.samples.tolist() == [8, 9]


def test_multi_label_backdoor_leaves_the_target_as_the_only_label():
    data = dataset(np.array([[0, 1, 1], [1, 1, 0], [0, 0, 0]], np.uint8))
    found = backdoor.poison(data, np.arange(3), rng=RNG(0), target=0, poison_fraction=1.0)
    assert found.samples.tolist() == [0, 2]
    assert found.apply(data).labels.tolist() == [[1, 0, 0], [1, 1, 0], [1, 0, 0]]


def test_probe_patches_the_test_images_of_all_other_classes():
    test = dataset([0, 1, 2, 0])
    probe = backdoor.probe(test, target=0, size=2, margin=0, position="top_left")["backdoor"]
    expected = test.images[[1, 2]].copy()
    expected[:, :, :2, :2] = 255
    assert (probe.samples.tolist(), probe.wanted) == ([1, 2], 0)
    np.testing.assert_array_equal(probe.images, expected)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"target": 3}, r"target: 3 is no class .* 2 \(owl\)"),
        ({"poison_fraction": -0.1}, "poison_fraction: -0.1"),
        ({"value": 255.0}, "value: 255.0"),
        ({"position": "left"}, "position: 'left' is unknown; .*top_left.*center"),
        ({"pattern": "star"}, "pattern: 'star' is unknown; .*square, checkerboard, cross"),
        ({"size": 28}, "size: a trigger of 28 pixels with margin: 1 .* 28 x 28"),
        ({"size": 0}, "size: 0 is no whole number of at least 1"),
        ({"margin": -1}, "margin: -1 is no whole number of at least 0"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_exists(spec, message):
    with pytest.raises(InputError, match=message):
        backdoor.poison(dataset([0, 1, 2]), np.arange(3), rng=RNG(0), **spec)


def test_a_probe_whose_trigger_does_not_fit_is_an_error():
    with pytest.raises(InputError, match="size: a trigger of 9 pixels"):
        backdoor.probe(dataset([0, 1], 8, 12), size=9)
