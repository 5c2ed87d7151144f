import numpy as np
import pytest

from fedsieve.wording import say_number, say_points, say_range, say_rate, say_share, with_minus


def test_a_share_is_as_short_as_it_goes():
    assert [say_share(s) for s in (0.5, 0.125, 0.005, 1, 0)] == [
        "50 %",
        "12.5 %",
        "0.5 %",
        "100 %",
        "0 %",
    ]


def test_a_rate_has_as_many_decimals_as_wanted():
    assert [say_rate(0.85), say_rate(1), say_rate(1 / 3, 2)] == ["85.0", "100.0", "33.33"]


@pytest.mark.parametrize("value", [-0.04, -0.0, np.float64(-0.049)])
def test_a_zero_has_no_minus(value):
    assert say_number(value) == "0.0"
    assert say_rate(value / 100) == "0.0"


def test_numbers_of_numpy_are_rounded_as_others():
    lower = 0.35  # a little less, in binary
    assert np.round(np.float64(lower), 1) == 0.4
    assert say_number(lower) == say_number(np.float64(lower)) == "0.3"


def test_points_have_no_more_digits_than_wanted():
    assert [say_points(0.2), say_points(0.1 + 0.2), say_points(0.99126, 4)] == ["20", "30", "99.13"]


def test_a_range_says_both_of_its_ends():
    assert say_range(-0.04, 12.34) == "(0.0 to 12.3)"


def test_a_minus_is_no_hyphen():
    assert with_minus(say_rate(-0.125)) == "\N{MINUS SIGN}12.5"
