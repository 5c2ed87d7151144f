import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity

from fedsieve.aggregators import foolsgold
from fedsieve.aggregators.foolsgold import differences, init, similarity
from fedsieve.errors import InputError
from fedsieve.vectors import Layout

LAYOUT = Layout(("extractor.w", "predictor.w"), (torch.Size([1]), torch.Size([2])), 3)
HALF_ALIKE = [[0.3, -0.225, 0.927025], [1, 0, 0], [0.6, 0.8, 0]]
"""Unit vectors with the cosines 0.3, 0 and 0.6."""


def aggregate(updates, state=None, cohort=None, **spec):
    updates = torch.as_tensor(updates, dtype=torch.float32)
    cohort = torch.arange(len(updates)) if cohort is None else torch.tensor(cohort)
    n_samples = torch.arange(1, len(updates) + 1)
    state = init(10, LAYOUT, features="all") if state is None else state
    return foolsgold.aggregate(updates, cohort, n_samples, state, **spec)


def weights(updates, **spec):
    return aggregate(updates, **{"combine": "sum"} | spec)[0].weights.tolist()


def honest(n, n_params=40):
    return torch.randn(n, n_params, generator=torch.Generator().manual_seed(n))


def test_alpha_is_the_papers_by_hand():
    # greatest cosines v = .3, .6, .6; pardoned, the first client's .3 becomes .3 * .3/.6 = .15
    # alpha = .85, .4, .4; over the greatest 1, .470588, .470588; ln(.470588/.529412) + .5
    assert weights(HALF_ALIKE) == pytest.approx([1, 0.382217, 0.382217], abs=1e-5)


@pytest.mark.parametrize(("confidence", "wanted"), [(0.1, 0.0382217), (2, 0.764434), (4, 1)])
def test_confidence_multiplies_the_logit_and_spares_the_best_client(confidence, wanted):
    found = weights(HALF_ALIKE, confidence=confidence)
    assert found == pytest.approx([1, wanted, wanted], abs=1e-5)


def test_only_the_client_that_resembles_less_is_pardoned():
    rows = [[0, 0.6, 0.5, 0], [0.6, 0, 0, 0.9], [0.5, 0, 0, 0], [0, 0.9, 0, 0]]
    # v = .6, .9, .5, .9; the first row becomes .6 * .6/.9 = .4 and .5 (.5 < .6: not pardoned),
    # the third .5 * .5/.6 = .416667
    found = differences(torch.tensor(rows, dtype=torch.float64))
    assert found.tolist() == pytest.approx([0.5, 0.1, 0.583333, 0.1], abs=1e-6)


def test_a_cosine_that_rounding_puts_above_one_is_no_difference():
    above = torch.tensor([[0, 1 + 1e-15], [1 + 1e-15, 0]], dtype=torch.float64)
    assert differences(above).tolist() == [0, 0]


def test_the_mean_is_weighted_by_alpha_and_the_sum_is_not_normalized():
    updates = torch.tensor(HALF_ALIKE)
    alpha = torch.tensor([1, 0.382217, 0.382217])
    found, _ = aggregate(updates)
    torch.testing.assert_close(found.weights, alpha / alpha.sum(), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.update, alpha @ updates / alpha.sum(), atol=1e-5, rtol=0)
    summed, _ = aggregate(updates, combine="sum")
    torch.testing.assert_close(summed.update, alpha @ updates, atol=1e-5, rtol=0)


def test_two_identical_sybils_get_exactly_nothing_and_different_clients_everything():
    updates = torch.cat([honest(4), honest(1).repeat(2, 1)])
    state = {"history": torch.zeros(10, 40)}
    assert weights(updates, state=state) == [1, 1, 1, 1, 0, 0]


def test_opposite_clients_are_different():
    assert weights([[1, 2, 3], [-1, -2, -3]]) == [1, 1]


@pytest.mark.parametrize("combine", ["mean", "sum"])
def test_clients_that_are_all_alike_count_the_same_outside_the_domain(combine):
    one = honest(1)
    updates = torch.cat([one, 3 * one, 0.1 * one, one / 7])
    found, _ = aggregate(updates, {"history": torch.zeros(4, 40)}, combine=combine)
    assert found.weights.tolist() == [1 / 4 if combine == "mean" else 1] * 4
    assert not found.in_domain


def test_a_client_without_history_resembles_nobody():
    assert similarity(torch.tensor([[0.0, 0], [1, 0], [1, 1]]))[0].tolist() == [0, 0, 0]
    assert weights([[0, 0, 0], [1, 0, 0], [2, 0, 0]]) == [1, 0, 0]
    assert weights([[0, 0, 0], [0, 0, 0]]) == [1, 1]


def test_a_client_alone_gets_all_weight_outside_the_domain():
    found, _ = aggregate([[1, 2, 3]], cohort=[7])
    assert (found.update.tolist(), found.weights.tolist()) == ([1, 2, 3], [1])
    assert not found.in_domain
    assert aggregate(HALF_ALIKE)[0].in_domain


def test_histories_grow_by_client_id_and_only_in_a_clients_own_rounds():
    _, state = aggregate([[1, 2, 3], [4, 5, 6]], cohort=[2, 0])
    _, state = aggregate([[10, 0, 0], [0, 10, 0]], state, cohort=[0, 1])
    assert state["history"][:4].tolist() == [[14, 5, 6], [0, 10, 0], [1, 2, 3], [0, 0, 0]]


def test_clients_are_compared_by_all_their_rounds():
    same = [[0, 1, 0], [0, 1, 0]]
    assert not aggregate(same)[0].in_domain
    _, state = aggregate([[10, 0, 0], [0, 10, 0]])
    found, _ = aggregate(same, state)  # histories (10, 1, 0) and (0, 11, 0)
    assert found.in_domain
    assert found.weights.tolist() == [0.5, 0.5]


def test_clients_that_do_not_take_part_are_not_compared_with():
    _, state = aggregate([[1, 0, 0]], cohort=[5])
    assert weights([[1, 0, 0], [0, 1, 0]], state=state, cohort=[0, 1]) == [1, 1]


def test_scaling_all_updates_leaves_the_weights():
    updates = honest(6, 3)
    assert weights(updates) == pytest.approx(weights(updates * 1e-6))
    assert weights(updates) == pytest.approx(weights(updates * 1e6))
    assert min(weights(updates)) < 1


def test_the_output_layer_alone_can_be_compared():
    updates = [[-5, 1, 0], [5, 1, 0], [0, 0, 1]]
    state = init(3, LAYOUT)  # as the authors' code does for a network
    assert state["history"].shape == (3, 2)
    assert weights(updates, state=state) == [0, 0, 1]
    assert weights(updates) == [1, 1, 1]


def test_a_model_without_a_predictor_is_compared_by_all():
    plain = Layout(("0.weight",), (torch.Size([4]),), 4)
    assert init(2, plain)["history"].shape == (2, 4)


def test_clipping_shortens_long_updates_to_norm_one_and_leaves_short_ones():
    found, state = aggregate([[0, 3, 4], [0.5, 0, 0]], clip_norm=True, combine="sum")
    torch.testing.assert_close(state["history"][:2], torch.tensor([[0, 0.6, 0.8], [0.5, 0, 0]]))
    torch.testing.assert_close(found.update, torch.tensor([0.5, 0.6, 0.8]))


def test_cosines_are_those_of_sklearn_in_parts_and_far_from_one(monkeypatch):
    monkeypatch.setattr(foolsgold, "COLUMNS", 7)
    rows = honest(5) * torch.tensor([1e-12, 1, 1e3, 1e12, 5])[:, None]
    wanted = torch.from_numpy(cosine_similarity(rows.double().numpy())).fill_diagonal_(0)
    torch.testing.assert_close(similarity(rows), wanted)


@pytest.mark.parametrize(
    ("spec", "key"),
    [
        ({"confidence": 0}, "confidence"),
        ({"confidence": -1.0}, "confidence"),
        ({"confidence": float("nan")}, "confidence"),
        ({"combine": "median"}, "combine"),
    ],
)
def test_a_bad_parameter_is_named(spec, key):
    with pytest.raises(InputError, match=f"foolsgold: {key}"):
        aggregate(HALF_ALIKE, **spec)


def test_unknown_features_are_named():
    with pytest.raises(InputError, match="features: 'penultimate'"):
        init(2, LAYOUT, features="penultimate")
