import numpy as np
import pytest
from flipped import flip, group, samples, swap, views

from fedsieve.detectors.rowmix import flag, report
from fedsieve.errors import InputError
from fedsieve.records import View

STATE = {}


def screened(attacks, **spec):
    reports = [report(view, {}) for view in views(samples(0, attacks))]
    return flag(reports, STATE, **spec)


def test_a_client_sends_a_table_of_counts():
    (view,) = views(samples(0, {}, n_clients=1))
    sent = report(view, {})
    assert {name: (a.shape, a.dtype) for name, a in sent.items()} == {
        "predicted": ((4, 4), np.int32)
    }
    assert sent["predicted"].sum() == 200


def test_flippers_are_flagged_and_the_cell_is_told():
    found = screened(group(8, flip(2, 3)))
    assert np.flatnonzero(~found.benign).tolist() == list(range(8))
    assert found.found["cell"].tolist() == [3, 2]
    assert found.found["gain"] > 19


def test_scores_are_minus_the_log_odds():
    found = screened(group(8, flip(2, 3)))
    assert ((found.scores >= -2.2) == found.benign).all()


def test_a_lower_cut_flags_more():
    flagged = [(~screened(group(8, flip(2, 3, 0.5)), cut=cut).benign).sum() for cut in (0.0, 9.2)]
    assert flagged[0] > flagged[1]


def test_a_swap_is_found_though_label_counts_are_the_same():
    assert np.flatnonzero(~screened(group(8, swap(2, 3))).benign).tolist() == list(range(8))


def test_without_an_attack_all_are_benign_and_scored():
    found = screened({})
    assert found.benign.all()
    assert np.isfinite(found.scores).all()


def test_samples_of_several_labels_are_refused():
    labels = np.ones((2, 4), np.uint8)
    with pytest.raises(InputError, match="one label per sample"):
        report(View(0, {"logits": np.zeros((2, 4), np.float32)}, labels, 4), {})
