"""What every file of src/fedsieve/detectors promises; a new one is tested once it is there."""

import itertools
from collections import OrderedDict
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from specs import declares, spec
from torch import nn

from fedsieve import registry
from fedsieve.artifacts import read_arrays, write_arrays
from fedsieve.errors import InputError
from fedsieve.local import Sgd, TrainingData
from fedsieve.records import keeping
from fedsieve.rounds import Defense, Sampling, assemble, run, start
from fedsieve.screening import fresh, screen
from fedsieve.vectors import layout, seeded

pytestmark = [
    pytest.mark.parametrize("name", registry.available("detectors")),
    pytest.mark.xdist_group("detectors"),  # which share a run of each detector
]

N_CLIENTS, N_CLASSES, N_ROUNDS, N = 11, 3, 6, 1100
MALICIOUS = [1, 4]
RNG = np.random.default_rng(0)
TRUE = RNG.integers(0, N_CLASSES, N)
ROWS = [np.arange(client, N, N_CLIENTS - 1) for client in range(N_CLIENTS - 1)] + [np.arange(0)]
"""The last client has no samples."""


def pixels():
    """Noise, and a bright stripe whose place is the class."""
    images = RNG.integers(0, 120, (N, 1, 6, 6))
    for label in range(N_CLASSES):
        images[label == TRUE, :, 2 * label : 2 * label + 2] += 100
    return torch.from_numpy(images.astype(np.uint8))


def flipped():
    """Labels of which the malicious clients have made every 0 a 1."""
    labels = TRUE.copy()
    for client in MALICIOUS:
        labels[ROWS[client]] = np.where(TRUE[ROWS[client]] == 0, 1, TRUE[ROWS[client]])
    return torch.from_numpy(labels)


IMAGES, LABELS = pixels(), flipped()


def network():
    extractor = nn.Sequential(
        OrderedDict(conv=nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), penultimate=nn.Flatten())
    )
    parts = OrderedDict(extractor=extractor, predictor=nn.Sequential(nn.Linear(32, N_CLASSES)))
    return nn.Sequential(parts)


def federate(name):
    return assemble(
        partial(seeded, network, 3),
        TrainingData(IMAGES, LABELS),
        ROWS,
        sampling=Sampling(5),
        sgd=Sgd(epochs=1, batch_size=10, lr=0.05),
        defense=Defense({"use": "fedavg"}, detect=spec("detectors", name)),
        seed=5,
        workers=1,
        n_classes=N_CLASSES,
    )


def play(fed):
    beginning = start(fed, keeping(np.ones(N, bool)))
    return [(beginning, None), *run(fed, beginning, N_ROUNDS)]


@pytest.fixture
def fed(name):
    return federate(name)


RUNS = {}


@pytest.fixture
def played(name):
    """States and records of a run, the same for all tests of a detector."""
    if name not in RUNS:
        RUNS[name] = play(federate(name))
    return RUNS[name]


def test_what_it_finds_can_be_written_and_read(name, fed, tmp_path):
    for rows in (ROWS, ROWS[-1:], ROWS[:1]):
        state = fresh(spec("detectors", name), fed.model, len(rows), 1)
        found, _ = screen(
            spec("detectors", name), fed.model, fed.values, state, fed.data, rows, N_CLASSES
        )
        assert found.benign.shape == found.scores.shape == (len(rows),)
        write_arrays(tmp_path / "s.npz", {"scores": found.scores, **found.found})
        read = read_arrays(tmp_path / "s.npz", None, finite=False)
        np.testing.assert_array_equal(read["scores"], found.scores)
        assert found.benign.all() or len(rows) > 1


def test_its_file_says_what_it_is(name):
    assert (registry.load("detectors", name).__doc__ or "").strip(), "the file has no docstring"
    assert hasattr(registry.load("detectors", name), "flag"), "the file defines no flag"


def test_it_screens_every_client_in_every_round(played):
    for _, record in played[1:]:
        assert record.benign.dtype == bool
        assert record.benign.shape == record.scores.shape == (N_CLIENTS,)
        assert not np.isinf(record.scores).any()


def test_it_finds_somebody_who_has_flipped_a_class(played):
    banned = [np.flatnonzero(~record.benign).tolist() for _, record in played[1:]]
    caught = any({*found} & {*MALICIOUS} for found in banned)
    assert caught, f"clients {MALICIOUS} flip every 0 to 1; banned in each round: {banned}"


def test_a_banned_client_takes_no_part(played):
    for _, record in played[1:]:
        assert record.benign[record.cohort].all()


def test_a_client_without_samples_is_not_banned(played):
    kept = [record.benign[-1] for _, record in played[1:]]
    assert all(kept), "of a client without samples nothing can be known: it is benign"


def test_its_state_is_named_tensors_whose_names_and_types_stay(played):
    for (before, _), (after, _) in itertools.pairwise(played):
        assert before.detector.keys() == after.detector.keys(), "init must name all of the state"
        for key, tensor in after.detector.items():
            assert isinstance(tensor, torch.Tensor), f"{key} of the state is no tensor"
            assert tensor.dtype == before.detector[key].dtype, f"{key} changes its type"


def test_the_same_seed_gives_the_same_run(name, played):
    again = play(federate(name))
    for (one, record), (other, same) in zip(played[1:], again[1:], strict=True):
        assert torch.equal(one.values, other.values)
        np.testing.assert_array_equal(record.scores, same.scores)


def test_it_changes_nothing_that_it_is_given(fed, played):
    state, _ = played[4]
    fed.values.copy_(state.values)
    memory = {key: tensor.clone() for key, tensor in state.detector.items()}
    _, reports = screen(
        fed.defense.detect, fed.model, fed.values, state.detector, fed.data, ROWS, N_CLASSES
    )
    assert torch.equal(fed.values, state.values)
    assert all(torch.equal(memory[key], state.detector[key]) for key in memory)
    list(run(fed, state, N_ROUNDS))
    assert all(torch.equal(memory[key], state.detector[key]) for key in memory)
    assert len(reports) in (0, N_CLIENTS)


def test_reports_hold_numbers_and_no_image_or_features_of_any_sample(fed, played):
    state, _ = played[4]
    fed.values.copy_(state.values)
    _, reports = screen(
        fed.defense.detect, fed.model, fed.values, state.detector, fed.data, ROWS, N_CLASSES
    )
    for message in reports:
        for array in message.values():
            assert np.isfinite(array).all()
    shapes = {tuple((k, a.shape) for k, a in sorted(m.items())) for m in reports}
    wrong = f"reports differ in shape, so they tell something sample by sample: {shapes}"
    assert len(shapes) <= 1, wrong


def tells(report, counts):
    """Whether sums over axes of what a client reports are in proportion to its label counts."""
    for array in report.values():
        subsets = (itertools.combinations(range(array.ndim), n) for n in range(array.ndim))
        for axes in itertools.chain.from_iterable(subsets):
            summed = array.sum(axis=axes, dtype=np.int64)
            for axis in np.flatnonzero(np.array(summed.shape) == N_CLASSES):
                for row in np.moveaxis(summed, axis, -1).reshape(-1, N_CLASSES):
                    if row.any() and np.array_equal(row * counts.sum(), counts * row.sum()):
                        return True
    return False


def test_its_file_says_so_if_clients_send_their_label_counts(name, fed, played):
    state, _ = played[4]
    fed.values.copy_(state.values)
    _, reports = screen(
        fed.defense.detect, fed.model, fed.values, state.detector, fed.data, ROWS, N_CLASSES
    )
    counts = [np.bincount(LABELS[rows], minlength=N_CLASSES) for rows in ROWS]
    told = [tells(*client) for client in zip(reports[:-1], counts, strict=False)]
    said = getattr(registry.load("detectors", name), "SENDS_LABEL_COUNTS", False)
    assert said == (told != [] and all(told))


def test_renumbering_the_clients_renumbers_its_flags(name, fed, played):
    if not hasattr(registry.load("detectors", name), "report"):
        return  # what it knows lies in the rounds before, under the clients' old numbers
    state, _ = played[4]
    fed.values.copy_(state.values)
    order = np.array([3, 1, 6, 0, 2, 10, 5, 4, 9, 7, 8])
    one, other = (
        screen(fed.defense.detect, fed.model, fed.values, state.detector, fed.data, rows, N_CLASSES)
        for rows in (ROWS, [ROWS[client] for client in order])
    )
    np.testing.assert_array_equal(other[0].benign, one[0].benign[order])
    np.testing.assert_allclose(other[0].scores, one[0].scores[order], rtol=1e-6, atol=1e-9)


def test_the_layout_alone_is_enough_to_start(name):
    init = registry.bind(
        "detectors", spec("detectors", name), "init", optional=True, rng=np.random.default_rng(0)
    )
    if init is not None:
        assert all(isinstance(t, torch.Tensor) for t in init(N_CLIENTS, layout(network())).values())


def test_a_run_that_diverges_goes_on_to_its_end(name):
    fed = federate(name)
    wild = replace(fed, sgd=replace(fed.sgd, lr=1e30))
    played = play(wild)
    assert len(played) == N_ROUNDS + 1
    assert not torch.isfinite(played[-1][0].values).all()


def test_several_labels_per_sample_are_used_or_refused_in_words(name, fed):
    several = TrainingData(IMAGES, torch.eye(N_CLASSES, dtype=torch.uint8)[LABELS])
    state = fresh(spec("detectors", name), fed.model, N_CLIENTS, 1)
    given = (spec("detectors", name), fed.model, fed.values, state, several, ROWS, N_CLASSES)
    if not declares("detectors", name, "SINGLE_LABEL"):
        screen(*given)
        return
    with pytest.raises(InputError, match="one label per sample"):
        screen(*given)
