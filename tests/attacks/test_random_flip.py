import numpy as np
import pytest

from fedsieve.attacks import random_flip
from fedsieve.errors import InputError
from fedsieve.records import Dataset

RNG = np.random.default_rng
DATA = Dataset(np.zeros((1000, 1, 2, 2), np.uint8), np.arange(1000) % 10, tuple("0123456789"))
CLIENTS = [np.arange(start, start + 100) for start in range(0, 1000, 100)]


def pairs(drawn, seed=0):
    """(source, target) of each of ten attackers of a run; each must have but one."""
    found = []
    for client, rows in enumerate(CLIENTS):
        drawing = {"rng": RNG([seed, client]), "common": RNG(seed)}
        made = random_flip.poison(DATA, rows, **drawing, drawn=drawn)
        assert len(made.samples) == 10  # all of the source class, that client's
        found.append(set(zip(made.labels_before.tolist(), made.labels_after.tolist(), strict=True)))
    assert all(len(pair) == 1 for pair in found)
    return [next(iter(pair)) for pair in found]


def test_each_attacker_draws_a_pair_of_its_own():
    assert len(set(pairs("each"))) > 5


def test_together_all_attackers_of_a_run_have_one_pair_and_another_seed_another():
    assert len(set(pairs("together"))) == 1
    assert len({pairs("together", seed)[0] for seed in range(10)}) > 5


def test_source_and_target_differ_and_any_class_may_be_either():
    drawn = [pair for seed in range(20) for pair in pairs("each", seed)]
    assert all(source != target for source, target in drawn)
    # 200 draws of ten classes: one is missed with probability below 1e-8
    assert {source for source, _ in drawn} == {target for _, target in drawn} == set(range(10))


def test_a_share_of_the_class_may_be_flipped():
    drawing = {"rng": RNG(0), "common": RNG(0)}
    assert len(random_flip.poison(DATA, CLIENTS[0], **drawing, poison_fraction=0.3).samples) == 3


def test_how_attackers_draw_is_one_of_two():
    with pytest.raises(InputError, match="drawn: 'alone' is neither each nor together"):
        random_flip.probe(DATA, drawn="alone")
