from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fedsieve import registry
from fedsieve.detectors import mcdfl
from fedsieve.errors import InputError
from fedsieve.records import View
from fedsieve.vectors import Trained, bind, layout, seeded

LABELS = torch.arange(4)


def model(n_features=6, n_classes=4):
    extractor = nn.Sequential(OrderedDict(penultimate=nn.Flatten()))
    predictor = nn.Sequential(nn.Linear(n_features, n_classes), nn.LogSoftmax(1))
    parts = OrderedDict(extractor=extractor, predictor=predictor)
    return seeded(lambda: nn.Sequential(parts), 0)


def initial(net, n_clients=5, **spec):
    rng = np.random.default_rng(0)
    return mcdfl.init(n_clients, layout(net), rng=rng, **{"hidden": 8} | spec)


def learned(net, state, cohort=(), after=None, **spec):
    values = bind(net)
    after = values.repeat(len(cohort), 1) if after is None else after
    trained = Trained(list(cohort), values.clone(), after)
    return mcdfl.learn(net, trained, state, rng=np.random.default_rng(1), **spec)


def report(predicted, labels, taught, **spec):
    view = View(0, {"logits": np.eye(4, dtype=np.float32)[predicted]}, np.array(labels), 4)
    return mcdfl.report(view, {"taught": np.array(taught)}, **spec)


def test_expected_agreement_counts_probabilities():
    # softmax of (ln 3, 0, 0, 0): 1/2, 1/6, 1/6, 1/6; wanted are classes 0 and 2
    logits = np.log(np.float32([[3, 1, 1, 1], [3, 1, 1, 1]]))
    found = mcdfl.report(
        View(0, {"logits": logits}, np.array([0, 1]), 4),
        {"taught": np.array([0, 2, 2, 3])},
        agreement="expected",
    )
    assert float(found["right"]) == pytest.approx(1 / 2 + 1 / 6)
    assert int(found["samples"]) == 2
    screening = mcdfl.flag([found, {"right": np.array(1.9), "samples": np.array(2)}], {})
    assert screening.benign.tolist() == [False, True]


def test_agreement_is_counted_or_expected():
    with pytest.raises(InputError, match="agreement: 'sure' is neither counted nor expected"):
        report([0], [0], [0, 1, 2, 3], agreement="sure")


def counts(*pairs):
    return [{"right": np.array(r), "samples": np.array(n)} for r, n in pairs]


@pytest.mark.parametrize(
    ("hidden", "n_features", "n_numbers", "megabytes"),
    [(128, 1568, 203_680, 0.8), (512, 2048, 1_056_256, 4.2)],
)
def test_generators_are_those_of_tables_iv_and_vi(hidden, n_features, n_numbers, megabytes):
    found = sum(p.numel() for p in mcdfl.generator(10, hidden, n_features).parameters())
    assert found == n_numbers
    assert round(found * 4 / 1e6, 1) == megabytes  # Table I: 0.8 MB and 4.13 MB (4.03 MiB)


@pytest.mark.parametrize("spec", [{}, {"blocks": [[4]], "kernel": 3}])
def test_features_are_as_many_as_the_predictor_takes(spec):
    net = registry.load("models", "cnn_bn").build((1, 28, 28), 10, **spec)
    state = initial(net)
    assert net.predictor(state["features"]).shape == (10, 10)


def test_a_model_without_one_fully_connected_predictor_is_refused():
    net = nn.Sequential(OrderedDict(extractor=nn.Identity(), predictor=nn.ReLU()))
    with pytest.raises(InputError, match="predictor has one fully connected layer; this one has 0"):
        initial(net)


def test_the_generator_learns_features_that_the_predictor_tells_apart():
    net = model()
    with torch.no_grad():  # each class has a feature of its own, so that none is hard to learn
        net.predictor[0].weight.copy_(3 * torch.eye(4, 6))
    state = initial(net, hidden=32)
    for _ in range(40):
        state = learned(net, state)
    assert mcdfl.broadcast(net.requires_grad_(False), state)["taught"].tolist() == [0, 1, 2, 3]
    assert state["rounds"] == 40


def test_training_the_generator_leaves_the_model_alone():
    net = model()
    values = bind(net)
    before = values.clone()
    learned(net, initial(net))
    assert torch.equal(values, before)
    assert all(p.grad is None for p in net.parameters())


def test_a_step_of_the_generator_is_one_of_adam_on_the_cross_entropy_of_eq_7():
    net, rng = model(), np.random.default_rng(1)
    state = initial(net)
    found = learned(net, state, generator_steps=1, generator_batch=3)
    wanted = mcdfl._generator(state)
    labels = torch.from_numpy(rng.integers(4, size=3))
    loss = F.nll_loss(net.predictor(wanted(F.one_hot(labels, 4).float())), labels)
    optimizer = torch.optim.Adam(wanted.parameters(), 0.001)
    loss.backward()
    optimizer.step()
    torch.testing.assert_close(found["generator.2.weight"], wanted[2].weight)
    torch.testing.assert_close(found["features"], wanted(torch.eye(4)))


def test_quality_counts_agreement_with_what_generated_features_say():
    predicted, labels = [0, 1, 1, 3], [0, 1, 2, 2]
    assert report(predicted, labels, [0, 1, 2, 3])["right"] == 2
    assert report(predicted, labels, [3, 0, 1, 2])["right"] == 1  # only the third: 2 means 1
    assert report(predicted, labels, [3, 0, 1, 2], quality="direct")["right"] == 2
    assert report(predicted, labels, [0, 1, 2, 3])["samples"] == 4


def test_the_part_of_lower_quality_is_banned():
    found = mcdfl.flag(counts((9, 10), (85, 100), (3, 10), (8, 10), (4, 10)), {})
    assert found.benign.tolist() == [True, True, False, True, False]
    assert found.scores.tolist() == [0.9, 0.85, 0.3, 0.8, 0.4]


def test_the_smaller_part_is_banned_if_so_wanted_even_if_it_is_better():
    reports = counts((9, 10), (3, 10), (3, 10), (4, 10))
    assert mcdfl.flag(reports, {}).benign.tolist() == [True, False, False, False]
    smaller = mcdfl.flag(reports, {}, malicious="smaller")
    assert smaller.benign.tolist() == [False, True, True, True]


def test_somebody_is_banned_whenever_two_clients_differ():
    assert mcdfl.flag(counts((8, 10), (8, 10), (7, 10)), {}).benign.tolist() == [True, True, False]


def test_nobody_is_banned_if_all_are_alike_or_nobody_has_samples():
    assert mcdfl.flag(counts((8, 10), (16, 20)), {}).benign.all()
    assert mcdfl.flag(counts((0, 0), (0, 0)), {}).benign.all()


def test_a_client_without_samples_is_benign_and_has_no_score():
    found = mcdfl.flag(counts((9, 10), (0, 0), (2, 10)), {})
    assert found.benign.tolist() == [True, True, False]
    assert np.isnan(found.scores[1])


def test_a_client_keeps_its_own_predictor_and_the_global_extractor():
    net = registry.load("models", "cnn2").build((1, 12, 12), 4, channels=(2, 3), hidden=6)
    values = bind(net)
    state = initial(net)
    assert torch.equal(mcdfl.personal(values, 3, state), values)  # never took part
    own = torch.stack([torch.full_like(values, 7), torch.full_like(values, 9)])
    after = learned(net, state, [3, 1], own)
    head = layout(net).compared("output_layer")
    for client, number in ((3, 7), (1, 9)):
        found = mcdfl.personal(values, client, after)
        assert (found[head] == number).all()
        assert torch.equal(found[: head.start], values[: head.start])
        assert torch.equal(found[head.stop :], values[head.stop :])
    assert not state["own_has"].any()  # the state before is as it was


def test_without_personal_heads_clients_start_from_the_global_model():
    net = model()
    state = initial(net, personal_heads=False)
    assert not [name for name in state if name.startswith("own_")]
    after = learned(net, state, [0])
    assert torch.equal(mcdfl.personal(bind(net), 0, after), bind(net))


def test_the_local_loss_is_the_cross_entropy_of_generated_features_of_the_batchs_labels():
    net = model()
    state = learned(net, initial(net))
    labels = torch.tensor([2, 2, 0])
    features = mcdfl._generator(state)(F.one_hot(labels, 4).float())
    wanted = F.nll_loss(net.predictor(features), labels)
    torch.testing.assert_close(mcdfl.local_loss(net, labels, state), wanted)


def test_there_is_no_local_loss_in_the_first_round_or_if_not_wanted():
    net = model()
    assert mcdfl.local_loss(net, LABELS, initial(net)) is None
    assert mcdfl.local_loss(net, LABELS, learned(net, initial(net)), regularize=False) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: report([0], [0], [0, 1, 2, 3], quality="best"), "quality: 'best' is neither"),
        (
            lambda: mcdfl.flag(counts((1, 2)), {}, malicious="upper"),
            "malicious: 'upper' is neither",
        ),
        (lambda: initial(model(), hidden=0), "hidden: 0 is no whole number"),
        (lambda: report([0, 1], np.eye(2, dtype=np.uint8), [0, 1]), "one label per sample"),
    ],
)
def test_bad_settings_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
