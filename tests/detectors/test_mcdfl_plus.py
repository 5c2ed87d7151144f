import numpy as np
import pytest
import torch
from flipped import flip, group, samples, swap, uneven, views

from fedsieve.detectors.mcdfl_plus import flag, init, judge, learn, report
from fedsieve.errors import InputError
from fedsieve.records import View
from fedsieve.vectors import Layout, Trained, layout

LAYOUT = Layout(("predictor.w",), (torch.Size([3]),), 3)
STATE = init(40, LAYOUT)
PARTS = ("soft", "softa", "joint", "labhist")


def screened(attacks, *, seed=0, spec=None, **how):
    reports = [report(view, {}) for view in views(samples(seed, attacks, **how))]
    return flag(reports, STATE, **(spec or {}))


def flagged(found):
    return np.flatnonzero(~found.benign).tolist()


def network(number):
    """A model of three weights, all this number."""
    net = torch.nn.Linear(3, 1, bias=False)
    torch.nn.init.constant_(net.weight, number)
    return net


def after(rounds, **spec):
    """State after rounds whose global models are all 1, 2, 3, ..."""
    state, trained = STATE, Trained([0], torch.zeros(3), torch.zeros(1, 3))
    for number in range(1, rounds + 1):
        state = learn(network(number), trained, state, **spec)
    return state


def test_a_client_sends_histograms_and_how_many_samples_agree():
    logits = np.array([[2, 0], [0, 2], [0, 1]], np.float32)
    sent = report(View(0, {"logits": logits}, np.array([0, 0, 1]), 2), {})
    assert {name: (a.shape, a.dtype) for name, a in sent.items()} == {
        "margins": ((2, 2, 64), np.int32),
        "agreed": ((1,), np.int32),
    }
    assert sent["margins"].sum(axis=2).tolist() == [[0, 1], [2, 0]]
    assert sent["agreed"].tolist() == [2]


def test_ten_classes_take_25604_bytes_however_many_samples():
    for n in (0, 7, 600):
        (view,) = views(samples(0, {}, n_clients=1, n=n, shares=np.full(10, 0.1)))
        assert sum(array.nbytes for array in report(view, {}).values()) == 25_604


def test_flippers_are_flagged_and_the_flip_is_told():
    found = screened(group(8, flip(2, 3)))
    assert flagged(found) == list(range(8))
    assert np.argwhere(found.found["pairs"]).tolist() == [[2, 3]]
    assert found.found["image_gain"] > 19
    assert found.found["joint_gain"] > 19


def test_scores_are_minus_the_log_odds():
    found = screened(group(8, flip(2, 3)))
    assert ((found.scores >= -2.2) == found.benign).all()


def test_what_each_part_would_flag_is_told():
    found = screened(group(16, swap(2, 3))).found
    told = [np.flatnonzero(found[part]).tolist() for part in PARTS]
    assert told == [list(range(16)), list(range(16)), [], []]


def test_the_control_accuses_honest_clients_of_uneven_labels_and_the_rule_does_not():
    found = screened({}, shares=uneven(0))
    assert found.benign.all()
    assert found.found["labhist"].any()


def test_a_higher_cut_flags_fewer():
    flags = [
        len(flagged(screened(group(8, flip(2, 3, 0.3)), auc=0.8, spec={"cut": cut})))
        for cut in (0.0, 2.2, 30.0)
    ]
    assert flags[0] >= flags[1] > flags[2]


def test_margins_alone_may_be_kept_from_flagging():
    attack = group(16, swap(2, 3))
    assert flagged(screened(attack, auc=0.8)) == list(range(16))
    assert not flagged(screened(attack, auc=0.8, spec={"cut_image": 1e6}))


def test_nobody_is_flagged_by_a_model_that_knows_too_little():
    attack = group(8, flip(2, 3))
    # it predicts the label of 36 % of the samples
    assert flagged(screened(attack, auc=0.65)) == list(range(8))
    found = screened(attack, auc=0.65, spec={"least_agreement": 0.4})
    assert found.benign.all()
    assert np.isnan(found.scores).all()


def test_what_is_recorded_has_the_same_form_whether_the_model_knows_enough_or_not():
    forms = [
        {name: (a.shape, a.dtype) for name, a in screened({}, spec=spec).found.items()}
        for spec in ({}, {"least_agreement": 1.0})
    ]
    assert forms[0] == forms[1]


def test_without_any_sample_all_are_benign():
    assert screened({}, n=0).benign.all()


def test_the_reports_are_not_modified():
    reports = [report(view, {}) for view in views(samples(0, group(8, flip(2, 3))))]
    before = [{name: a.copy() for name, a in sent.items()} for sent in reports]
    flag(reports, STATE)
    for sent, own in zip(reports, before, strict=True):
        assert all((sent[name] == own[name]).all() for name in own)


def test_the_average_by_hand():
    # after models 1, 2, 3 with decay 1/2: (1/4 * 1 + 1/2 * 2 + 1 * 3) / (7/4) = 17/7
    assert after(3, decay=0.5)["average"].tolist() == pytest.approx([17 / 7] * 3)
    assert int(after(3)["rounds"]) == 3


def test_the_first_model_is_its_own_average():
    assert after(1)["average"].tolist() == pytest.approx([1, 1, 1])


def test_the_average_judges_once_it_holds_enough_rounds():
    model = torch.full((3,), 99.0)
    assert judge(model, after(34)).tolist() == [99] * 3
    # 35 models of decay .9: sum(.9^k (35 - k)) / sum(.9^k)
    weights = 0.9 ** np.arange(35)
    wanted = (weights * (35 - np.arange(35))).sum() / weights.sum()
    assert judge(model, after(35)).tolist() == pytest.approx([wanted] * 3, rel=1e-5)
    assert judge(model, after(2), average_from=3).tolist() == [99] * 3
    assert judge(model, after(3), average_from=3).tolist() != [99] * 3


def test_learning_leaves_the_state_before_as_it_was():
    one = after(2)
    kept = {name: tensor.clone() for name, tensor in one.items()}
    learn(network(0), Trained([0], torch.zeros(3), torch.zeros(1, 3)), one)
    assert all(torch.equal(one[name], kept[name]) for name in kept)


def test_samples_of_several_labels_are_refused():
    labels = np.ones((2, 4), np.uint8)
    with pytest.raises(InputError, match="one label per sample"):
        report(View(0, {"logits": np.zeros((2, 4), np.float32)}, labels, 4), {})


def test_by_a_model_that_has_diverged_nobody_is_judged():
    logits = np.array([[0, np.nan], [1, 0]], np.float32)
    sent = report(View(3, {"logits": logits}, np.array([0, 0]), 2), {})
    assert not sent["margins"].any()
    assert sent["agreed"].tolist() == [0]
    found = flag([sent, sent], STATE)
    assert found.benign.all()
    assert np.isnan(found.scores).all()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"n_bins": 1}, "n_bins: 1 is no whole number of at least 2"),
        ({"decay": 1}, "decay: at 1 the average would never move"),
        ({"decay": 1.5}, "decay: 1.5 is no fraction"),
        ({"average_from": 0}, "average_from: 0 is no whole number"),
        ({"least_agreement": 30}, "least_agreement: 30 is no fraction"),
    ],
)
def test_bad_settings_are_refused_before_any_training(spec, message):
    with pytest.raises(InputError, match=message):
        init(4, layout(network(0)), **spec)
