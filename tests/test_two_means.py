import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from fedsieve.two_means import split_columns, split_line


def test_the_best_cut_of_five_numbers_by_hand():
    # cuts of 0 1 2 7 9: squares within are 2 + 2 = 4 with {7, 9} above, and more for all others
    assert split_line(np.array([7.0, 0, 9, 1, 2])).tolist() == [True, False, True, False, False]


@pytest.mark.parametrize("values", [[], [3.0], [2.0, 2.0, 2.0], [np.nan, 1.0]])
def test_where_there_is_nothing_to_cut_nobody_is_above(values):
    assert not split_line(np.array(values)).any()


def test_unknown_values_are_in_neither_cluster_and_change_nothing():
    values = np.array([0.1, np.nan, 0.2, 0.9])
    assert split_line(values).tolist() == [False, False, False, True]


def test_equal_values_are_never_parted():
    values = np.array([1.0, 1, 1, 1, 2, 2, 5])
    found = split_line(values)
    assert len({*zip(values, found, strict=True)}) == 3


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=12).filter(lambda v: len({*v}) > 1))
def test_no_start_of_scikit_learn_finds_less_within(values):
    points = np.array(values, float)
    upper = split_line(points)
    within = sum(((part - part.mean()) ** 2).sum() for part in (points[upper], points[~upper]))
    other = KMeans(2, n_init=5, random_state=0).fit(points[:, None]).inertia_
    assert within <= other + 1e-9


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=12))
def test_a_column_is_split_as_a_line_is(values):
    points = np.array(values, float)
    upper, distance = split_columns(torch.from_numpy(np.stack([points, -3 * points], axis=1)))
    assert upper[:, 0].tolist() == split_line(points).tolist()
    assert upper[:, 1].tolist() == split_line(-3 * points).tolist()
    wanted = points[upper[:, 0]].mean() - points[~upper[:, 0]].mean() if upper[:, 0].any() else 0
    assert distance[0] == pytest.approx(wanted, abs=1e-9)
