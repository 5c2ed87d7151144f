"""What every file of src/fedsieve/sanitizers promises; a new one is tested once it is there."""

import copy
import inspect

import numpy as np
import pytest
from specs import declares, spec

from fedsieve import exchanges, registry
from fedsieve.errors import InputError
from fedsieve.records import View

pytestmark = pytest.mark.parametrize("name", registry.available("sanitizers"))

STEPS = {
    "client": ["view", "broadcast", "memory"],
    "server": ["messages", "state"],
    "keep": ["view", "broadcast", "memory"],
}


def views():
    rng = np.random.default_rng(0)
    centers = 20 * np.eye(3, 8)
    found = []
    for client, n in enumerate((40, 25, 31)):
        labels = rng.integers(0, 3, n)
        features = (centers[labels] + rng.normal(size=(n, 8))).astype(np.float32)
        found.append(View(client, {"raw": features}, labels, 3))
    return found


def judged(name, seed=1):
    return exchanges.judge(spec("sanitizers", name), views(), seed=seed, before_round=1)


def step(name, view):
    at = {"seed": 1, "before_round": 1, "exchange": 0}
    return exchanges.client_step(spec("sanitizers", name), view, {}, {}, **at)


def test_the_number_of_exchanges_is_a_literal_constant(name):
    number = registry.constant("sanitizers", name, "EXCHANGES")
    assert isinstance(number, int)
    assert number > 0


@pytest.mark.parametrize("function", STEPS)
def test_no_step_can_receive_the_ground_truth(name, function):
    parameters = inspect.signature(getattr(registry.load("sanitizers", name), function)).parameters
    fixed = [p.name for p in parameters.values() if p.kind is not p.KEYWORD_ONLY]
    assert fixed == STEPS[function], "its own parameters come after `*,`"
    for parameter in parameters.values():
        assert parameter.kind is not parameter.VAR_KEYWORD, "name the parameters, no **"
        assert not {"poison", "malicious", "truth", "attack"} & set(parameter.name.split("_"))


def test_messages_and_memory_are_named_arrays_of_plain_numbers(name):
    for part in step(name, views()[0]):
        assert part.keys() == {str(key) for key in part}
        for key, array in part.items():
            assert isinstance(array, np.ndarray), f"{key} is no numpy array"
            assert array.dtype.kind in "biuf", f"{key} holds no plain numbers"


def test_a_client_step_does_not_modify_its_view(name):
    view = views()[0]
    before = copy.deepcopy(view)
    step(name, view)
    np.testing.assert_array_equal(view.features, before.features, "client changed the features")
    np.testing.assert_array_equal(view.labels, before.labels, "client changed the labels")


def test_no_sample_leaves_its_client(name):
    view = views()[0]
    sent, _ = step(name, view)
    for key, array in sent.items():
        assert len(view.labels) not in array.shape, f"{key} is as long as the client's data"


def test_each_client_gets_a_mask_over_its_samples(name):
    found = judged(name)
    assert [verdict.keep.shape for verdict in found.verdicts] == [(40,), (25,), (31,)]
    assert all(verdict.keep.dtype == bool for verdict in found.verdicts), "keep: True or False"
    assert found.sent > 0, "messages and broadcasts are empty"


def test_only_dropped_samples_are_repaired_and_with_a_class(name):
    for verdict in judged(name).verdicts:
        assert verdict.repaired.shape == verdict.keep.shape
        assert (verdict.repaired[verdict.keep] == -1).all()
        assert set(verdict.repaired.tolist()) <= {-1, 0, 1, 2}


def test_the_seed_alone_decides(name):
    for one, other in zip(judged(name).verdicts, judged(name).verdicts, strict=True):
        np.testing.assert_array_equal(one.keep, other.keep)
        np.testing.assert_array_equal(one.repaired, other.repaired)


def test_a_client_without_samples_is_no_error(name):
    nobody = View(2, {"raw": np.zeros((0, 8), np.float32)}, np.zeros(0, np.int64), 3)
    own = [*views()[:2], nobody]
    found = exchanges.judge(spec("sanitizers", name), own, seed=1, before_round=1)
    assert [len(verdict.keep) for verdict in found.verdicts] == [40, 25, 0]


def test_several_labels_per_sample_are_used_or_refused_in_words(name):
    several = [View(v.client, v.layers, np.eye(3, dtype=np.uint8)[v.labels], 3) for v in views()]
    how = {"seed": 1, "before_round": 1}
    if not declares("sanitizers", name, "SINGLE_LABEL"):
        exchanges.judge(spec("sanitizers", name), several, **how)
        return
    with pytest.raises(InputError, match="one label per sample"):
        exchanges.judge(spec("sanitizers", name), several, **how)
