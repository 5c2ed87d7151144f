import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from fedsieve import metrics
from fedsieve.poisonings import changed, empty
from fedsieve.records import Dataset, Partition, Poisoning

LABELS = np.array([0, 0, 1, 1, 1, 2])
PREDICTED = np.array([0, 1, 1, 1, 2, 2])
MANY = np.array([[1, 0, 0], [1, 1, 0]], np.uint8)
MANY_PREDICTED = np.array([[1, 1, 0], [0, 1, 0]], np.uint8)

# Eight samples: clients 0 and 1 hold four each, client 1 is malicious. It flips sample 4 from
# class 0 to 1 and patches samples 5 and 6, of class 1, to class 2, which nobody else carries.
CLEAN = np.array([0, 0, 1, 1, 0, 1, 1, 1])
PARTITION = Partition(np.repeat([0, 1], 4), 2)
DATA = Dataset(np.zeros((8, 1, 1, 1), np.uint8), CLEAN, ("a", "b", "c"))
POISONING = Poisoning(
    malicious=np.array([1]),
    samples=np.array([4, 5, 6]),
    kind=np.array(["flip", "backdoor", "backdoor"]),
    labels_before=CLEAN[4:7],
    labels_after=np.array([1, 2, 2]),
    images=DATA.images[4:7],
)


def keep_all_but(*removed):
    keep = np.ones(8, bool)
    keep[list(removed)] = False
    return keep


def score(*removed, poisoning=POISONING, partition=PARTITION):
    return metrics.sanitization(keep_all_but(*removed), poisoning, CLEAN, partition)


def test_accuracy_is_the_share_predicted_right():
    assert metrics.accuracy(PREDICTED, LABELS) == 4 / 6


def test_multi_label_accuracy_is_the_mean_over_samples_and_labels():
    assert metrics.accuracy(MANY_PREDICTED, MANY) == 4 / 6
    per_label = [sk.accuracy_score(MANY[:, c], MANY_PREDICTED[:, c]) for c in range(3)]
    assert metrics.accuracy(MANY_PREDICTED, MANY) == pytest.approx(np.mean(per_label))


def test_predicting_no_finding_on_one_hot_labels_of_eight_scores_seven_eighths():
    assert metrics.accuracy(np.zeros((8, 8), np.uint8), np.eye(8, dtype=np.uint8)) == 7 / 8


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1))
def test_class_accuracy_is_scikit_learns_recall(pairs):
    labels, predicted = np.array(pairs).T
    found = metrics.class_accuracy(predicted, labels, 5)
    expected = sk.recall_score(
        labels, predicted, labels=range(5), average=None, zero_division=np.nan
    )
    found = [np.nan if rate is None else rate for rate in found]
    assert found == pytest.approx(expected.tolist(), nan_ok=True)


def test_multi_label_class_accuracy_is_each_labels_recall_and_none_for_an_absent_one():
    assert metrics.class_accuracy(MANY_PREDICTED, MANY, 3) == [1 / 2, 1.0, None]


def test_success_rate_is_the_share_predicted_as_wanted():
    assert metrics.success_rate(PREDICTED, 1) == 3 / 6
    assert metrics.success_rate(MANY_PREDICTED, 0) == 1 / 2
    assert metrics.success_rate(np.empty(0, np.int64), 0) is None


def test_attack_success_weighs_kinds_equally():
    assert metrics.attack_success({"flip": 0.5, "backdoor": 1.0}) == 0.75
    assert metrics.attack_success({}) is None


def test_sanitization_rates_by_hand():
    assert score(1, 3, 4, 5) == {  # two clean ones of client 0, the flip, one patch
        "recall": 2 / 3,
        "recall_flip": 1.0,
        "recall_backdoor": 1 / 2,
        "precision": 2 / 4,
        "removed_clean_share": 2 / 4,
        "clean_lost": 2 / 5,
        "honest_lost": 2 / 4,
        "vanished": [],
    }


def test_clean_samples_of_a_malicious_client_count_as_clean_but_not_as_honest():
    found = score(7)
    assert (found["clean_lost"], found["honest_lost"]) == (1 / 5, 0.0)


@pytest.mark.parametrize(("removed", "vanished"), [((5, 6), [2]), ((0, 1), [0]), ((0, 5), [])])
def test_a_class_has_vanished_when_no_kept_sample_carries_it_in_training(removed, vanished):
    # sample 4 was of class 0, but carries 1
    assert score(*removed)["vanished"] == vanished


def test_nothing_removed_has_no_precision():
    found = score()
    assert (found["recall"], found["precision"], found["removed_clean_share"]) == (0.0, None, None)


def test_nothing_poisoned_has_no_recall():
    found = score(0, poisoning=empty(DATA))
    assert (found["recall"], found["precision"], found["honest_lost"]) == (None, 0.0, 1 / 8)
    assert not [key for key in found if key.startswith("recall_")]


def test_no_honest_client_has_no_honest_loss():
    assert score(0, partition=Partition(np.ones(8, np.int64), 2))["honest_lost"] is None


def test_multi_label_classes_vanish_label_by_label():
    labels = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]], np.uint8)
    data = Dataset(np.zeros((3, 1, 1, 1), np.uint8), labels, tuple("abcd"))
    poisoning = changed(data, np.array([2]), "backdoor", np.array([[0, 0, 1, 0]], np.uint8))
    partition = Partition(np.zeros(3, np.int64), 1)
    keep = np.array([False, True, False])  # label 3 was never there, so it cannot vanish
    assert metrics.sanitization(keep, poisoning, labels, partition)["vanished"] == [1, 2]


def test_client_detection_by_hand():
    # clients 1, 2, 3 of ten are malicious; 2, 3, 4, 5 are flagged
    assert metrics.client_detection(np.array([2, 3, 4, 5]), np.array([1, 2, 3]), 10) == {
        "precision": 2 / 4,
        "recall": 2 / 3,
        "f1": 4 / 7,
        "false_positive_rate": 2 / 7,
        "trusted_malicious_share": 1 / 6,
    }


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1))
def test_client_detection_agrees_with_scikit_learn(clients):
    flagged, malicious = np.array(clients).T
    found = metrics.client_detection(
        np.flatnonzero(flagged), np.flatnonzero(malicious), len(clients)
    )
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        malicious, flagged, average="binary", zero_division=np.nan
    )
    f1 = f1 if malicious.any() else np.nan  # scikit-learn's is 0 where there is nobody to find
    for key, expected in {"precision": precision, "recall": recall, "f1": f1}.items():
        assert found[key] == (None if np.isnan(expected) else pytest.approx(expected))


def test_false_alarms_without_any_attacker_are_a_rate_and_recall_is_none():
    found = metrics.client_detection(np.array([3]), np.empty(0, np.int64), 10)
    assert (found["recall"], found["false_positive_rate"], found["f1"]) == (None, 1 / 10, None)


def test_no_flag_and_no_attacker_leaves_only_the_defined_rates():
    nobody = np.empty(0, np.int64)
    assert metrics.client_detection(nobody, nobody, 4) == {
        "precision": None,
        "recall": None,
        "f1": None,
        "false_positive_rate": 0.0,
        "trusted_malicious_share": 0.0,
    }


def test_repair_by_hand():
    # of five samples three got a label, two of them the true one
    found = metrics.repair(np.array([-1, 2, 0, 1, -1]), np.array([0, 2, 0, 0, 1]))
    assert found == {"repaired": 3 / 5, "repaired_right": 2 / 3}
    assert metrics.repair(np.array([-1, -1]), np.array([0, 1])) == {
        "repaired": None,
        "repaired_right": None,
    }


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.booleans()), min_size=2, max_size=30)
)
def test_macro_auc_agrees_with_scikit_learn(rows):
    scores = np.array([[s, -s] for s, _, _ in rows], float)
    labels = np.array([[a, b] for _, a, b in rows], np.uint8)
    defined = [k for k in range(2) if 0 < labels[:, k].sum() < len(rows)]
    expected = [sk.roc_auc_score(labels[:, k], scores[:, k]) for k in defined]
    found = metrics.macro_auc(scores, labels)
    assert found == (pytest.approx(np.mean(expected)) if defined else None)
