import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from fedsieve.line import upper_cluster


def test_the_best_cut_of_five_numbers_by_hand():
    # cuts of 0 1 2 7 9: squares within are 2 + 2 = 4 with {7, 9} above, and more for all others
    assert upper_cluster(np.array([7.0, 0, 9, 1, 2])).tolist() == [True, False, True, False, False]


@pytest.mark.parametrize("values", [[], [3.0], [2.0, 2.0, 2.0], [np.nan, 1.0]])
def test_where_there_is_nothing_to_cut_nobody_is_above(values):
    assert not upper_cluster(np.array(values)).any()


def test_unknown_values_are_in_neither_cluster_and_change_nothing():
    values = np.array([0.1, np.nan, 0.2, 0.9])
    assert upper_cluster(values).tolist() == [False, False, False, True]


def test_equal_values_are_never_parted():
    values = np.array([1.0, 1, 1, 1, 2, 2, 5])
    found = upper_cluster(values)
    assert len({*zip(values, found, strict=True)}) == 3


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=12).filter(lambda v: len({*v}) > 1))
def test_no_start_of_scikit_learn_finds_less_within(values):
    points = np.array(values, float)
    upper = upper_cluster(points)
    within = sum(((part - part.mean()) ** 2).sum() for part in (points[upper], points[~upper]))
    other = KMeans(2, n_init=5, random_state=0).fit(points[:, None]).inertia_
    assert within <= other + 1e-9
