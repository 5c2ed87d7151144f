import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from fedsieve import clustering
from fedsieve.clustering import Clustering, aggregate_centers, farthest_first, local_clusters


def clusters(points, n_clusters, seed=0):
    rng = np.random.default_rng(seed)
    return local_clusters(np.asarray(points, np.float32), n_clusters, restarts=3, rng=rng)


def column(*numbers):
    return np.array(numbers, float)[:, None]


@pytest.mark.parametrize("n_clusters", [2, 5, 10])
@pytest.mark.parametrize("n_features", [12, 60])
def test_well_separated_blobs_are_recovered_exactly(n_clusters, n_features):
    points, truth = make_blobs(300, n_features, centers=n_clusters, random_state=3)
    found = clusters(points, n_clusters)
    other = KMeans(n_clusters, n_init=3, random_state=0).fit(points)
    assert adjusted_rand_score(truth, found.assignment) == 1
    assert adjusted_rand_score(other.labels_, found.assignment) == 1
    for c in range(n_clusters):
        mean = points[found.assignment == c].mean(axis=0)
        np.testing.assert_allclose(found.centers[c], mean, rtol=1e-4, atol=1e-4)


def test_more_clusters_than_features_are_possible():
    found = clusters(column(0, 0.1, 10, 10.1, 20, 20.1), 3)
    pairs = found.assignment.reshape(3, 2)
    assert (pairs[:, 0] == pairs[:, 1]).all()
    assert len(set(pairs[:, 0])) == 3


def test_fewer_samples_than_clusters_are_a_cluster_each():
    found = clusters([[0, 1], [5, 5], [9, 0]], 10)
    assert sorted(found.assignment) == [0, 1, 2]
    np.testing.assert_allclose(found.centers[found.assignment], [[0, 1], [5, 5], [9, 0]], atol=1e-5)


def test_one_sample_is_its_own_center():
    found = clusters([[3, 4]], 10)
    np.testing.assert_allclose(found.centers, [[3, 4]], rtol=1e-6)
    assert found.assignment.tolist() == [0]


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_duplicates_of_one_point_all_lie_at_a_center():
    found = clusters([[3, 4]] * 6, 4)
    np.testing.assert_allclose(found.centers[found.assignment], [[3, 4]] * 6, rtol=1e-5)


def test_a_client_without_samples_has_no_clusters():
    found = clusters(np.zeros((0, 7)), 4)
    assert found.centers.shape == (0, 7)
    assert found.assignment.shape == (0,)


def test_the_generator_alone_decides():
    points = np.random.default_rng(0).normal(size=(80, 5))
    one, same, other = clusters(points, 6), clusters(points, 6), clusters(points, 6, seed=1)
    np.testing.assert_array_equal(one.centers, same.centers)
    np.testing.assert_array_equal(one.assignment, same.assignment)
    assert not np.array_equal(one.centers, other.centers)


def test_features_are_not_modified():
    points = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32)
    before = points.copy()
    local_clusters(points, 4, restarts=1, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(points, before)


@pytest.mark.parametrize("shape", [(30, 6), (6, 30)])
def test_top_axes_are_the_right_singular_vectors(shape):
    points = np.random.default_rng(0).normal(size=shape)
    wanted = np.linalg.svd(points)[2][:3]
    found = clustering.top_axes(points, 3).T
    np.testing.assert_allclose(abs((found * wanted).sum(axis=1)), 1, rtol=1e-9)


def test_farthest_first_by_hand():
    # from 0: 10 is farthest; then 4 lies 4 from 0, and 6 lies 4 from 10: the first of the two
    points = column(0, 4, 6, 10)
    assert farthest_first(column(0), points, 4).ravel().tolist() == [0, 10, 4, 6]
    assert farthest_first(column(0), points, 2).ravel().tolist() == [0, 10]
    assert farthest_first(column(0, 4, 6), points, 2).ravel().tolist() == [0, 4]
    assert len(farthest_first(column(0), points, 9)) == 4


def test_centers_are_aggregated_by_hand():
    own = [column(0, 10), column(1, 11, 100)]
    # 0 and 10 of the first client and the farthest from them, 100, are the start
    means, joined = aggregate_centers(own, 3, seeding="client")
    assert means.ravel().tolist() == [0.5, 10.5, 100]
    assert [to.tolist() for to in joined] == [[0, 1], [0, 1, 2]]
    # 0, then 100, then 11 (11 from 0, while 10 is 10 from it)
    means, joined = aggregate_centers(own, 3, seeding="farthest")
    assert means.ravel().tolist() == [0.5, 100, 10.5]
    assert [to.tolist() for to in joined] == [[0, 2], [0, 2, 1]]


def test_a_client_without_centers_takes_no_part():
    own = [np.zeros((0, 1)), column(0, 10), np.zeros((0, 1)), column(1)]
    means, joined = aggregate_centers(own, 2, seeding="client")
    assert means.ravel().tolist() == [0.5, 10]
    assert [to.tolist() for to in joined] == [[], [0, 1], [], [0]]


def test_fewer_centers_than_clusters_are_a_cluster_each():
    means, joined = aggregate_centers([column(0), column(5)], 9, seeding="client")
    assert means.ravel().tolist() == [0, 5]
    assert [to.tolist() for to in joined] == [[0], [1]]


def test_equal_centers_share_a_cluster():
    means, joined = aggregate_centers([column(2, 2), column(2)], 3, seeding="client")
    assert set(means.ravel()) == {2}
    assert len(set(np.concatenate(joined))) == 1


def test_separation_by_hand():
    # residuals -1, 1, -1, 1: spectral norm 2; D = sqrt(2) * 2 / sqrt(2) = 2; 10 = m (2 + 2)
    found = Clustering(column(1, 11), np.array([0, 0, 1, 1]))
    assert clustering.separation(column(0, 2, 10, 12), found) == pytest.approx(2.5)


def test_separation_is_that_of_the_closest_pair_and_of_clusters_in_use():
    # k = 3, norm 2 (the third cluster has no residual), n = 2, 2, 1: D = sqrt(6), sqrt(6), sqrt(12)
    found = Clustering(column(1, 11, 15, 12), np.array([0, 0, 1, 1, 2]))
    wanted = 4 / (np.sqrt(6) + np.sqrt(12))
    assert clustering.separation(column(0, 2, 10, 12, 15), found) == pytest.approx(wanted)


def test_nothing_to_separate_is_zero():
    assert clustering.separation(column(1, 2), Clustering(column(1.5), np.zeros(2, int))) == 0
    assert clustering.separation(column(1, 2), Clustering(column(1, 2), np.arange(2))) == 0


def test_a_client_without_samples_has_nothing_to_separate():
    empty = np.zeros((0, 3))
    assert clustering.separation(empty, Clustering(empty, np.zeros(0, int))) == 0
