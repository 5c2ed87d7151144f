from dataclasses import replace

import numpy as np
import pytest

from fedsieve import exchanges
from fedsieve.errors import InputError
from fedsieve.excess import off_label
from fedsieve.records import View
from fedsieve.sanitizers import sieve

N_CLASSES, N_FEATURES = 5, 12
SPEC = {"use": "sieve", "n_local": 8, "n_clusters": [8]}
RNG = np.random.default_rng(0)
WHERE = 10 * RNG.normal(size=(N_CLASSES + 1, N_FEATURES))
"""Centers of the classes, and of what a visible trigger makes of any class."""


def federation(n_clients=6, flipping=(), triggered=(), n_samples=200):
    """Views with features and a sure network, the true classes, and what was poisoned.

    Who flips labels all 3s as 2; who is triggered turns a fifth of its samples into a trigger
    labeled 0.
    """
    rng = np.random.default_rng(1)
    views, truths, poisons = [], [], []
    for client in range(n_clients):
        truth = rng.integers(0, N_CLASSES, n_samples)
        labels, poison, place = truth.copy(), np.zeros(n_samples, bool), truth.copy()
        if client in triggered:
            poison = rng.random(n_samples) < 0.2
            labels[poison], place[poison] = 0, N_CLASSES
        if client in flipping:
            flip = (truth == 3) & ~poison
            labels[flip], poison = 2, poison | flip
        features = WHERE[place] + rng.normal(size=(n_samples, N_FEATURES))
        network = 0.9 * np.eye(N_CLASSES)[truth] + 0.1 / N_CLASSES
        layers = {"raw": features.astype(np.float32), "output": network.astype(np.float32)}
        views.append(View(client, layers, labels, N_CLASSES))
        truths.append(truth)
        poisons.append(poison)
    return views, truths, poisons


def only(layer, views):
    return [replace(view, layers={layer: view.layers[layer]}) for view in views]


def changed(views, **layers):
    """Views with other features, an array of each client's for each layer."""
    own = [dict(zip(layers, arrays, strict=True)) for arrays in zip(*layers.values(), strict=True)]
    pairs = zip(views, own, strict=True)
    return [replace(view, layers={**view.layers, **new}) for view, new in pairs]


def judged(views, judgement=0, **spec):
    return exchanges.judge(SPEC | spec, views, seed=1, before_round=1, judgement=judgement)


def dropped(views, **spec):
    return [~verdict.keep for verdict in judged(views, **spec).verdicts]


def talk(views, **spec):
    """Every client's messages and the broadcast of every exchange, with what clients remember."""
    spec, broadcast, state, memories = SPEC | spec, {}, {}, [{} for _ in views]
    for exchange in range(sieve.EXCHANGES):
        at = {"seed": 1, "before_round": 1, "exchange": exchange}
        heard, known = broadcast, memories
        pairs = zip(views, memories, strict=True)
        steps = [exchanges.client_step(spec, v, broadcast, m, **at) for v, m in pairs]
        messages, memories = [m for m, _ in steps], [m for _, m in steps]
        broadcast, state = exchanges.server_step(spec, messages, state, **at)
        yield exchange, messages, broadcast, heard, known


def test_each_exchange_has_its_phase():
    assert len(sieve.PHASES) == sieve.EXCHANGES


def same(one, other):
    return all((a == b).all() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("flipping", [(0,), (1, 4), (0, 1, 2, 3, 5)])
def test_flipped_labels_are_dropped_and_nothing_else(flipping):
    views, _, poison = federation(flipping=flipping)
    assert same(dropped(only("raw", views)), poison)


@pytest.mark.parametrize("triggered", [(0,), (1, 4), (0, 1, 2, 3, 5)])
def test_a_trigger_that_makes_a_cluster_of_its_own_is_dropped_and_nothing_else(triggered):
    views, _, poison = federation(triggered=triggered)
    assert same(dropped(only("raw", views)), poison)
    assert not same(dropped(only("raw", views), own_cluster_test=False), poison)


def test_both_attacks_at_once_are_dropped():
    views, _, poison = federation(flipping=range(4), triggered=range(2, 5))
    assert same(dropped(only("raw", views)), poison)


def test_where_nobody_attacks_nothing_is_dropped():
    views, _, _ = federation()
    assert not np.concatenate(dropped(only("raw", views))).any()


@pytest.mark.parametrize("by", ["clusters", "mean", "network"])
def test_clusters_network_and_both_find_the_flips_and_their_true_labels(by):
    views, truths, poisons = federation(flipping=(0, 3, 4))
    verdicts = judged(views, by=[by]).verdicts
    for verdict, truth, poison in zip(verdicts, truths, poisons, strict=True):
        assert (verdict.keep == ~poison).all()
        assert (verdict.repaired == np.where(poison, truth, -1)).all()


def test_the_network_alone_needs_no_clusters():
    views, _, poison = federation(flipping=(0, 3, 4))
    assert same(dropped(only("output", views), by=["network"]), poison)


def test_the_mean_lets_the_network_decide_what_clusters_leave_open():
    views, _, poisons = federation(flipping=(0, 3))
    noise = RNG.normal(size=(6, 200, N_FEATURES)).astype(np.float32)
    blind = changed(views, raw=noise)
    poison = np.concatenate(poisons)
    assert np.concatenate(dropped(blind, by=["mean"]))[poison].all()
    assert not np.concatenate(dropped(blind, by=["clusters"]))[poison].all()


def test_the_mean_counts_only_at_last():
    noise = RNG.normal(size=(6, 200, N_FEATURES)).astype(np.float32)
    views = changed(federation(flipping=(0, 3))[0], raw=noise)
    both = zip(talk(views, by=["mean"]), talk(views, by=["clusters"]), strict=True)
    for (exchange, mean, *_), (_, clusters, *_) in both:
        alike = [same(a.values(), b.values()) for a, b in zip(mean, clusters, strict=True)]
        assert any(alike) == all(alike) == (exchange < sieve.EXCHANGES - 1)


def repaired(views, **spec):
    return np.concatenate([verdict.repaired for verdict in judged(views, **spec).verdicts])


def test_counts_of_clusters_tell_the_true_labels_before_any_network_is_seen():
    views, truths, poisons = federation(flipping=(0, 3))
    expected = np.where(np.concatenate(poisons), np.concatenate(truths), -1)
    assert (repaired(only("raw", views)) == expected).all()


def overlapping(alike=(3,), flipped=(3,), malicious=(0, 3), n_samples=400):
    """Views where half of some classes lie where class 4 does, and the network sees 4 there.

    Malicious clients label what they flip as 2. Also what was flipped, and the true classes.
    """
    views, truths, flips = [], [], []
    for view, truth, _ in zip(*federation(n_samples=n_samples), strict=True):
        hidden = np.isin(truth, alike) & (np.arange(n_samples) % 2 == 0)
        seen = np.where(hidden, 4, truth)
        features = WHERE[seen] + np.random.default_rng(view.client).normal(
            size=(n_samples, N_FEATURES)
        )
        network = 0.9 * np.eye(N_CLASSES)[seen] + 0.1 / N_CLASSES
        flip = np.isin(truth, flipped) & (view.client in malicious)
        layers = {"raw": features.astype(np.float32), "output": network.astype(np.float32)}
        views.append(replace(view, layers=layers, labels=np.where(flip, 2, truth)))
        truths.append(truth)
        flips.append(flip)
    return views, np.concatenate(truths), np.concatenate(flips)


@pytest.mark.parametrize("by", ["clusters", "network"])
def test_where_classes_overlap_flips_get_the_label_that_is_missing_not_that_they_look_like(by):
    views, truth, flip = overlapping()
    assert (repaired(views, by=[by]) == np.where(flip, truth, -1)).all()


def test_by_looks_they_get_the_label_that_they_look_like():
    views, _, flip = overlapping()
    hidden = flip & np.tile(np.arange(400) % 2 == 0, 6)
    assert (repaired(views, by=["network"], repair_by="looks")[hidden] == 4).all()


def test_where_two_overlapping_classes_are_flipped_together_nothing_of_the_overlap_is_repaired():
    views, _, flip = overlapping(alike=(3, 1), flipped=(3, 1))
    labels = repaired(views)
    hidden = np.tile(np.arange(400) % 2 == 0, 6)
    assert (labels[flip & hidden] == -1).all()
    assert (labels[flip & ~hidden] >= 0).all()


def test_honest_clients_lose_nothing_where_classes_overlap():
    assert not np.concatenate(dropped(overlapping(malicious=())[0])).any()


def test_nothing_is_repaired_above_one():
    views, _, _ = federation(flipping=(0, 3))
    for by in ("counts", "looks"):
        assert (repaired(views, repair_by=by, repair_above=1.1) == -1).all()


def test_nothing_is_repaired_by_looks_where_the_network_is_not_seen_or_not_sure():
    views, _, _ = federation(flipping=(0, 3))
    for own, spec in ((only("raw", views), {}), (views, {"repair_above": 0.95})):
        assert (repaired(own, repair_by="looks", **spec) == -1).all()


def test_nothing_is_repaired_by_looks_where_clusters_and_network_disagree():
    views, _, _ = federation(flipping=(0, 3))
    misled = changed(views, output=[np.roll(view.layers["output"], 1, axis=1) for view in views])
    assert np.concatenate(dropped(misled)).any()
    assert (repaired(misled, repair_by="looks") == -1).all()


def test_nothing_is_repaired_that_one_layer_tells_nothing_of():
    views, _, flips = federation(flipping=(0, 3))
    noise = RNG.normal(size=(6, 200, 3)).astype(np.float32)
    two = changed(only("raw", views), noise=noise)
    assert np.concatenate(dropped(two))[np.concatenate(flips)].all()
    assert (repaired(two) == -1).all()


def test_what_is_dropped_is_not_repaired_with_its_own_label_nor_is_what_is_kept():
    views, _, poisons = federation(flipping=(0, 3))
    views[5].labels[0] = (views[5].labels[0] + 1) % N_CLASSES  # an honest mistake
    found = judged(views, tau=[0.0]).verdicts
    assert (~found[0].keep).sum() > poisons[0].sum()
    assert (found[0].repaired[~poisons[0]] == -1).all()
    assert found[5].keep.all()
    assert (found[5].repaired == -1).all()


def test_layers_are_judged_each_and_a_sample_must_pass_all():
    views, _, flips = federation(flipping=(0, 1))
    noise = RNG.normal(size=(6, 200, 3)).astype(np.float32)
    two = changed(only("raw", views), noise=noise)
    assert np.concatenate(dropped(two))[np.concatenate(flips)].all()
    assert {name.split(":")[0] for name in judged(two).state} == {"noise", "raw"}


def test_what_was_kept_before_tells_what_a_cluster_is_like():
    views, _, poisons = federation(flipping=range(5))
    views, spec = only("raw", views), {"weighting": "mode", "own_cluster_test": False}
    assert not np.concatenate(dropped(views, **spec))[np.concatenate(poisons)].any()
    told = [replace(view, kept=~poison) for view, poison in zip(views, poisons, strict=True)]
    assert same(dropped(told, **spec), poisons)


def test_settings_hold_for_their_judgement_and_the_last_goes_on():
    views, _, _ = federation(flipping=(0, 3))
    spec = {"by": ["clusters", "network"], "n_clusters": [6, 4]}
    assert "raw:alike" in judged(views, 0, **spec).state
    assert judged(views, 0, **spec).state["raw:whole"].shape[1] == 6
    assert set(judged(views, 5, **spec).state) == {"output:alike", "output:excess"}
    assert judged(views, 3, by=["mean"], n_clusters=[6, 4]).state["raw:whole"].shape[1] == 4


def test_a_stricter_tau_drops_more_than_flagged_cells_but_at_flagged_clients_alone():
    views, _, poison = federation(flipping=(0, 3))
    views = only("raw", views)
    strict, loose = (dropped(views, tau=[tau], own_cluster_test=False) for tau in (0.0, 1.0))
    assert same(loose, poison)
    for client, (more, less) in enumerate(zip(strict, loose, strict=True)):
        assert (less <= more).all()
        assert (more.sum() > less.sum()) == (client in (0, 3))


def step(exchange, state, **counts):
    """The server's answer to counts of every client."""
    n_clients = len(next(iter(counts.values())))
    messages = [{f"raw:{k}": v[i] for k, v in counts.items()} for i in range(n_clients)]
    at = {"seed": 1, "before_round": 1, "exchange": exchange}
    return exchanges.server_step(SPEC | state, messages, {}, **at)[0]


def test_clusters_are_like_the_labels_in_them_without_those_that_a_trigger_has_brought():
    counts = np.zeros((4, 3, 2), int)
    counts[:, [0, 1], [0, 1]] = 100
    counts[:2, 2, 0], counts[:, 2, 1] = 80, 5  # triggered, on what looks like class 1
    answer = step(4, {}, whole=counts, kept=counts)
    assert np.argwhere(answer["raw:own"]).tolist() == [[0, 2, 0], [1, 2, 0]]
    assert answer["raw:profile"].argmax(axis=1).tolist() == [0, 1, 1]
    answer = step(4, {"own_cluster_test": False}, whole=counts, kept=counts)
    assert answer["raw:profile"].argmax(axis=1).tolist() == [0, 1, 0]


@pytest.mark.parametrize("how", [{"ratio": 9.0}, {"tests": 1}, {}])
def test_ratio_and_tests_are_those_of_the_settings(how):
    counts = np.random.default_rng(0).integers(0, 60, (6, 3, 3))
    np.testing.assert_array_equal(
        step(5, how, alike=counts)["raw:excess"], off_label(counts, **how)
    )
    assert how == {} or (off_label(counts, **how) != off_label(counts)).any()


def test_the_record_names_the_clients_that_flip():
    views, _, _ = federation(flipping=(1, 4))
    state = judged(only("raw", views)).state
    assert np.flatnonzero(state["raw:excess"][:, 3, 2]).tolist() == [1, 4]
    assert state["raw:alike"].sum(axis=(1, 2)).tolist() == [200] * 6


def test_the_same_seed_gives_the_same_verdict_and_record():
    views, _, _ = federation(flipping=(0, 3))
    one, other = judged(views), judged(views)
    assert same([v.keep for v in one.verdicts], [v.keep for v in other.verdicts])
    assert same(one.state.values(), other.state.values())


def test_clients_without_samples_and_with_one_or_few_are_no_error():
    views, _, poisons = federation(flipping=(0, 1))
    kept = [slice(None)] * 3 + [slice(0, 0), slice(0, 1), slice(0, 12)]
    small = [
        replace(view, layers={"raw": view.layers["raw"][own]}, labels=view.labels[own])
        for view, own in zip(views, kept, strict=True)
    ]
    expected = [poison[own] for poison, own in zip(poisons, kept, strict=True)]
    assert same(dropped(small), expected)


@pytest.mark.parametrize("label", [0, 4])
def test_a_single_label_and_a_single_client_are_no_error(label):
    views, _, _ = federation()
    alike = [replace(view, labels=np.full(200, label)) for view in only("raw", views)]
    assert not np.concatenate(dropped(alike)).any()
    assert not dropped(only("raw", views)[:1])[0].any()


SENT = {
    0: {"centers": (8, N_FEATURES), "sizes": (8,)},
    1: {"sums": (8, N_FEATURES), "sizes": (8,)},
    4: {"whole": (8, N_CLASSES), "kept": (8, N_CLASSES)},
    5: {"alike": (N_CLASSES, N_CLASSES)},
    6: {"kept": (8, N_CLASSES)},
}
SENT |= {2: SENT[1], 3: SENT[1], 7: SENT[5], 8: SENT[6], 9: SENT[5]}
"""All that a client sends: centers, sums, sizes and counts."""


@pytest.mark.parametrize("n_samples", [137, 250])
def test_no_more_than_centers_sums_and_counts_are_sent_however_many_samples(n_samples):
    views, _, _ = federation(flipping=(0, 3), n_samples=n_samples)
    for exchange, messages, _, _, _ in talk(only("raw", views)):
        for message in messages:
            shapes = {name: array.shape for name, array in message.items()}
            assert shapes == {f"raw:{name}": shape for name, shape in SENT[exchange].items()}


def test_the_network_path_sends_one_table_of_counts():
    views, _, _ = federation(flipping=(0, 3))
    for exchange, messages, _, _, _ in talk(views, by=["network"]):
        last = exchange == sieve.EXCHANGES - 1
        for message in messages:
            assert set(message) == ({"output:alike"} if last else set())


def test_counts_do_not_tell_the_order_of_samples():
    views, _, _ = federation(flipping=(0, 3))
    order = np.random.default_rng(2).permutation(200)
    view = only("raw", views)[0]
    mixed = replace(view, layers={"raw": view.layers["raw"][order]}, labels=view.labels[order])
    aligned = {"raw:near", "raw:weight", "raw:likeness"}
    for exchange, messages, _, heard, known in talk(only("raw", views)):
        at = {"seed": 1, "before_round": 1, "exchange": exchange}
        memory = {k: v[order] if k in aligned else v for k, v in known[0].items()}
        sent, _ = exchanges.client_step(SPEC, mixed, heard, memory, **at)
        for name, array in sent.items():
            if exchange:  # a client's own clusters start at random
                np.testing.assert_allclose(array, messages[0][name], rtol=1e-4, atol=1e-3)
            if array.dtype == np.int64 and exchange:
                assert (array == messages[0][name]).all()


def test_bytes_are_counted_by_hand():
    n, k, f, c = 6, 8, N_FEATURES, N_CLASSES
    centers, sizes, table, square = 4 * k * f, 8 * k, 8 * k * c, 8 * c * c
    up = 4 * (centers + sizes) + 2 * table + 2 * table + 3 * square
    down = 4 * centers + 3 * (table + n * k * c) + (3 + 2) * n * square
    assert judged(only("raw", federation()[0])).sent == n * (up + down)


def refused(view, **spec):
    at = {"seed": 1, "before_round": 1, "exchange": 0}
    with pytest.raises(InputError) as caught:
        exchanges.client_step(SPEC | spec, view, {}, {}, **at)
    return str(caught.value)


def test_a_judgement_by_nothing_known_is_refused():
    assert "'votes' is none of clusters" in refused(federation()[0][0], by=["votes"])


def test_a_missing_layer_is_named():
    view = federation()[0][0]
    for by in ("network", "mean"):
        assert "needs output" in refused(only("raw", [view])[0], by=[by])
    for by in ("clusters", "mean"):
        assert "besides output" in refused(only("output", [view])[0], by=[by])


def test_several_labels_per_sample_are_refused():
    view = federation()[0][0]
    several = replace(view, labels=np.zeros((200, N_CLASSES), np.uint8))
    assert "one label per sample" in refused(several)


def test_an_unknown_way_to_repair_is_refused():
    with pytest.raises(InputError, match="repair_by: 'taste' is neither counts nor looks"):
        judged(only("raw", federation()[0]), repair_by="taste")


@pytest.mark.parametrize("wrong", [{"weighting": "vote"}, {"tests": 3}])
def test_an_unknown_setting_of_the_server_is_refused(wrong):
    (name, value), *_ = wrong.items()
    with pytest.raises(InputError, match=f"{name}: {value!r} is neither"):
        judged(only("raw", federation()[0]), **wrong)
