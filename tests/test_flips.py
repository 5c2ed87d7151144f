import numpy as np
import pytest
from flipped import RARE, counted, f1, flip, group, samples, swap, uneven

from fedsieve.flips import Finding, Rule, detect, find, flags

RULE = Rule()


def suspects(seed, attacks, **how):
    return detect(counted(samples(seed, attacks, **how)), RULE)


def who(flagged):
    return np.flatnonzero(flagged).tolist()


def finding(soft, softa, joint, image_gain=100.0, joint_gain=100.0):
    odds = (np.array(part, float) for part in (soft, softa, joint))
    return Finding((0, 1), *odds, image_gain, joint_gain)


@pytest.mark.parametrize("n_malicious", [1, 8, 20])
def test_flippers_are_found_and_so_is_the_flip(n_malicious):
    found = suspects(0, group(n_malicious, flip(2, 3)))
    assert who(found.flagged) == list(range(n_malicious))
    assert np.argwhere(found.pairs).tolist() == [[2, 3]]
    assert found.first.pair == (2, 3)


@pytest.mark.parametrize("n_malicious", [5, 20, 40])
def test_margins_alone_do_as_well_as_their_separation_allows(n_malicious):
    # with known normal densities F1 is .995 to .997 at an area of .85, and .72 to .86 at .65
    scores = {}
    for auc in (0.65, 0.85):
        how = {"n_clients": 100, "n": 500, "shares": RARE, "auc": auc}
        found = find(counted(samples(0, group(n_malicious, flip(0, 1)), **how)))
        scores[auc] = f1(found.soft > 2.2, n_malicious)
    assert scores[0.85] > 0.97
    assert scores[0.65] < 0.92


@pytest.mark.parametrize("n_malicious", [20, 40])
def test_half_flips_are_found_by_margins_and_counts_together(n_malicious):
    # with known normal densities F1 is .999; by margins alone .96 to .98
    how = {"n_clients": 100, "n": 500, "shares": RARE, "auc": 0.85}
    found = [suspects(seed, group(n_malicious, flip(0, 1, 0.5)), **how) for seed in range(2)]
    assert np.mean([f1(own.flagged, n_malicious) for own in found]) > 0.98
    assert np.mean([f1(own.soft, n_malicious) for own in found]) < 0.99


@pytest.mark.parametrize("spread", [False, True])
def test_nobody_is_flagged_where_nobody_attacks(spread):
    for seed in range(3):
        shares = {"shares": uneven(seed)} if spread else {}
        found = suspects(seed, {}, auc=0.8, **shares)
        assert not (found.flagged | found.soft | found.softa | found.joint).any()
        assert not found.pairs.any()
        assert found.first.image_gain < 10


def test_flippers_are_found_where_labels_are_spread_unevenly():
    shares = uneven(3)
    found = suspects(3, group(12, flip(2, 3)), shares=shares)
    holding = [i for i in range(12) if shares[i, 2] > 0.05]
    assert set(holding) <= set(who(found.flagged)) <= set(range(12))


def test_a_swap_that_counts_would_excuse_is_found_by_margins():
    found = suspects(0, group(16, swap(2, 3)))
    assert who(found.flagged) == who(found.softa) == list(range(16))
    assert not found.joint.any()


def test_two_attacks_are_peeled_off_one_after_the_other():
    found = suspects(0, group(16, flip(3, 1)) | group(8, flip(0, 2)))
    assert who(found.flagged) == list(range(16))
    assert np.argwhere(found.pairs).tolist() == [[0, 2], [3, 1]]
    assert ((found.log_odds > RULE.cut) == found.flagged).all()


@pytest.mark.parametrize("n_malicious", [21, 30])
def test_never_more_than_half_of_the_clients_are_flagged(n_malicious):
    found = suspects(0, group(n_malicious, flip(2, 3)))
    assert found.flagged.sum() == 20
    assert who(found.flagged)[-1] < n_malicious


def test_peeling_stops_before_more_than_half_are_flagged():
    found = suspects(0, group(28, flip(3, 1)) | group(14, flip(0, 2)))
    assert found.flagged.sum() == 14
    assert found.pairs.sum() == 1


def test_permuting_clients_permutes_what_is_found():
    counts = counted(samples(0, group(8, flip(2, 3, 0.5)), auc=0.8))
    order = np.random.default_rng(0).permutation(40)
    one, moved = detect(counts, RULE), detect(counts[order], RULE)
    for part in ("flagged", "soft", "softa", "joint"):
        assert (getattr(moved, part) == getattr(one, part)[order]).all()
    assert moved.log_odds == pytest.approx(one.log_odds[order])
    assert moved.first.joint_gain == pytest.approx(one.first.joint_gain)


def test_clients_without_samples_of_a_class_or_at_all_do_no_harm():
    found = samples(0, group(8, flip(2, 3)))
    (logits, labels), lacks = found[-1], found[-2][1] != 3
    found[-1] = logits[:0], labels[:0]
    found[-2] = found[-2][0][lacks], found[-2][1][lacks]
    assert who(detect(counted(found), RULE).flagged) == list(range(8))


def test_a_class_that_nobody_holds_does_no_harm():
    shares = np.array([0.3, 0.3, 0, 0.4])
    assert who(suspects(0, group(8, flip(0, 1)), shares=shares).flagged) == list(range(8))


def test_two_classes_are_enough():
    assert who(suspects(0, group(8, flip(0, 1)), shares=np.full(2, 0.5)).flagged) == [*range(8)]


@pytest.mark.parametrize("n_clients", [1, 2, 3])
def test_a_few_clients_are_no_error(n_clients):
    found = suspects(0, {0: flip(2, 3)}, n_clients=n_clients)
    assert found.flagged.sum() <= n_clients / 2
    assert not found.flagged[1:].any()


def test_many_bins_or_few_find_the_same():
    counts = counted(samples(0, group(8, flip(2, 3))))
    for n_bins in (2, 30):
        assert who(detect(counts, Rule(n_bins=n_bins)).flagged) == list(range(8))


def test_either_part_flags_above_its_own_cut():
    #          by both, by margins beyond doubt, by margins with doubt, by neither
    known = finding([0] * 8, [0, 9.3, 9.1, 2.3, 0, 0, 0, 0], [2.3, -9, -9, -9, 0, 0, 0, 0])
    found = flags(known, RULE, 10)
    assert who(found["flagged"]) == [0, 1]
    assert who(found["softa"]) == [1, 2, 3]
    assert who(found["joint"]) == [0]


def test_where_either_would_flag_more_than_half_the_common_share_decides():
    known = finding([0, 3, -1, 0], [10, 10, 10, 0], [0] * 4)
    assert who(flags(known, RULE, 10)["flagged"]) == [1]
    assert known.log_odds(RULE).tolist() == [0, 3, -1, 0]


@pytest.mark.parametrize(
    ("image_gain", "joint_gain", "wanted"),
    [
        (19.1, -9.0, ["flagged", "soft", "softa"]),
        (0.1, 19.1, ["flagged", "joint"]),
        (-0.1, 99.0, []),
        (18.9, 18.9, []),
        (19.1, 19.1, ["flagged", "soft", "softa", "joint"]),
    ],
)
def test_each_part_has_its_own_gate(image_gain, joint_gain, wanted):
    # the gate of ten classes is 10 + 2 ln 90 = 19.0
    known = finding([5, 0, 0], [10, 0, 0], [5, 0, 0], image_gain, joint_gain)
    assert [part for part, mask in flags(known, RULE, 10).items() if mask.any()] == wanted
