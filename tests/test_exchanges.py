import numpy as np
import pytest

from fedsieve.artifacts import read_arrays, read_partition, read_verdict, read_view
from fedsieve.exchanges import judge, size
from fedsieve.records import View

TWICE = """
import numpy as np

EXCHANGES = 2

def client(view, broadcast, memory, *, rng):
    heard = broadcast.get("total", np.array(0.0))
    said = memory.get("said", np.array(0.0)) + len(view.labels) + heard
    said = np.array(said)
    return {"said": said, "noise": rng.random(2)}, {"said": said}

def server(messages, state, *, limit, rng):
    total = sum(m["said"] for m in messages) + state.get("total", 0.0)
    return {"total": np.array(total), "limit": np.array(limit)}, {"total": np.array(total)}

def keep(view, broadcast, memory):
    return np.full(len(view.labels), memory["said"] + broadcast["total"] > broadcast["limit"])
"""


@pytest.fixture(autouse=True)
def _plugins(plugin):
    plugin("sanitizers", "twice", TWICE)


def views(*sizes):
    return [
        View(number, {"raw": np.zeros((n, 2), np.float32)}, np.zeros(n, np.int64), 3)
        for number, n in enumerate(sizes)
    ]


def view(scenario, client):
    return read_view({"conv2": scenario / f"view{client}.npz"}, client)


def kept(limit):
    found = judge({"use": "twice", "limit": limit}, views(1, 2), seed=1, before_round=1)
    return [verdict.keep.tolist() for verdict in found.verdicts]


def test_broadcast_memory_and_state_reach_the_next_exchange():
    # first: clients say 1 and 2, the server 3; then 1 + 1 + 3 = 5 and 2 + 2 + 3 = 7, the server
    # 5 + 7 + 3 = 15; at last 5 + 15 = 20 and 7 + 15 = 22 are compared with the limit
    assert kept(19.5) == [[True], [True, True]]
    assert kept(20.5) == [[False], [True, True]]
    assert kept(22.5) == [[False], [False, False]]


def test_bytes_are_counted_by_hand():
    # two exchanges; each of 2 clients sends 1 + 2 float64, and gets 2 float64
    found = judge({"use": "twice", "limit": 0.0}, views(1, 2), seed=1, before_round=1)
    assert found.sent == 2 * 2 * (24 + 16)


def test_the_size_of_a_message_is_that_of_its_arrays():
    assert size({"a": np.zeros(3), "b": np.zeros((2, 2), np.uint8)}) == 28
    assert size({}) == 0


def test_jobs_and_one_process_keep_the_same_samples(scenario):
    held = read_partition(scenario / "clients.npz")
    own = [view(scenario, client) for client in range(held.n_clients)]
    spec = {"use": "cluster_majority", "n_clusters": 10}
    found = judge(spec, own, seed=1, before_round=1)
    keep = read_verdict(scenario / "keep.npz", len(held.client)).keep
    for client, verdict in enumerate(found.verdicts):
        np.testing.assert_array_equal(keep[held.rows(client)], verdict.keep)
    assert 0 < keep.sum() < len(keep)
    messages = [read_arrays(scenario / f"message{c}.npz", None) for c in range(held.n_clients)]
    broadcast = read_arrays(scenario / "broadcast.npz", None)
    assert found.sent == sum(map(size, messages)) + held.n_clients * size(broadcast)
    assert read_arrays(scenario / "keep.npz", None)["bytes"] == found.sent


def test_another_seed_or_round_is_another_stream(scenario):
    own = [view(scenario, client) for client in range(5)]
    spec = {"use": "cluster_majority", "n_clusters": 10, "restarts": 1}

    def masks(seed, before_round):
        found = judge(spec, own, seed=seed, before_round=before_round)
        return np.concatenate([verdict.keep for verdict in found.verdicts]).tolist()

    assert masks(1, 1) == masks(1, 1)
    assert masks(1, 1) != masks(2, 1)
    assert masks(1, 1) != masks(1, 2)


@pytest.mark.parametrize("where", [0, 1])
def test_where_the_network_diverged_nobody_is_asked_and_everything_is_kept(where):
    # of a limit of 1000 the sanitizer would drop everything
    seen = views(1, 2)
    seen[where].layers["raw"][0, 0] = np.nan
    found = judge({"use": "twice", "limit": 1000}, seen, seed=1, before_round=1)
    assert [verdict.keep.tolist() for verdict in found.verdicts] == [[True], [True, True]]
    assert {*found.state} == {"diverged"}
    assert kept(1000) == [[False], [False, False]]
