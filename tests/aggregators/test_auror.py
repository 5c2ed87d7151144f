import itertools

import pytest
import torch
from sklearn.cluster import KMeans

from fedsieve.aggregators import auror
from fedsieve.aggregators.auror import Split, by_feature, indicative, init, split, two_groups
from fedsieve.errors import InputError
from fedsieve.vectors import Layout

LAYOUT = Layout(("extractor.w", "predictor.w"), (torch.Size([2]), torch.Size([30])), 32)
N_SAMPLES = [10, 20, 30, 40, 50, 60, 70, 80]
both_votes = pytest.mark.parametrize("vote", ["joint", "per_feature"])


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def cohort(n_bad, n=8, at=slice(2, 12), by=100.0, seed=0):
    """Updates of which the first ``n_bad`` are shifted in some parameters."""
    updates = noise(n, 32, seed=seed)
    updates[:n_bad, at] += by
    return updates


def aggregate(updates, ids=range(3, 11), **spec):
    ids = torch.tensor(ids[: len(updates)])
    n_samples = torch.tensor(N_SAMPLES[: len(updates)])
    return auror.aggregate(updates, ids, n_samples, init(20, LAYOUT), **spec)[0]


def fedavg(updates):
    weights = torch.tensor(N_SAMPLES[: len(updates)], dtype=torch.float32)
    return weights / weights.sum()


def cost(points, upper):
    """Sum of squares within two groups."""
    groups = (points[upper], points[~upper])
    return sum((group - group.mean(dim=0)).square().sum().item() for group in groups)


def groupings(n):
    """All ways to split so many clients in two, each once."""
    for rest in itertools.product([False, True], repeat=n - 1):
        if any(rest):
            yield torch.tensor([False, *rest])


def test_a_split_has_the_centers_and_the_spread_found_by_hand():
    found = split(torch.tensor([[10.0], [0], [12], [1]], dtype=torch.float64))
    assert found.upper[:, 0].tolist() == [True, False, True, False]
    assert found.distance.item() == pytest.approx(10.5)  # centers 11 and 0.5
    assert found.spread.item() == pytest.approx(1.25**0.5)  # (1 + 1 + .25 + .25) / (4 - 2)


@pytest.mark.parametrize("n", [3, 4, 5, 8])
@pytest.mark.parametrize("ties", [False, True])
def test_a_split_is_as_good_as_the_best_of_all_groupings(n, ties):
    points = noise(n, 60, seed=n).double()
    points = (2 * points).round() if ties else points
    found = split(points)
    for j in range(points.shape[1]):
        values, upper = points[:, j : j + 1], found.upper[:, j]
        best = min(cost(values, grouping) for grouping in groupings(n))
        if found.distance[j]:
            assert cost(values, upper) == pytest.approx(best, abs=1e-9)
            assert values[upper].min() > values[~upper].max()
        else:
            assert values.unique().numel() == 1


def test_far_values_do_not_blur_a_split():
    points = torch.tensor([[0.0], [1], [10], [11]], dtype=torch.float64) + 1e9
    found = split(points)
    assert found.upper[:, 0].tolist() == [False, False, True, True]
    assert found.spread.item() == pytest.approx(0.5**0.5)


def test_indicative_coordinates_lie_far_apart_and_come_farthest_first():
    distance, spread = torch.tensor([12, 9.5, 0, 30, 10]), torch.tensor([1.0, 7, 0, 5, 5])
    found = Split(torch.zeros(4, 5, dtype=torch.bool), distance, spread)
    # the typical spread is 5: the root of (1 + 49 + 25 + 25) / 4, without the constant coordinate
    assert indicative(found, 2, None).tolist() == [3, 0, 4]
    assert indicative(found, 2, 2).tolist() == [3, 0]
    assert indicative(found, 2.1, 2).tolist() == [3, 0]
    assert indicative(found, 0, None).tolist() == [3, 0, 4, 1]
    assert indicative(found, 7, None).tolist() == []


def test_two_groups_that_differ_by_nothing_but_the_attack_are_infinitely_far_apart():
    found = split(torch.tensor([[0.0, 0], [0, 1], [1, 2]], dtype=torch.float64))
    assert found.spread[0] == 0
    assert indicative(split(torch.tensor([[0.0], [0], [1]])), 1e9, None).tolist() == [0]


@both_votes
@pytest.mark.parametrize("n_bad", [1, 2, 3])
def test_a_separate_minority_gets_nothing_and_the_rest_its_share_by_samples(vote, n_bad):
    updates = cohort(n_bad)
    found = aggregate(updates, vote=vote)
    wanted = torch.tensor([0] * n_bad + N_SAMPLES[n_bad:], dtype=torch.float32)
    torch.testing.assert_close(found.weights, wanted / wanted.sum())
    torch.testing.assert_close(found.update, found.weights @ updates)
    assert found.in_domain


@both_votes
def test_weights_go_to_their_clients_in_a_cohort_of_any_order(vote):
    found = aggregate(cohort(2), ids=[6, 3, 9, 0, 5, 1, 8, 2], vote=vote)
    assert (found.weights == 0).tolist() == [True] * 2 + [False] * 6


@both_votes
def test_a_malicious_majority_is_kept(vote):
    assert (aggregate(cohort(6), vote=vote).weights == 0).tolist() == [False] * 6 + [True] * 2


@both_votes
def test_a_tie_is_fedavg_outside_the_domain(vote):
    found = aggregate(cohort(4), vote=vote)
    torch.testing.assert_close(found.weights, fedavg(cohort(4)))
    assert not found.in_domain


@both_votes
def test_everybody_is_kept_where_nothing_is_indicative(vote):
    updates = cohort(2)
    for given, gap in ((updates, 1e6), (updates[:1].repeat(8, 1), 0)):
        found = aggregate(given, vote=vote, gap=gap)
        torch.testing.assert_close(found.weights, fedavg(updates))
        assert found.in_domain


@both_votes
@pytest.mark.parametrize("n", [1, 2])
def test_fewer_than_three_clients_have_no_majority(vote, n):
    found = aggregate(cohort(1, n), vote=vote)
    torch.testing.assert_close(found.weights, fedavg(cohort(1, n)))
    assert not found.in_domain


@both_votes
def test_three_clients_have_a_majority(vote):
    assert (aggregate(cohort(1, 3), vote=vote, gap=1).weights == 0).tolist() == [True, False, False]


def test_more_than_half_of_the_clients_are_always_kept_by_the_joint_vote():
    for seed in range(40):
        found = aggregate(noise(7, 32, seed=seed), gap=0)
        assert 4 <= (found.weights > 0).sum() < 7


@both_votes
@pytest.mark.parametrize("scale", [1e-25, 1e6])
def test_scaling_all_updates_leaves_the_weights(vote, scale):
    updates = cohort(2, at=slice(2, 6), by=9.0)
    found = aggregate(updates, vote=vote)
    torch.testing.assert_close(aggregate(updates * scale, vote=vote).weights, found.weights)
    assert (found.weights == 0).any()


def test_only_the_output_layer_counts_unless_told_otherwise():
    updates = cohort(2, at=slice(0, 2))
    assert (aggregate(updates, gap=10).weights > 0).all()
    state = init(20, LAYOUT, features="all")
    found, _ = auror.aggregate(updates, torch.arange(8), torch.tensor(N_SAMPLES), state, gap=10)
    assert (found.weights == 0).tolist() == [True] * 2 + [False] * 6


def test_a_model_without_a_predictor_is_looked_at_as_a_whole():
    assert init(2, Layout(("0.weight",), (torch.Size([4]),), 4))["first"].item() == 0


def test_a_vote_per_feature_counts_how_often_a_client_is_in_the_smaller_cluster():
    upper = torch.tensor([[1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]])
    # the smaller clusters: clients 0 1, 0 1, 0, 1; so 0 and 1 are in three of four, others in none
    for threshold, kept in ((0.5, [0, 0, 1, 1, 1]), (0.74, [0, 0, 1, 1, 1]), (0.75, [1] * 5)):
        found, decided = by_feature(upper.bool(), threshold)
        assert (found.int().tolist(), decided) == (kept, True)


def test_clusters_of_the_same_size_suspect_nobody():
    upper = torch.tensor([[1, 1], [1, 0], [0, 0], [0, 0]]).bool()
    assert by_feature(upper, 0.0)[0].tolist() == [False, True, True, True]
    kept, decided = by_feature(upper[:, :1], 0.0)
    assert (kept.all().item(), decided) == (True, False)


def test_everybody_is_kept_where_nobody_would_be_left():
    kept, decided = by_feature(torch.eye(4).bool(), 0.0)
    assert (kept.all().item(), decided) == (True, False)


def test_the_strongest_features_alone_can_vote():
    updates = cohort(2, at=slice(2, 6))
    updates[5, 10:20] += 50  # an odd but honest client
    assert aggregate(updates, vote="per_feature").weights[:2].tolist() != [0, 0]
    found = aggregate(updates, vote="per_feature", n_features=4)
    assert (found.weights == 0).tolist() == [True, True] + [False] * 6


def test_the_joint_vote_is_one_of_the_indicative_features():
    updates = noise(8, 32) / 100
    updates[0, 5] += 20  # squares between the groups: 1 * 7 / 8 * 400 = 350
    updates[5:, 9] += 15  # 3 * 5 / 8 * 225 = 422
    assert (aggregate(updates).weights == 0).tolist() == [False] * 5 + [True] * 3
    assert (aggregate(updates, n_features=1).weights == 0).tolist() == [True] + [False] * 7


@pytest.mark.parametrize(("n", "n_bad"), [(3, 1), (8, 3), (40, 19)])
def test_two_groups_that_are_apart_are_those_of_the_best_of_many_starts(n, n_bad):
    points = noise(n, 5, seed=n).double()
    points[:n_bad] += 6
    fitted = KMeans(2, n_init=20, random_state=0).fit_predict(points.numpy())
    assert (two_groups(points) == two_groups(points)[0]).tolist() == (fitted == fitted[0]).tolist()


def test_two_groups_lie_at_the_ends_of_the_longest_axis_wherever_the_clients_are():
    points = torch.tensor([[10, 1], [10, -1], [10, 0], [-10, 1], [-10, -1], [-10, 0]]).double()
    for offset in ([0, 0], [0, 1000], [50, 1000]):
        upper = two_groups(points + torch.tensor(offset))
        assert upper.tolist() in ([True] * 3 + [False] * 3, [False] * 3 + [True] * 3)


def test_every_client_is_nearest_to_the_center_of_its_own_group():
    for seed in range(30):
        points = noise(50, 2, seed=seed).double()
        upper = two_groups(points)
        centers = torch.stack([points[~upper].mean(dim=0), points[upper].mean(dim=0)])
        assert (torch.cdist(points, centers).argmin(dim=1) == upper).all()


@both_votes
def test_splitting_in_parts_changes_nothing(monkeypatch, vote):
    updates = cohort(3, at=slice(20, 32))
    wanted = aggregate(updates, vote=vote)
    monkeypatch.setattr(auror, "COLUMNS", 7)
    assert torch.equal(aggregate(updates, vote=vote).weights, wanted.weights)
    assert (wanted.weights == 0).any()


@both_votes
def test_what_all_clients_learn_alike_does_not_blur_what_divides_them(vote):
    updates = cohort(3, by=30.0) / 1e3 + 1e5  # the groups lie 4 steps of a float32 apart
    wanted = aggregate(updates - 1e5, vote=vote).weights
    assert torch.equal(aggregate(updates, vote=vote).weights, wanted)
    assert (wanted == 0).tolist() == [True] * 3 + [False] * 5


@pytest.mark.parametrize(
    ("spec", "key"),
    [
        ({"vote": "sum"}, "vote"),
        ({"gap": -1}, "gap"),
        ({"gap": float("nan")}, "gap"),
        ({"n_features": 0}, "n_features"),
        ({"threshold": 1.5}, "threshold"),
    ],
)
def test_a_bad_parameter_is_named(spec, key):
    with pytest.raises(InputError, match=f"auror: {key}"):
        aggregate(cohort(2), **spec)


def test_unknown_features_are_named():
    with pytest.raises(InputError, match="features: 'penultimate'"):
        init(2, LAYOUT, features="penultimate")
