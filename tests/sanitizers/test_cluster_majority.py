import numpy as np
import pytest

from fedsieve.errors import InputError
from fedsieve.records import View
from fedsieve.sanitizers.cluster_majority import client, keep, label_counts, majority_label, server


def view(features, labels, number=0, n_classes=3):
    return View(
        number, {"raw": np.array(features, np.float32)}, np.array(labels, np.int64), n_classes
    )


def message(centers, counts):
    return {"centers": np.array(centers, float)[:, None], "counts": np.array(counts)}


def labels(messages, **spec):
    return server(messages, {}, n_clusters=2, **spec)[0]["labels"].tolist()


def test_a_majority_is_the_most_frequent_label_and_ties_go_to_the_smaller():
    counts = np.array([[1, 5, 2], [0, 3, 3], [4, 0, 4], [0, 0, 0]])
    assert majority_label(counts).tolist() == [1, 1, 0, -1]


def test_labels_are_counted_by_cluster():
    counts = label_counts(np.array([0, 2, 2, 1]), np.array([1, 1, 1, 0]), 3, 4)
    assert counts.tolist() == [[0, 1, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]


def test_a_client_sends_centers_and_counts_and_keeps_its_assignment():
    own = view([[0, 0], [0, 1], [9, 9], [9, 8]], [1, 1, 2, 0])
    sent, memory = client(own, {}, {}, rng=np.random.default_rng(0), n_clusters=2)
    low, high = memory["cluster"][0], memory["cluster"][2]
    assert memory["cluster"].tolist() == [low, low, high, high]
    np.testing.assert_allclose(sent["centers"][[low, high]], [[0, 0.5], [9, 8.5]], atol=1e-6)
    assert sent["counts"][[low, high]].tolist() == [[0, 2, 0], [1, 0, 1]]
    assert sent["separation"] > 1
    assert set(sent) == {"centers", "counts", "separation"}


def test_two_clusters_get_their_majority_by_hand():
    own = message([0, 10], [[5, 1, 0], [0, 2, 7]])
    other = message([1, 9], [[2, 3, 0], [0, 9, 0]])
    # joint counts 7, 4, 0 and 0, 11, 7
    assert labels([own, other]) == [[0, 1], [0, 1]]
    answer, state = server([own, other], {}, n_clusters=2)
    assert answer["counts"].tolist() == [[7, 4, 0], [0, 11, 7]]
    assert answer["centers"].ravel().tolist() == [0.5, 9.5]
    assert state == {}


def test_a_malicious_clients_own_majority_is_outvoted_only_by_the_global_vote():
    honest = message([0, 10], [[20, 0], [0, 20]])
    malicious = message([0, 10], [[1, 9], [0, 10]])  # class 0 labeled as 1
    assert labels([honest, malicious], vote="global") == [[0, 1], [0, 1]]
    assert labels([honest, malicious], vote="local") == [[0, 1], [1, 1]]


def test_several_local_clusters_vote_together_in_the_servers_cluster():
    first = message([0, 10], [[2, 0], [0, 1]])
    second = message([1, 2], [[0, 1], [3, 0]])
    assert labels([first, second]) == [[0, 1], [0, 0]]
    assert labels([first, second], vote="local") == [[0, 1], [0, 0]]  # 3 against 1 at the second


def test_a_client_without_samples_has_no_label_and_changes_none():
    nobody = {"centers": np.zeros((0, 1)), "counts": np.zeros((0, 2), int)}
    own = message([0, 10], [[5, 1], [1, 5]])
    assert labels([nobody, own, nobody]) == [[-1, -1], [0, 1], [-1, -1]]


def test_an_empty_cluster_has_no_label():
    assert labels([message([0, 10], [[5, 1], [0, 0]])]) == [[0, -1]]


def test_kept_is_what_carries_the_label_of_its_cluster():
    broadcast = {"labels": np.array([[9, 9], [0, 2]])}
    memory = {"cluster": np.array([0, 0, 1, 1])}
    own = view(np.zeros((4, 1)), [0, 1, 2, 0], number=1)
    assert keep(own, broadcast, memory).tolist() == [True, False, True, False]


def test_poison_among_honest_samples_is_dropped_and_nothing_else():
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 20)
    centers = np.array([[0, 0], [50, 0], [0, 50]])
    views = []
    for number in range(3):
        given = truth.copy()
        if number == 1:
            given[truth == 2] = 0  # all of class 2 are labeled 0
        views.append(view(centers[truth] + rng.normal(size=(60, 2)), given, number))
    steps = [client(v, {}, {}, rng=np.random.default_rng(1), n_clusters=3) for v in views]
    answer, _ = server([sent for sent, _ in steps], {}, n_clusters=3)
    kept = [keep(v, answer, memory) for v, (_, memory) in zip(views, steps, strict=True)]
    assert kept[0].all()
    assert kept[2].all()
    assert kept[1].tolist() == (truth != 2).tolist()


def test_several_labels_per_sample_are_refused():
    several = View(0, {"raw": np.zeros((2, 3), np.float32)}, np.zeros((2, 4), np.uint8), 4)
    with pytest.raises(InputError, match="one label per sample"):
        client(several, {}, {}, rng=np.random.default_rng(0))


def test_an_unknown_vote_is_refused():
    with pytest.raises(InputError, match="vote: 'all' is neither global nor local"):
        server([message([0], [[1]])], {}, vote="all")


def test_an_unknown_seeding_is_refused():
    with pytest.raises(InputError, match="seeding"):
        server([message([0], [[1]])], {}, seeding="clients")


def test_a_client_without_samples_sends_no_centers():
    own = view(np.zeros((0, 2)), np.zeros(0, int))
    sent, memory = client(own, {}, {}, rng=np.random.default_rng(0))
    assert (len(sent["centers"]), len(memory["cluster"])) == (0, 0)


def test_a_client_may_have_as_many_clusters_as_it_has_labels():
    # three blobs of which a flip left two labels: section III-A's k is 2 there, 3 elsewhere
    rng = np.random.default_rng(0)
    features = np.repeat(np.eye(3) * 9, 8, axis=0) + rng.normal(size=(24, 3)) / 9
    true = np.repeat([0, 1, 2], 8)
    flipped = np.where(true == 1, 0, true)
    own = {"rng": rng, "n_clusters": "own"}
    (honest, _), (other, _) = (
        client(view(features, y, number), {}, {}, **own) for number, y in enumerate((true, flipped))
    )
    assert (len(honest["centers"]), len(other["centers"])) == (3, 2)
    answer, _ = server([other, honest], {}, n_clusters="own")
    assert answer["labels"].shape == (2, 3)
    assert len(answer["centers"]) == 3
    assert answer["labels"][0, 2] == -1  # the flipped client has no third cluster


@pytest.mark.parametrize("k", [0, -3, "all"])
def test_a_number_of_clusters_is_positive_or_own(k):
    with pytest.raises(InputError, match="n_clusters"):
        client(view(np.eye(3), [0, 1, 2]), {}, {}, rng=np.random.default_rng(0), n_clusters=k)
