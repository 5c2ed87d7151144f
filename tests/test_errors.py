import numpy as np
import pytest

from fedsieve.errors import InputError, check_count, check_share, check_single_label


@pytest.mark.parametrize("value", ["half", None, -0.1, 1.01, float("nan")])
def test_a_share_that_is_no_number_from_0_to_1_is_an_error(value):
    with pytest.raises(InputError, match=f"^fraction: {value!r} is no fraction"):
        check_share("fraction", value)


@pytest.mark.parametrize("value", [0, 1, 0.5])
def test_a_share_may_be_nothing_and_everything(value):
    check_share("fraction", value)


@pytest.mark.parametrize("value", ["3", 2.5, 0, True])
def test_a_count_is_a_whole_number_of_at_least_the_least(value):
    with pytest.raises(InputError, match=f"^size: {value!r} is no whole number of at least 1"):
        check_count("size", value, 1)


def test_several_labels_per_sample_are_an_error_that_names_the_method():
    check_single_label("detector mine", np.array([1, 0]))
    with pytest.raises(InputError, match=r"^detector mine needs one label per sample"):
        check_single_label("detector mine", np.array([[1, 0], [1, 1]]))
