import numpy as np

from fedsieve.attacks import unattacked
from fedsieve.records import Dataset

DATA = Dataset(np.zeros((4, 1, 2, 2), np.uint8), np.array([0, 1, 0, 1]), ("a", "b"))


def test_leaves_the_training_set_as_it_is():
    found = unattacked.poison(DATA, np.arange(4), rng=np.random.default_rng(0))
    assert len(found.samples) == 0
    np.testing.assert_array_equal(found.apply(DATA).images, DATA.images)
    np.testing.assert_array_equal(found.apply(DATA).labels, DATA.labels)


def test_probes_nothing():
    assert unattacked.probe(DATA) == {}
