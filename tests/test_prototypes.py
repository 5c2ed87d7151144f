import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs

from fedsieve import prototypes
from fedsieve.errors import InputError
from fedsieve.prototypes import join, likeness, moved, neighbors, own_centers, profile, sums

NOBODY = np.zeros((0, 5), np.float32)


def rng():
    return np.random.default_rng(0)


def column(*numbers):
    return np.array(numbers, np.float32)[:, None]


def told(centers, sizes):
    return {"centers": column(*centers), "sizes": np.array(sizes)}


def blobs(n_samples=300, n_blobs=4):
    points, truth = make_blobs(n_samples, 5, centers=n_blobs, random_state=1)
    return points.astype(np.float32), truth


def in_order(centers):
    return np.array(sorted(map(tuple, centers)))


def test_steps_over_clients_are_those_of_lloyds_algorithm_on_all_samples():
    points = rng().normal(size=(600, 5)).astype(np.float32)
    start = now = points[:6]
    for _ in range(3):
        now = moved([sums(own, now) for own in np.split(points, [100, 350])], now)
    pooled = KMeans(6, init=start, n_init=1, max_iter=3, tol=0).fit(points)
    np.testing.assert_allclose(now, pooled.cluster_centers_, atol=1e-5)


def test_a_client_finds_the_clusters_of_its_samples():
    points, truth = blobs()
    found = own_centers(points, 4, rng())
    means = [points[truth == blob].mean(axis=0) for blob in range(4)]
    np.testing.assert_allclose(in_order(found["centers"]), in_order(means), rtol=1e-4)
    assert found["sizes"].tolist() == [75] * 4


def test_centers_weighted_by_sizes_are_the_mean_of_all_samples():
    points = rng().normal(size=(500, 5)).astype(np.float32)
    found = own_centers(points, 20, rng())
    assert len(found["centers"]) == 20
    mean = np.average(found["centers"], axis=0, weights=found["sizes"])
    np.testing.assert_allclose(mean, points.mean(axis=0), atol=1e-5)


def test_centers_are_joined_by_their_sizes():
    found = join([told([0, 10], [9, 2]), told([1, 13], [1, 1])], 2, rng())
    assert sorted(found.ravel()) == pytest.approx([0.1, 11])


def test_there_are_at_most_as_many_prototypes_as_centers():
    assert sorted(join([told([3], [5]), told([7], [5])], 50, rng()).ravel()) == [3, 7]


def test_clients_too_small_to_cluster_are_a_mistake_of_the_user():
    with pytest.raises(InputError, match="more samples"):
        join([own_centers(NOBODY, 3, rng())], 3, rng())


def test_a_prototype_without_samples_stays():
    said = [sums(column(0, 1, 2, 3), column(1, 50)), sums(column(4, 5), column(1, 50))]
    assert moved(said, column(1, 50)).ravel().tolist() == [2.5, 50]


def test_sums_and_sizes_by_hand():
    found = sums(column(1, 2, 8, 9, 11), column(0, 10, 99))
    assert found["sums"].ravel().tolist() == [3, 28, 0]
    assert found["sizes"].tolist() == [2, 3, 0]


def test_a_sample_alone_in_its_cluster_is_not_told():
    found = sums(column(1, 2, 8, 500), column(0, 10, 501))
    assert found["sums"].ravel().tolist() == [3, 0, 0]
    assert found["sizes"].tolist() == [2, 0, 0]


@pytest.mark.parametrize("n_samples", [10, 19, 60])
def test_no_center_is_a_sample(n_samples):
    points = rng().normal(size=(n_samples, 5)).astype(np.float32)
    points[0] = 1000  # a cluster of its own
    found = own_centers(points, 50, rng())
    assert 1 <= len(found["centers"]) <= n_samples // 10
    assert not (found["centers"][:, None] == points).all(axis=2).any()


def test_a_client_of_fewer_than_ten_samples_sends_no_center():
    found = own_centers(blobs(9)[0], 50, rng())
    assert found["centers"].shape == (0, 5)
    assert found["sizes"].tolist() == []


def test_a_client_without_samples_sends_nothing_and_knows_nothing():
    start = blobs(6)[0]
    assert not own_centers(NOBODY, 4, rng())["sizes"].size
    assert sums(NOBODY, start)["sizes"].tolist() == [0] * 6
    known = neighbors(NOBODY, start)
    assert known["near"].shape == known["weight"].shape == (0, 5)
    assert likeness(known, np.full((6, 3), 1 / 3)).shape == (0, 3)


def test_the_weight_of_a_cluster_falls_with_its_distance_by_hand():
    known = neighbors(column(0, 7, 14), column(1, 5, 9))
    # squared distances 1, 25, 81; 4, 4, 36 and 25, 81, 169; to the nearest, the median is 4
    assert known["near"][[0, 2]].tolist() == [[0, 1, 2], [2, 1, 0]]
    assert set(known["near"][1, :2].tolist()) == {1, 2}
    weights = np.exp([[0, -24 / 4, -80 / 4], [0, 0, -32 / 4], [0, -56 / 4, -144 / 4]])
    expected = weights / weights.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(known["weight"], expected, rtol=1e-6)


def test_five_clusters_tell_what_a_sample_looks_like():
    known = neighbors(column(0, 1), column(*range(9)))
    assert known["near"][0].tolist() == [0, 1, 2, 3, 4]
    assert sorted(known["near"][1].tolist()) == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(known["weight"].sum(axis=1), 1)


def test_samples_on_top_of_their_prototypes_are_like_these_alone():
    known = neighbors(column(0, 0, 900), column(0, 900))
    assert known["near"][:, 0].tolist() == [0, 0, 1]
    assert known["weight"].tolist() == [[1, 0]] * 3


def test_a_sample_far_from_all_clusters_looks_like_the_nearest():
    known = neighbors(column(0, 1, 1e4), column(0, 2))
    assert known["near"][2].tolist() == [1, 0]
    assert known["weight"][2].tolist() == [1, 0]


def test_the_nearest_are_those_of_plain_arithmetic():
    points, start = rng().normal(size=(2, 40, 5)).astype(np.float32)
    distance = ((points[:, None].astype(float) - start) ** 2).sum(axis=2)
    expected = np.argsort(distance, axis=1)[:, : prototypes.NEAREST]
    assert neighbors(points, start)["near"].tolist() == expected.tolist()


def test_the_lift_finds_a_class_of_which_four_in_five_labels_were_flipped():
    counts = np.array([[100, 0], [80, 20]])  # the second cluster is of class 1
    assert profile(counts, lift=False).argmax(axis=1).tolist() == [0, 0]
    assert profile(counts, lift=True).argmax(axis=1).tolist() == [0, 1]


def test_profiles_by_hand():
    counts = np.array([[3, 0], [1, 2]])
    mode = [[3.1 / 3.2, 0.1 / 3.2], [1.1 / 3.2, 2.1 / 3.2]]
    np.testing.assert_allclose(profile(counts, lift=False), mode)
    shares = np.array([[3.1 / 4.2, 0.1 / 2.2], [1.1 / 4.2, 2.1 / 2.2]])
    expected = shares / shares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(profile(counts, lift=True), expected)


@pytest.mark.parametrize("lift", [True, False])
def test_a_class_that_nobody_has_and_an_empty_cluster_leave_distributions(lift):
    found = profile(np.array([[50, 0, 0], [0, 50, 0], [0, 0, 0]]), lift=lift)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert found[:2].argmax(axis=1).tolist() == [0, 1]


def test_likeness_is_the_weighted_profile_of_the_clusters_near():
    known = {"near": np.array([[0, 2], [1, 0]]), "weight": np.array([[0.75, 0.25], [1.0, 0.0]])}
    classes = np.array([[1.0, 0.0], [0.4, 0.6], [0.2, 0.8]])
    np.testing.assert_allclose(likeness(known, classes), [[0.8, 0.2], [0.4, 0.6]])
