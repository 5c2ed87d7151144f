"""What every file of src/fedsieve/partitions promises; a new one is tested once it is there."""

import inspect

import numpy as np
import pytest

from fedsieve import registry

SINGLE = np.random.default_rng(0).integers(0, 10, 600)
SEVERAL = (np.random.default_rng(0).random((600, 5)) < 0.3).astype(np.uint8)

pytestmark = [
    pytest.mark.parametrize("name", registry.available("partitions")),
    pytest.mark.parametrize("labels", [SINGLE, SEVERAL], ids=["single", "multi_label"]),
]


def assign(name, labels, seed=0, n_clients=7):
    plugin = registry.load("partitions", name)
    return plugin.assign(
        labels, n_clients=n_clients, rng=np.random.default_rng(seed), **plugin.EXAMPLE
    )


def test_the_example_is_a_valid_spec(name, labels):
    example = registry.load("partitions", name).EXAMPLE
    registry.check("partitions", {"use": name, **example})


def test_every_client_holds_samples_and_every_sample_has_a_client(name, labels):
    client = assign(name, labels)
    assert (client.shape, client.dtype) == ((600,), np.int64)
    assert set(client) == set(range(7))


def test_one_client_holds_everything(name, labels):
    assert set(assign(name, labels, n_clients=1)) == {0}


def test_the_generator_alone_decides(name, labels):
    np.testing.assert_array_equal(assign(name, labels), assign(name, labels))
    assert (assign(name, labels) != assign(name, labels, seed=1)).any()


def test_labels_are_not_modified(name, labels):
    before = labels.copy()
    assign(name, labels)
    np.testing.assert_array_equal(labels, before)


def test_more_clients_than_samples_is_an_error(name, labels):
    with pytest.raises(registry.InputError, match="n_clients: 7"):
        assign(name, labels[:6])


def test_spec_parameters_are_documented(name, labels):
    function = registry.load("partitions", name).assign
    for parameter in registry.load("partitions", name).EXAMPLE:
        assert f"{parameter}:" in inspect.getdoc(function)
