from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedsieve import artifacts, poisonings
from fedsieve.errors import InputError
from fedsieve.records import Dataset

DATA = Dataset(
    np.arange(6 * 4, dtype=np.uint8).reshape(6, 1, 2, 2),
    np.array([0, 1, 2, 0, 1, 2]),
    ("a", "b", "c"),
)


def changed(kind, *samples):
    rows = np.array(samples)
    return poisonings.changed(DATA, rows, kind, np.full(len(rows), 9), DATA.images[rows] + 100)


def test_merge_sorts_samples_and_all_that_runs_along_them():
    found = poisonings.merge(np.array([7, 2]), [changed("flip", 1, 5), changed("backdoor", 0, 3)])
    assert found.malicious.tolist() == [2, 7]
    assert found.samples.tolist() == [0, 1, 3, 5]
    assert found.kind.tolist() == ["backdoor", "flip", "backdoor", "flip"]
    assert found.labels_before.tolist() == [0, 1, 0, 2]
    assert found.images[:, 0, 0, 0].tolist() == [100, 104, 112, 120]


def test_merge_refuses_parts_that_change_the_same_sample():
    with pytest.raises(ValueError, match="same sample"):
        poisonings.merge(np.array([0]), [changed("flip", 1, 2), changed("backdoor", 2)])


def test_nothing_poisoned_survives_being_written_and_read(tmp_path):
    merged = poisonings.merge(np.empty(0, np.int64), [poisonings.empty(DATA)])
    artifacts.write_poisoning(tmp_path / "p.npz", merged)
    found = artifacts.read_poisoning(tmp_path / "p.npz")
    np.testing.assert_array_equal(found.apply(DATA).images, DATA.images)
    np.testing.assert_array_equal(found.apply(DATA).labels, DATA.labels)


@given(st.decimals(0, 1, places=4), st.integers(0, 100_000))
def test_share_rounds_halves_of_the_written_decimal_up(fraction, n):
    assert poisonings.share(float(fraction), n) == int(Fraction(fraction) * n + Fraction(1, 2))


def test_share_is_not_misled_by_binary_fractions():
    assert 0.29 * 50 < 14.5  # what a naive product would round down
    assert poisonings.share(0.29, 50) == 15


def test_draw_takes_all_where_there_are_fewer():
    drawn = poisonings.draw(np.array([9, 4, 6]), 5, np.random.default_rng(0))
    assert drawn.tolist() == [4, 6, 9]


@pytest.mark.parametrize("value", ["a", 1.0, -1, 3])
def test_a_class_is_given_by_its_index_and_the_error_lists_all(value):
    with pytest.raises(InputError, match=rf"^source: {value!r} .* 0 \(a\), 1 \(b\), 2 \(c\)"):
        poisonings.check_class("source", value, DATA)
