"""What every file of src/fedsieve/partitions promises; a new one is tested once it is there."""

import inspect

import numpy as np
import pytest
from specs import declares, example, spec

from fedsieve import registry

SINGLE = np.random.default_rng(0).integers(0, 10, 600)
SEVERAL = (np.random.default_rng(0).random((600, 5)) < 0.3).astype(np.uint8)

pytestmark = [
    pytest.mark.parametrize("labels", [SINGLE, SEVERAL], ids=["single", "multi_label"]),
    pytest.mark.parametrize("name", registry.available("partitions")),
]


def assign(name, labels, seed=0, n_clients=7):
    given = {"n_clients": n_clients, "rng": np.random.default_rng(seed)}
    return registry.bind("partitions", spec("partitions", name), "assign", **given)(labels)


def test_the_example_is_a_valid_spec(name, labels):
    registry.check("partitions", spec("partitions", name))


def test_every_client_holds_samples_and_every_sample_has_a_client(name, labels):
    client = assign(name, labels)
    assert (client.shape, client.dtype) == ((600,), np.int64), "an int64 client per sample"
    assert set(client) == set(range(7)), "each of the 7 clients holds a sample"


def test_one_client_holds_everything(name, labels):
    assert set(assign(name, labels, n_clients=1)) == {0}


def test_the_generator_alone_decides(name, labels):
    one, other = assign(name, labels), assign(name, labels, seed=1)
    np.testing.assert_array_equal(one, assign(name, labels), "same rng, other clients")
    fixed = bool(declares("partitions", name, "DETERMINISTIC"))
    assert (one == other).all() == fixed, (
        "another rng must deal otherwise, unless the file says DETERMINISTIC = True"
    )


def test_labels_are_not_modified(name, labels):
    before = labels.copy()
    assign(name, labels)
    np.testing.assert_array_equal(labels, before)


def test_more_clients_than_samples_is_an_error(name, labels):
    with pytest.raises(registry.InputError, match="n_clients: 7"):
        assign(name, labels[:6])


def test_spec_parameters_are_documented(name, labels):
    said = inspect.getdoc(registry.load("partitions", name).assign) or ""
    for parameter in example("partitions", name):
        assert f"{parameter}:" in said, f"the docstring of assign does not describe {parameter}"
