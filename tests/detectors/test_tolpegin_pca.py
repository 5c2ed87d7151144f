import itertools

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from fedsieve import vectors
from fedsieve.detectors.tolpegin_pca import farthest, flag, init, learn, split
from fedsieve.errors import InputError
from fedsieve.models import cnn2
from fedsieve.vectors import Layout, Trained

N_CLIENTS = 12
LAYOUT = Layout(
    ("extractor.w", "predictor.0.weight", "predictor.0.bias", "extractor.mean"),
    (torch.Size([5]), torch.Size([3, 20]), torch.Size([3]), torch.Size([4])),
    68,
)
MODEL = torch.nn.Identity()
START = init(N_CLIENTS, LAYOUT)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def trained(rows, cohort):
    """A round after which the clients' rows have moved by these, and everything else at random."""
    before, after = noise(72, seed=1), noise(len(cohort), 72, seed=2)
    after[:, 5:65] = before[5:65] + rows.reshape(len(cohort), 60)
    return Trained([int(client) for client in cohort], before, after)


def learned(*rounds, **spec):
    """State after rounds, each of rows [clients, 3, 20] and their clients."""
    state = START
    for rows, cohort in rounds:
        state = learn(MODEL, trained(rows, cohort), state, **({"first_round": 1} | spec))
    return state


def attacked(n_bad=2, n=10, cls=1, by=4.0, seed=0):
    """Rows of a round, of which the first ``n_bad`` are shifted in one class."""
    rows = noise(n, 3, 20, seed=seed)
    rows[:n_bad, cls] += by
    return rows


def screen(state, **spec):
    return flag([], state, n_clients=N_CLIENTS, **spec)


def flagged(found):
    return np.flatnonzero(~found.benign).tolist()


def test_an_update_is_what_a_client_changed_in_the_weights_of_the_output_layer():
    rows = noise(2, 3, 20)
    state = learned((rows, [4, 9]))
    torch.testing.assert_close(state["past_rows"], rows)
    assert (state["past_clients"].tolist(), state["past_rounds"].tolist()) == ([4, 9], [1, 1])


def test_the_rows_of_a_real_model_are_those_of_its_linear_layer():
    model = cnn2.build((1, 12, 12), 10, hidden=7)
    before = vectors.flatten(model)
    with torch.no_grad():
        model.predictor[0].weight[3] += torch.arange(7)
        model.predictor[0].bias += 5
    state = init(2, vectors.layout(model))
    after = vectors.flatten(model)[None]
    rows = learn(model, Trained([0], before, after), state, first_round=1)["past_rows"]
    wanted = torch.zeros(1, 10, 7)
    wanted[0, 3] = torch.arange(7)
    torch.testing.assert_close(rows, wanted)


def test_of_several_matrices_in_the_predictor_the_last_is_the_output():
    sizes = (torch.Size([8, 4]), torch.Size([8]), torch.Size([3, 8]), torch.Size([3]))
    names = tuple(f"predictor.{k}" for k in ("0.weight", "0.bias", "2.weight", "2.bias"))
    state = init(2, Layout(names, sizes, 67))
    assert (state["first"].item(), state["past_rows"].shape) == (40, (0, 3, 8))


def test_a_model_without_a_predictor_has_its_output_at_its_end():
    names, sizes = ("0.weight", "1.weight", "mean"), ([4, 2], [3, 4], [3, 3])
    state = init(2, Layout(names, tuple(map(torch.Size, sizes)), 20))
    assert (state["first"].item(), state["past_rows"].shape) == (8, (0, 3, 4))


def test_the_window_keeps_the_updates_of_its_last_rounds():
    rounds = [(noise(2, 3, 20, seed=i), [i, i + 1]) for i in range(4)]
    state = learned(*rounds, window=2)
    assert state["past_rounds"].tolist() == [3, 3, 4, 4]
    assert state["past_clients"].tolist() == [2, 3, 3, 4]
    torch.testing.assert_close(state["past_rows"], torch.cat([rounds[2][0], rounds[3][0]]))
    assert learned(*rounds, window=None)["past_rounds"].tolist() == [1, 1, 2, 2, 3, 3, 4, 4]


def test_updates_before_the_first_round_are_not_kept():
    rounds = [(noise(1, 3, 20, seed=i), [i]) for i in range(4)]
    assert learned(*rounds, first_round=3)["past_rounds"].tolist() == [3, 4]
    assert learned(*rounds, first_round=5)["past_rounds"].tolist() == []


def test_a_round_without_clients_counts_for_the_window():
    nobody = (torch.zeros(0, 3, 20), [])
    state = learned((noise(1, 3, 20), [0]), nobody, nobody, window=2)
    assert (state["n_rounds"].item(), len(state["past_rows"])) == (3, 0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_an_update_that_is_not_finite_is_left_out(bad):
    rows = noise(3, 3, 20)
    rows[1, 2, 0] = bad
    assert learned((rows, [5, 6, 7]))["past_clients"].tolist() == [5, 7]


def test_the_state_can_be_saved():
    for state in (START, learned((noise(1, 3, 20), [0]))):
        read = load(save(state))
        assert all(torch.equal(read[name], tensor) for name, tensor in state.items())


def test_the_smaller_of_two_clusters_is_flagged_and_its_class_is_found():
    found = screen(learned((attacked(n_bad=4), range(10))))
    assert flagged(found) == [0, 1, 2, 3]
    assert found.found["source_class"] == 1
    np.testing.assert_array_equal(found.scores, [0] * 4 + [1] * 6 + [np.nan] * 2)


def test_a_majority_of_malicious_updates_is_trusted():
    found = screen(learned((attacked(n_bad=6), range(10))))
    assert flagged(found) == [6, 7, 8, 9]


def test_a_client_is_judged_by_the_majority_of_its_updates_and_ties_are_benign():
    cohorts = [0, 1, *range(2, 10)], [0, 2, *range(4, 12)], [3, 2, 0, 1, *range(4, 10)]
    state = learned(*((attacked(seed=i), cohort) for i, cohort in enumerate(cohorts)))
    # the first two of a cohort are shifted: 0 and 2 in two of three rounds, 1 and 3 in one of two
    found = screen(state)
    np.testing.assert_allclose(found.scores[:4], [1 / 3, 1 / 2, 1 / 3, 1 / 2])
    assert flagged(found) == [0, 2]


def test_a_client_that_was_never_seen_is_benign_and_unknown():
    found = screen(learned((attacked(), range(2, 12))))
    assert flagged(found) == [2, 3]
    assert np.isnan(found.scores[:2]).all()


@pytest.mark.parametrize(
    "state",
    [
        START,
        learned((attacked(n_bad=1, n=3), range(3))),
        learned((torch.ones(10, 3, 20), range(10))),
    ],
    ids=["no update", "three updates", "all alike"],
)
@pytest.mark.parametrize("spec", [{}, {"center": True}, {"source_class": 1}])
def test_where_there_is_no_split_nobody_is_flagged_and_nothing_known(state, spec):
    found = screen(state, least_silhouette=0.0, **spec)
    assert found.benign.all()
    assert np.isnan(found.scores).all()
    assert (found.found["source_class"], found.found["smaller"].any()) == (-1, False)
    assert found.found["points"].shape == (len(state["past_clients"]), 2)


def test_four_updates_can_be_split():
    assert flagged(screen(learned((attacked(n_bad=1, n=4, by=30), range(4))))) == [0]


def test_clusters_of_the_same_size_flag_nobody():
    found = screen(learned((attacked(n_bad=5), range(10))))
    assert found.found["silhouette"] > 0.6
    assert found.benign.all()
    assert set(found.scores[:10]) == {1}


def test_of_one_cloud_nobody_is_flagged_unless_there_are_always_two():
    for seed in range(20):
        state = learned((noise(99, 3, 20, seed=seed), np.arange(99) % 12))
        assert screen(state).benign.all()
        found = screen(state, least_silhouette=0.0).found
        assert 0 < found["smaller"].sum() < 50


@pytest.mark.parametrize(
    ("places", "silhouette"),
    [
        (noise(500, 20), 0.32),
        (noise(500, 1).expand(500, 20), 0.56),
        (torch.linspace(0, 1, 500)[:, None].expand(500, 20), 0.63),
    ],
    ids=["round", "Gaussian line", "even line"],
)
def test_the_silhouette_of_one_cloud_is_what_the_limit_was_chosen_by(places, silhouette):
    assert split(places.numpy()).silhouette == pytest.approx(silhouette, abs=0.02)


def test_a_class_whose_rows_the_attack_leaves_alone_tells_nothing():
    state = learned((attacked(), range(10)))
    assert flagged(screen(state, source_class=1)) == [0, 1]
    found = screen(state, source_class=0)
    assert found.benign.all()
    assert found.found["source_class"] == 0


def test_of_classes_that_are_split_alike_the_lowest_counts():
    rows = np.repeat(attacked().numpy()[:, 1:2], 3, axis=1)
    assert farthest(rows, range(3))[0] == 0
    assert farthest(rows, [2, 1])[0] == 2


def test_classes_that_are_all_alike_are_passed_over():
    rows = attacked().numpy()
    rows[:, 0] = 0
    assert farthest(rows, [0, 1])[0] == 1


def test_centering_takes_away_what_all_clients_of_a_round_learn():
    away = 20 * noise(6, 1, 3, 20, seed=9)
    rounds = [(attacked(seed=i, by=2.5) + away[i], range(10)) for i in range(6)]
    assert flagged(screen(learned(*rounds), source_class=1, least_silhouette=0.0)) != [0, 1]
    assert flagged(screen(learned(*rounds), center=True)) == [0, 1]


def test_points_are_the_principal_components_of_the_correlations():
    rows = attacked()[:, 1].double().numpy() * np.logspace(-3, 3, 20)
    axes = np.linalg.eigh(np.corrcoef(rows.T)).eigenvectors
    standard = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    wanted = standard @ axes[:, [-1, -2]]
    np.testing.assert_allclose(np.abs(split(rows).points), np.abs(wanted), atol=1e-9)


def test_the_silhouette_is_the_one_found_by_hand():
    rows = np.array([[0.0], [1], [10], [11]]) * np.ones(5)
    # 0 and 11: 1 away from their own, 10.5 from the others; 1 and 10: 1 and 9.5
    assert split(rows).silhouette == pytest.approx(1 - (1 / 10.5 + 1 / 9.5) / 2)


@pytest.mark.parametrize("n_bad", [1, 2, 3, 4])
def test_the_clusters_are_the_best_of_all_groupings(n_bad):
    points = split(attacked(n_bad, n=9, by=1.0)[:, 1].numpy())
    groupings = (np.array([False, *rest]) for rest in itertools.product([False, True], repeat=8))
    best = min((g for g in groupings if g.any()), key=lambda g: within(points.points, g))
    assert within(points.points, points.smaller) == pytest.approx(within(points.points, best))


def within(points, group):
    """Sum of squares within two groups."""
    return sum(np.square(p - p.mean(axis=0)).sum() for p in (points[group], points[~group]))


def test_flags_follow_the_clients_and_are_the_same_again():
    cohort = [7, 2, 9, 0, 1, 11, 5, 3, 8, 4]
    state = learned((attacked(), cohort))
    kept = {name: tensor.clone() for name, tensor in state.items()}
    assert flagged(screen(state)) == flagged(screen(state)) == [2, 7]
    assert all(torch.equal(state[name], kept[name]) for name in kept)


@pytest.mark.parametrize(
    ("key", "act"),
    [
        ("source_class", lambda: init(2, LAYOUT, source_class=3)),
        ("source_class", lambda: init(2, LAYOUT, source_class="dog")),
        ("window", lambda: learned((noise(1, 3, 20), [0]), window=0)),
        ("first_round", lambda: learned((noise(1, 3, 20), [0]), first_round=0)),
        ("least_silhouette", lambda: screen(START, least_silhouette=1.5)),
    ],
)
def test_a_bad_parameter_is_named(key, act):
    with pytest.raises(InputError, match=f"tolpegin_pca: {key}"):
        act()


def test_an_output_layer_without_a_matrix_is_refused():
    layout = Layout(("0.weight", "predictor.w"), (torch.Size([3, 4]), torch.Size([3])), 15)
    with pytest.raises(InputError, match="end with a linear layer"):
        init(2, layout)
