import copy
import dataclasses
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from fedsieve import registry
from fedsieve.features import scale
from fedsieve.local import Sgd, TrainingData, Workers, augmented, batches, train_client
from fedsieve.records import Dataset
from fedsieve.vectors import bind, flatten

RNG = np.random.default_rng(0)
DATA = Dataset(
    RNG.integers(0, 256, (90, 1, 12, 12), dtype=np.uint8),
    RNG.integers(0, 10, 90),
    tuple("0123456789"),
)
CPU = torch.device("cpu")


def cnn2():
    return registry.load("models", "cnn2").build((1, 12, 12), 10, channels=(3, 5), hidden=9)


def normalized():
    layers = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(300, 10)
    return nn.Sequential(*layers)


def chosen(rows, sgd, seed=0):
    found = batches(np.asarray(rows), sgd, np.random.default_rng(seed))
    return [batch.tolist() for batch, _ in found]


def flat(found):
    return list(itertools.chain(*found))


def trained(model, data, sgd, local_loss=None, n_rows=40):
    values = bind(model)
    steps = batches(np.arange(n_rows), sgd, np.random.default_rng(1))
    loss = train_client(model, data, steps, sgd, local_loss)
    return values, loss


def reference(model, data, sgd, n_rows=40):
    """The same training with torch.optim.SGD on the model's own tensors, in the same layout."""
    bind(model)
    model.train()
    optimizer = torch.optim.SGD(
        model.parameters(), sgd.lr, momentum=sgd.momentum, weight_decay=sgd.weight_decay
    )
    losses = []
    for rows, _ in batches(np.arange(n_rows), sgd, np.random.default_rng(1)):
        optimizer.zero_grad()
        logits = model(scale(data.images[rows]))
        labels = data.labels[rows]
        several = labels.ndim == 2
        loss = (F.binary_cross_entropy_with_logits if several else F.cross_entropy)(logits, labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return flatten(model), np.mean(losses)


@pytest.mark.parametrize("build", [cnn2, normalized])
@pytest.mark.parametrize(("momentum", "weight_decay"), [(0, 0), (0.9, 0), (0, 0.01), (0.9, 0.01)])
def test_sgd_is_that_of_torch_to_the_bit(build, momentum, weight_decay):
    torch.manual_seed(0)
    model, data = build(), TrainingData.of(DATA, CPU)
    sgd = Sgd(epochs=3, batch_size=16, lr=0.1, momentum=momentum, weight_decay=weight_decay)
    wanted, wanted_loss = reference(copy.deepcopy(model), data, sgd)
    values, loss = trained(model, data, sgd)
    assert torch.equal(values, wanted)
    assert loss == pytest.approx(wanted_loss, rel=1e-6)


def test_sgd_on_several_labels_is_that_of_torch_to_the_bit():
    labels = (np.random.default_rng(1).random((90, 10)) < 0.3).astype(np.uint8)
    data = TrainingData.of(Dataset(DATA.images, labels, DATA.classes), CPU)
    model, sgd = cnn2(), Sgd(epochs=2, batch_size=16, lr=0.1, momentum=0.9)
    wanted, wanted_loss = reference(copy.deepcopy(model), data, sgd)
    values, loss = trained(model, data, sgd)
    assert torch.equal(values, wanted)
    assert loss == pytest.approx(wanted_loss, rel=1e-6)


def test_a_local_loss_is_added_to_the_gradient():
    model, data = cnn2(), TrainingData.of(DATA, CPU)
    sgd = Sgd(epochs=1, batch_size=40, lr=0.5)
    plain, loss = trained(copy.deepcopy(model), data, sgd)
    pulled, more = trained(model, data, sgd, lambda m, _: m.predictor[0].bias.sum() * 3)
    bias = slice(len(plain) - 10, None)
    # one step: the term's gradient is 3 for each bias of the last layer, and 0 elsewhere
    torch.testing.assert_close(plain[bias] - pulled[bias], torch.full((10,), 1.5))
    torch.testing.assert_close(plain[: bias.start], pulled[: bias.start])
    assert more != loss


def test_no_step_changes_nothing_and_costs_nothing():
    model, data = normalized(), TrainingData.of(DATA, CPU)
    before = flatten(model)
    values, loss = trained(model, data, Sgd(epochs=1, batch_size=4, lr=0.1), n_rows=0)
    assert torch.equal(values, before)
    assert loss == 0


@pytest.mark.parametrize("build", [cnn2, normalized])
def test_results_depend_on_no_number_of_workers(build):
    torch.manual_seed(0)
    model, data = build(), TrainingData.of(DATA, CPU)
    start = flatten(model).expand(7, -1)
    sgd = Sgd(epochs=2, batch_size=8, lr=0.1, momentum=0.5)

    def run(n):
        workers = Workers([build() for _ in range(n)])
        steps = [batches(np.arange(c, 90, 7), sgd, np.random.default_rng(c)) for c in range(7)]
        return workers.train(start, data, steps, sgd)

    values, losses = run(1)
    assert len({row.sum().item() for row in values}) == 7
    for n in (2, 4):
        other, other_losses = run(n)
        assert torch.equal(values, other)
        assert losses == other_losses


def test_the_start_is_not_modified():
    model, data = cnn2(), TrainingData.of(DATA, CPU)
    start = flatten(model)[None]
    before = start.clone()
    sgd = Sgd(epochs=1, batch_size=8, lr=0.1)
    steps = [batches(np.arange(20), sgd, np.random.default_rng(0))]
    Workers([cnn2()]).train(start, data, steps, sgd)
    assert torch.equal(start, before)


def test_an_error_in_a_client_is_raised_and_leaves_the_workers_usable():
    data, sgd = TrainingData.of(DATA, CPU), Sgd(epochs=1, batch_size=8, lr=0.1)
    workers, start = Workers([cnn2()]), flatten(cnn2())[None]
    with pytest.raises(IndexError):
        workers.train(start, data, [iter([(torch.tensor([999]), None)])], sgd)
    assert workers.train(start, data, [iter([(torch.arange(4), None)])], sgd)[1][0] > 0


@given(st.integers(2, 40), st.integers(2, 9), st.integers(1, 3))
def test_each_pass_visits_every_row_once_but_a_lone_last_one(n, batch_size, epochs):
    rows = list(range(100, 100 + n))
    lone = n % batch_size == 1
    per_pass = -(-n // batch_size) - lone
    found = chosen(rows, Sgd(epochs, batch_size, 0.1))
    assert len(found) == epochs * per_pass
    for start in range(0, len(found), per_pass):
        visited = flat(found[start : start + per_pass])
        assert len(set(visited)) == len(visited) == n - lone
        assert set(visited) <= set(rows)


def test_passes_are_shuffled_anew_and_by_the_generator_alone():
    sgd = Sgd(epochs=2, batch_size=30, lr=0.1)
    first, second = chosen(range(30), sgd)
    assert first != second
    assert chosen(range(30), sgd) == [first, second]
    assert chosen(range(30), sgd, seed=1) != [first, second]


def test_a_limit_of_steps_cycles_through_passes():
    found = chosen(range(6), Sgd(epochs=1, batch_size=2, lr=0.1, steps=7))
    assert len(found) == 7
    assert sorted(flat(found[:3])) == sorted(flat(found[3:6])) == list(range(6))
    assert found[:2] == chosen(range(6), Sgd(epochs=9, batch_size=2, lr=0.1, steps=2))


def test_a_client_with_one_sample_makes_no_step():
    assert chosen([7], Sgd(epochs=2, batch_size=4, lr=0.1)) == []


@pytest.mark.timeout(5)
def test_a_client_with_one_sample_makes_no_step_under_a_limit_of_steps_either():
    assert chosen([7], Sgd(epochs=1, batch_size=4, lr=0.1, steps=3)) == []


def test_a_client_without_samples_has_no_batch():
    assert chosen(np.zeros(0, np.int64), Sgd(epochs=2, batch_size=4, lr=0.1)) == []


@pytest.mark.timeout(5)
def test_a_client_without_samples_has_no_batch_under_a_limit_of_steps_either():
    assert chosen(np.zeros(0, np.int64), Sgd(epochs=1, batch_size=4, lr=0.1, steps=3)) == []


def test_batches_of_one_visit_every_row():
    found = chosen(range(5), Sgd(epochs=1, batch_size=1, lr=0.1))
    assert sorted(flat(found)) == [0, 1, 2, 3, 4]


@pytest.mark.timeout(5)
def test_batches_of_one_can_be_limited():
    assert len(chosen(range(5), Sgd(epochs=1, batch_size=1, lr=0.1, steps=3))) == 3


def test_a_lone_sample_is_no_error_for_batch_normalization():
    model = registry.load("models", "resnet18").build((1, 12, 12), 10)
    values, _ = trained(model, TrainingData.of(DATA, CPU), Sgd(1, 4, 0.1), n_rows=1)
    assert torch.isfinite(values).all()


def test_augmentation_crops_the_padded_image_at_the_corner_given_and_mirrors_it():
    image = torch.arange(1, 26, dtype=torch.uint8).reshape(1, 1, 5, 5)
    same, moved, mirrored = augmented(
        image.repeat(3, 1, 1, 1), torch.tensor([[4, 4, 0], [5, 2, 0], [4, 4, 1]])
    )
    assert torch.equal(same, image[0])
    # one row down and two columns left: black comes in at the bottom and on the left
    wanted = torch.zeros(1, 5, 5, dtype=torch.uint8)
    wanted[0, :4, 2:] = image[0, 0, 1:, :3]
    assert torch.equal(moved, wanted)
    assert torch.equal(mirrored, image[0].flip(2))


def test_only_augmented_training_draws_moves_one_for_each_image_within_bounds():
    plain = batches(np.arange(20), Sgd(1, 8, 0.1), np.random.default_rng(0))
    assert all(moves is None for _, moves in plain)
    augmenting = Sgd(200, 8, 0.1, augment=True)
    drawn = list(batches(np.arange(20), augmenting, np.random.default_rng(0)))
    assert all(len(rows) == len(moves) for rows, moves in drawn)
    moves = torch.cat([moves for _, moves in drawn])
    assert moves.min(dim=0).values.tolist() == [0, 0, 0]
    assert moves.max(dim=0).values.tolist() == [8, 8, 1]


def test_augmentation_reaches_local_training():
    torch.manual_seed(0)
    model, data = cnn2(), TrainingData.of(DATA, CPU)
    sgd = Sgd(epochs=1, batch_size=40, lr=0.5)
    plain, _ = trained(copy.deepcopy(model), data, sgd)
    moved, _ = trained(model, data, dataclasses.replace(sgd, augment=True))
    assert not torch.equal(plain, moved)
