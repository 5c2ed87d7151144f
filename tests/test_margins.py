import numpy as np
import pytest

from fedsieve.margins import EDGES, N_BINS, histograms, label_counts, merged, mirrored, pairs

OUTER = [-np.inf, *EDGES, np.inf]


def client(seed=0, n=50, n_classes=4):
    rng = np.random.default_rng(seed)
    logits = 3 * rng.standard_normal((n, n_classes), dtype=np.float32)
    return logits, rng.integers(0, n_classes, n)


def one_pair(row_t, row_s):
    """Counts of one client and two classes with these bins (index: count) for pair (0, 1)."""
    counts = np.zeros((1, 2, 2, N_BINS), np.int32)
    for where, n in row_t.items():
        counts[0, 0, 1, where] = n
    for where, n in row_s.items():
        counts[0, 1, 0, N_BINS - 1 - where] = n
    return counts


def test_margins_are_counted_by_hand():
    logits = np.array([[1, 0], [0, 2], [0, 0.1]], np.float32)
    found = histograms(logits, np.array([0, 0, 1]), 2)
    # z_1 - z_0 of what is labeled 0: -1 and 2; asinh: -0.88 and 1.44 in bins of 10/62 from -5
    assert np.flatnonzero(found[1, 0]).tolist() == [1 + int(4.1186 * 6.2), 1 + int(6.4436 * 6.2)]
    # z_0 - z_1 of what is labeled 1: -0.1
    assert np.flatnonzero(found[0, 1]).tolist() == [1 + int(4.9002 * 6.2)]
    assert found.sum() == 3


def test_each_pair_is_the_histogram_of_its_margins():
    logits, labels = client()
    found = histograms(logits, labels, 4)
    for s, t in pairs(4):
        own = logits[labels == t]
        assert found[s, t].tolist() == np.histogram(own[:, s] - own[:, t], OUTER)[0].tolist()


def test_the_mirror_is_the_histogram_among_samples_labeled_s():
    logits, labels = client()
    found = mirrored(histograms(logits, labels, 4)[None])[0]
    for s, t in pairs(4):
        own = logits[labels == s]
        assert found[s, t].tolist() == np.histogram(own[:, s] - own[:, t], OUTER)[0].tolist()


def test_log_probabilities_have_the_margins_of_their_logits():
    logits, labels = client()
    logged = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert (histograms(logits, labels, 4) == histograms(logged, labels, 4)).mean() > 0.99


def test_the_grid_is_symmetric_fine_near_zero_and_reaches_saturated_networks():
    assert len(EDGES) == N_BINS - 1
    assert pytest.approx(-EDGES[::-1]) == EDGES
    assert EDGES[32] == pytest.approx(0.162, abs=1e-3)
    assert EDGES[-1] == pytest.approx(74.2, abs=0.01)
    assert len(set(np.digitize([5, 10, 20, 40, 80], EDGES))) == 5


def test_margins_beyond_the_grid_fall_into_its_open_bins():
    found = histograms(np.array([[0, 1e6], [0, -1e6]], np.float32), np.array([0, 0]), 2)
    assert found[1, 0, [0, -1]].tolist() == [1, 1]


def test_a_message_has_32_bits_for_each_bin_of_each_pair():
    found = histograms(*client(n_classes=10), 10)
    assert (found.dtype, found.nbytes) == (np.int32, 25_600)
    assert not found[np.arange(10), np.arange(10)].any()


def test_label_counts_are_sums_over_bins():
    clients = [client(0), client(1, n=7), client(2, n=0)]
    counts = np.stack([histograms(*own, 4) for own in clients])
    wanted = [np.bincount(labels, minlength=4).tolist() for _, labels in clients]
    assert label_counts(counts).tolist() == wanted


def test_bins_of_equal_weight_are_kept_apart_and_others_merged():
    rows, sources = merged(one_pair({3: 5, 9: 5}, {20: 2, 60: 2}), 4)
    assert rows[0, 0].tolist() == [5, 5, 0, 0]
    assert sources[0, 0].tolist() == [0, 0, 2, 2]
    rows, sources = merged(one_pair({3: 5, 9: 5}, {20: 2, 60: 2}), 2)
    assert (rows[0, 0].tolist(), sources[0, 0].tolist()) == ([10, 0], [0, 4])


def test_both_rows_have_half_the_weight_however_many_samples_one_has():
    few = merged(one_pair({3: 5, 9: 5}, {20: 2, 60: 2}), 4)
    many = merged(one_pair({3: 500, 9: 500}, {20: 2, 60: 2}), 4)
    assert many[0][0, 0].tolist() == [500, 500, 0, 0]
    assert many[1][0, 0].tolist() == few[1][0, 0].tolist() == [0, 0, 2, 2]


def test_an_empty_row_leaves_its_weight_to_the_other():
    rows, sources = merged(one_pair({3: 5, 9: 5}, {}), 2)
    assert (rows[0, 0].tolist(), sources[0, 0].tolist()) == ([5, 5], [0, 0])
    assert not np.concatenate(merged(one_pair({}, {}), 2)).any()


def test_bins_are_server_wide_and_hold_about_equal_shares():
    counts = np.stack([histograms(*client(seed, n=400), 4) for seed in range(5)])
    rows, sources = merged(counts, 5)
    share = sum(part.sum(axis=1) / part.sum(axis=(1, 2))[:, None] for part in (rows, sources)) / 2
    assert share == pytest.approx(np.full((12, 5), 0.2), abs=0.05)


def test_merging_loses_no_sample():
    counts = np.stack([histograms(*client(seed), 4) for seed in range(3)])
    rows, sources = merged(counts, 5)
    held = label_counts(counts)
    for cell, (s, t) in enumerate(pairs(4)):
        assert rows[cell].sum(axis=1).tolist() == held[:, t].tolist()
        assert sources[cell].sum(axis=1).tolist() == held[:, s].tolist()
