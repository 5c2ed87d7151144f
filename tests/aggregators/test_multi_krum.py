import pytest
import torch

from fedsieve.aggregators import krum
from fedsieve.aggregators.multi_krum import aggregate
from fedsieve.errors import InputError

LINE = [0, 1, 3, 7, 100]
"""By n - f - 2 = 2 nearest others (f = 1): scores 10, 5, 13, 52 and over 18,000."""


def multi_krum(updates, cohort=None, **spec):
    updates = torch.tensor(updates, dtype=torch.float32).reshape(len(updates), -1)
    ids = torch.arange(len(updates)) if cohort is None else torch.tensor(cohort)
    return aggregate(updates, ids, torch.ones_like(ids), {}, **spec)[0]


@pytest.mark.parametrize(
    ("n_selected", "mean", "weights"),
    [(1, 1, [0, 1, 0, 0, 0]), (2, 0.5, [0.5, 0.5, 0, 0, 0]), (4, 2.75, [0.25] * 4 + [0])],
)
def test_the_updates_with_the_lowest_scores_are_averaged(n_selected, mean, weights):
    found = multi_krum(LINE, n_malicious=1, n_selected=n_selected)
    assert found.update.tolist() == [mean]  # 1; (0 + 1) / 2; (0 + 1 + 3 + 7) / 4
    assert found.weights.tolist() == weights


def test_n_minus_f_are_selected_by_default():
    assert multi_krum(LINE, n_malicious=1).update.tolist() == [2.75]


def test_all_selected_is_the_plain_mean():
    found = multi_krum(LINE, n_malicious=1, n_selected=5)
    assert found.update.item() == pytest.approx(22.2)  # 111 / 5
    assert found.in_domain


def test_the_conventions_are_those_of_krum():
    # 3 nearest of 5: 59, 41, 29, 101 and over 18,000
    found = multi_krum(LINE, n_malicious=1, n_selected=2, neighbors="n-f-1")
    assert found.update.tolist() == [2]  # (1 + 3) / 2
    # 2 nearest of 6, plain: 9, 6, 9, 6.5, 5.5, 10; squared, 3 would come first with 18
    points = [0, 3, 6, 100, 101, 105.5]
    found = multi_krum(points, n_malicious=2, n_selected=1, squared=False)
    assert found.update.tolist() == [101]


def test_one_selected_is_krum():
    updates = torch.randn(9, 20, generator=torch.Generator().manual_seed(0))
    ids = torch.arange(9)
    one, _ = krum.aggregate(updates, ids, ids, {}, n_malicious=2)
    assert torch.equal(multi_krum(updates.tolist(), n_malicious=2, n_selected=1).update, one.update)


def test_ties_go_to_the_lowest_client_id_wherever_it_stands():
    # one nearest other counts: scores 1, 1, 1, 1; the clients 2 and 4 have the lowest ids
    found = multi_krum([0, 1, 10, 11], [9, 4, 2, 7], n_malicious=1, n_selected=2)
    assert found.weights.tolist() == [0, 0.5, 0.5, 0]


@pytest.mark.parametrize(
    ("n", "f", "n_selected", "within"),
    [(7, 2, None, True), (6, 2, None, False), (7, 2, 7, True), (7, 2, 8, False)],
)
def test_the_domain_has_2_f_plus_3_clients_and_enough_to_select(n, f, n_selected, within):
    found = multi_krum(list(range(n)), n_malicious=f, n_selected=n_selected)
    assert found.in_domain is within


def test_a_cohort_smaller_than_the_selection_is_averaged():
    found = multi_krum([1, 2, 6], n_malicious=0, n_selected=5)
    assert found.update.tolist() == [3]
    assert found.weights.tolist() == pytest.approx([1 / 3] * 3)


def test_with_no_fewer_attackers_than_clients_one_update_is_followed():
    found = multi_krum([0, 4, 7, 97], n_malicious=6)
    assert found.update.tolist() == [4]
    assert not found.in_domain


@pytest.mark.parametrize("n_selected", [None, 1, 3])
def test_one_client_is_followed_out_of_domain(n_selected):
    found = multi_krum([[2, -5]], n_malicious=1, n_selected=n_selected)
    assert (found.update.tolist(), found.weights.tolist()) == ([2, -5], [1])
    assert not found.in_domain


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"n_malicious": -1}, "multi_krum: n_malicious: -1 is no whole number"),
        ({"n_malicious": 1, "n_selected": 0}, "multi_krum: n_selected: 0 is no whole number"),
    ],
)
def test_counts_out_of_range_are_errors(spec, message):
    with pytest.raises(InputError, match=message):
        multi_krum(LINE, **spec)
