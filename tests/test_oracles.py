import numpy as np

from fedsieve import oracles
from fedsieve.poisonings import changed
from fedsieve.records import Dataset

DATA = Dataset(np.zeros((500, 1, 1, 1), np.uint8), np.zeros(500, np.int64), ("a", "b"))
POISONING = changed(DATA, np.arange(100, 200), "flip", np.ones(100, np.int64))


def test_perfect_drops_the_poison_and_nothing_else():
    keep = oracles.perfect(POISONING, 500, np.random.default_rng(0))
    assert np.flatnonzero(~keep).tolist() == list(range(100, 200))


def test_random_drops_as_many_samples_but_only_by_chance_the_poison():
    keep = oracles.random(POISONING, 500, np.random.default_rng(0))
    assert np.count_nonzero(~keep) == 100
    assert 5 < np.count_nonzero(~keep[100:200]) < 40  # 20 expected, standard deviation 3.6


def test_random_drops_other_samples_with_another_generator():
    a, b, c = (oracles.random(POISONING, 500, np.random.default_rng(s)) for s in (0, 0, 1))
    assert (a == b).all()
    assert (a != c).any()
