import numpy as np
import pytest
from flipped import flip, group, samples, swap, uneven, views

from fedsieve.detectors.label_histogram import flag, report
from fedsieve.errors import InputError
from fedsieve.records import View

STATE = {}


def screened(attacks, **how):
    return flag([report(view, {}) for view in views(samples(0, attacks, **how))], STATE)


def test_a_client_sends_its_label_counts():
    view = View(0, {"logits": np.zeros((3, 4), np.float32)}, np.array([2, 0, 2]), 4)
    sent = report(view, {})["labels"]
    assert sent.tolist() == [1, 0, 2, 0]
    assert sent.dtype == np.int32


def test_who_flips_a_whole_class_is_found_without_a_model():
    found = screened(group(8, flip(2, 3)), auc=0.5)
    assert np.flatnonzero(~found.benign).tolist() == list(range(8))
    assert found.found["pair"].tolist() == [2, 3]
    assert found.found["gain"] > 19


def test_scores_are_minus_the_log_odds():
    found = screened(group(8, flip(2, 3)))
    assert ((found.scores >= -2.2) == found.benign).all()


def test_a_swap_is_not_found():
    assert screened(group(8, swap(2, 3))).benign.all()


def test_unevenly_spread_labels_alone_get_clients_flagged():
    assert not screened({}, shares=uneven(0)).benign.all()


def test_samples_of_several_labels_are_refused():
    labels = np.ones((2, 4), np.uint8)
    with pytest.raises(InputError, match="one label per sample"):
        report(View(0, {"logits": np.zeros((2, 4), np.float32)}, labels, 4), {})
