import itertools
from collections import OrderedDict

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from fedsieve import rounds
from fedsieve.artifacts import read_json
from fedsieve.local import Sgd, TrainingData
from fedsieve.records import Verdict, keeping
from fedsieve.rounds import Defense, Sampling, assemble, run, start
from fedsieve.stages import evaluate

DETECTOR = """
import numpy as np
import torch

from fedsieve.records import Screening

def init(n_clients, layout):
    return {"learned": torch.zeros(1), "rounds": torch.zeros(1)}

def judge(values, state):
    return values + 1

def broadcast(model, state):
    return {"bias": model.predictor[0].bias.numpy().copy()}

def report(view, broadcast):
    return {"logits": view.layers["logits"], "labels": view.labels, **broadcast}

def flag(reports, state, *, banned):
    scores = np.full(len(reports), float(state["learned"]))
    scores[banned] = 99
    found = {"logits": np.concatenate([r["logits"] for r in reports]), "bias": reports[0]["bias"]}
    return Screening(scores < 50, scores, found)

def personal(values, client, state, *, shift=0.0):
    return values + shift * client

def local_loss(model, labels, state, *, pull=0.0):
    return pull * model.predictor[0].bias[labels].sum() if pull else None

def learn(model, trained, state, *, rng):
    learned = model.predictor[0].weight[0].detach().clone()
    return {"learned": learned, "rounds": state["rounds"] + len(trained.cohort)}
"""

AGGREGATOR = """
import torch
from fedsieve.vectors import Aggregate

def init(n_clients, layout):
    return {"seen": torch.zeros(n_clients)}

def aggregate(updates, cohort, n_samples, state, *, pick=0):
    seen = state["seen"].clone()
    seen[cohort] += n_samples
    weights = torch.zeros(len(cohort))
    weights[pick] = 1.0
    return Aggregate(updates[pick], weights), {"seen": seen}
"""

SANITIZER = """
import numpy as np

EXCHANGES = 1

def client(view, broadcast, memory):
    return {"features": view.features}, {"features": view.features}

def server(messages, state, *, above):
    return {"above": np.array(above)}, {}

def keep(view, broadcast, memory):
    return memory["features"][:, 0] > broadcast["above"]
"""


@pytest.fixture(autouse=True)
def _plugins(plugin):
    plugin("detectors", "toy_detector", DETECTOR)
    plugin("aggregators", "toy_aggregator", AGGREGATOR)
    plugin("sanitizers", "toy_sanitizer", SANITIZER)


def linear():
    """Two classes of one pixel; all weights zero."""
    extractor = nn.Sequential(OrderedDict(pixels=nn.Flatten()))
    predictor = nn.Sequential(nn.Linear(1, 2))
    nn.init.zeros_(predictor[0].weight)
    nn.init.zeros_(predictor[0].bias)
    return nn.Sequential(OrderedDict(extractor=extractor, predictor=predictor))


def federate(pixels, labels, rows, defense=None, sampling=None, workers=1, **sgd):
    images = torch.tensor(pixels, dtype=torch.uint8).reshape(-1, 1, 1, 1)
    return assemble(
        linear,
        TrainingData(images, torch.tensor(labels)),
        [np.array(own, dtype=np.int64) for own in rows],
        sampling=sampling or Sampling(len(rows)),
        sgd=Sgd(**({"epochs": 1, "batch_size": 100, "lr": 1.0} | sgd)),
        defense=defense or Defense({"use": "fedavg"}),
        seed=1,
        workers=workers,
        n_classes=2,
    )


def four(defense=None, **changed):
    """Four clients of four samples; client 3 has the other label."""
    labels = [0] * 12 + [1] * 4
    rows = np.arange(16).reshape(4, 4).tolist()
    return federate([255] * 16, labels, rows, defense, **changed)


def everything(fed):
    return np.ones(len(fed.data.labels), bool)


def play(fed, n_rounds=1, keep=None):
    return list(run(fed, start(fed, keeping(everything(fed) if keep is None else keep)), n_rounds))


def test_fedavg_of_two_clients_is_as_by_hand():
    # pixel 255 is x = 1; p = (1/2, 1/2); client 0 (six samples of class 0) moves weight and bias
    # by (1/2, -1/2), client 1 (two of class 1) by the opposite: 3/4 of one and 1/4 of the other
    fed = federate([255] * 8, [0] * 6 + [1] * 2, [range(6), range(6, 8)])
    [(state, record)] = play(fed)
    assert state.values.tolist() == [0.25, -0.25, 0.25, -0.25]
    assert record.weights.tolist() == [0.75, 0.25]
    assert record.n_samples.tolist() == [6, 2]
    np.testing.assert_allclose(record.losses, np.log(2), rtol=1e-6)
    assert (record.scores, record.benign.tolist()) == (None, [True, True])
    assert record.judged == {}
    assert record.in_domain
    assert record.seconds.keys() == set(rounds.PARTS)


def test_the_second_round_starts_from_the_first():
    fed = four(sampling=Sampling(3))
    both = [state for state, _ in play(fed, 2)]
    [(again, _)] = list(run(fed, both[0], 2))
    assert torch.equal(again.values, both[1].values)
    assert (again.round, both[1].round) == (2, 2)
    assert not torch.equal(both[0].values, both[1].values)


def test_a_client_with_nothing_kept_is_skipped_and_gets_no_weight():
    fed = federate([255] * 8, [0] * 6 + [1] * 2, [range(6), range(6, 8)])
    [(state, record)] = play(fed, keep=np.arange(8) >= 6)
    assert state.values.tolist() == [-0.5, 0.5, -0.5, 0.5]
    assert record.cohort.tolist() == [0, 1]
    assert record.n_samples.tolist() == [0, 2]
    assert record.weights.tolist() == [0, 1]
    assert record.losses[0] == 0


def test_only_what_is_kept_is_trained_on():
    fed = federate([255] * 4, [0, 0, 0, 1], [range(4)])
    [(state, record)] = play(fed, keep=np.array([True, True, True, False]))
    assert state.values.tolist() == [0.5, -0.5, 0.5, -0.5]
    assert record.n_samples.tolist() == [3]


def test_a_round_in_which_nothing_is_kept_changes_nothing():
    fed = four()
    [(state, record)] = play(fed, keep=~everything(fed))
    assert state.values.tolist() == [0] * 4
    assert record.weights.tolist() == [0] * 4
    assert state.round == 1


def test_numbers_of_workers_change_nothing():
    one, two = (play(four(workers=n, batch_size=2, epochs=3), 3)[-1][0] for n in (1, 2))
    assert torch.equal(one.values, two.values)


@pytest.mark.parametrize("n_malicious", [1, 2, 3])
def test_a_stratified_cohort_has_exactly_so_many_malicious_clients(n_malicious):
    bad = frozenset({1, 4, 8})
    sampling = Sampling(5, stratified=True, malicious=bad, n_malicious=n_malicious)
    for seed in range(50):
        cohort = sampling.draw(np.ones(10, bool), np.random.default_rng(seed))
        assert len(set(cohort)) == 5
        assert len(bad & set(cohort.tolist())) == n_malicious
        assert cohort.tolist() == sorted(cohort)


@pytest.mark.parametrize("stratified", [False, True])
def test_each_client_is_drawn_equally_often(stratified):
    sampling = Sampling(4, stratified, frozenset({0, 1, 2, 3, 4}), 2)
    rng = np.random.default_rng(0)
    counts = np.zeros(10)
    for _ in range(2000):
        counts[sampling.draw(np.ones(10, bool), rng)] += 1
    assert abs(counts - 800).max() < 110  # five standard deviations of 22


def test_only_eligible_clients_are_drawn_all_where_they_are_too_few_or_none():
    sampling, rng = Sampling(3), np.random.default_rng(0)
    assert sampling.draw(np.array([1, 0, 0, 1], bool), rng).tolist() == [0, 3]
    assert sampling.draw(np.zeros(4, bool), rng).tolist() == []


def test_others_take_the_places_of_those_a_detector_has_banned_from_a_stratified_cohort():
    sampling = Sampling(4, stratified=True, malicious=frozenset({0, 1}), n_malicious=2)
    rng = np.random.default_rng(0)
    assert len(sampling.draw(np.array([0, 0, 1, 1, 1, 1, 1], bool), rng)) == 4
    assert sampling.draw(np.array([0, 1, 1, 1, 0, 0, 0], bool), rng).tolist() == [1, 2, 3]


def test_a_banned_client_is_never_drawn():
    fed = four(Defense({"use": "fedavg"}, detect={"use": "toy_detector", "banned": 2}))
    for _, record in play(fed, 4):
        assert record.cohort.tolist() == [0, 1, 3]
        assert record.benign.tolist() == [True, True, False, True]
        assert record.scores[2] == 99


def test_the_detector_learns_from_the_aggregate_and_scores_with_it_in_the_next_round():
    fed = four(Defense({"use": "fedavg"}, detect={"use": "toy_detector", "banned": 2}))
    played = play(fed, 3)
    assert played[0][1].scores[0] == 0
    for (state, _), (after, record) in itertools.pairwise(played):
        assert state.detector["learned"].item() == state.values[0] != 0
        assert record.scores[0] == state.values[0]
        assert after.detector["rounds"] == state.detector["rounds"] + 3  # clients that trained


def test_a_local_loss_changes_the_result_as_by_hand():
    spec = {"use": "toy_detector", "banned": 3, "pull": 0.5}
    [(state, _)] = play(four(Defense({"use": "fedavg"}, detect=spec)))
    # the term adds 4 x 0.5 to the gradient of the bias of the labels' class, at a rate of 1
    assert state.values.tolist() == [0.5, -0.5, 0.5 - 2, -0.5]


def test_every_client_reports_on_its_samples_by_the_model_that_the_detector_chooses():
    fed = four(Defense({"use": "fedavg"}, detect={"use": "toy_detector", "banned": 2}))
    [(_, record)] = play(fed)
    # all weights 0 + 1: logits of x = 1 are 1 + 1; and the server sends that model's bias
    assert record.screened["logits"].tolist() == [[2, 2]] * 16
    assert record.screened["bias"].tolist() == [1, 1]
    # 4 clients: 4 samples x 2 logits and 2 biases of float32, 4 labels of int64; 2 biases back
    assert record.screened["bytes"] == 4 * (8 * 4 + 2 * 4 + 4 * 8) + 4 * 2 * 4


def test_a_judging_model_leaves_the_global_one_as_it_was():
    spec = {"use": "toy_detector", "banned": 3}
    [(state, _)] = play(four(Defense({"use": "fedavg"}, detect=spec)))
    assert state.values.tolist() == [0.5, -0.5, 0.5, -0.5]


def test_flags_hold_until_the_next_screening():
    spec = {"use": "toy_detector", "banned": 2}
    fed = four(Defense({"use": "fedavg"}, detect=spec, screenings=frozenset({2, 4})))
    played = [record for _, record in play(fed, 5)]
    assert [record.scores is not None for record in played] == [False, True, False, True, False]
    assert [record.benign.tolist()[2] for record in played] == [True] + [False] * 4
    assert [2 in record.cohort for record in played] == [True] + [False] * 4
    assert [record.screened != {} for record in played] == [False, True, False, True, False]


def test_a_client_starts_from_what_the_detector_makes_of_the_global_weights():
    spec = {"use": "toy_detector", "banned": 3, "shift": 3.0}
    [(_, record)] = play(four(Defense({"use": "fedavg"}, detect=spec), epochs=1, lr=1e-9))
    np.testing.assert_allclose(record.trained[:, 0], [0, 3, 6], atol=1e-6)


def test_an_aggregator_keeps_its_state_and_its_weights_are_recorded():
    fed = four(Defense({"use": "toy_aggregator", "pick": 3}))
    (state, record), (after, _) = play(fed, 2)
    assert state.values.tolist() == [-0.5, 0.5, -0.5, 0.5]  # client 3 alone
    assert record.weights.tolist() == [0, 0, 0, 1]
    assert state.aggregator["seen"].tolist() == [4] * 4
    assert after.aggregator["seen"].tolist() == [8] * 4


def test_a_sanitizer_judges_at_its_rounds_and_its_mask_lasts_until_the_next():
    spec = {"use": "toy_sanitizer", "above": 0.0}
    fed = federate(
        [255, 255, 0, 0] * 2,
        [0] * 8,
        [range(4), range(4, 8)],
        Defense({"use": "fedavg"}, sanitize=spec, judgements={2: ("raw",), 4: ("raw",)}),
    )
    first = np.arange(8) < 6
    played = play(fed, 4, keep=first)
    kept = [state.verdict.keep.tolist() for state, _ in played]
    bright = [True, True, False, False] * 2
    assert kept == [first.tolist(), bright, bright, bright]
    assert [record.n_samples.tolist() for _, record in played] == [[4, 2], [2, 2], [2, 2], [2, 2]]
    # each client sends 4 float32, the server 1 float64 to both, in rounds 2 and 4
    assert [record.judged.get("bytes") for _, record in played] == [None, 48, None, 48]
    assert first.tolist() == [True] * 6 + [False] * 2


def test_a_repaired_sample_is_trained_on_with_its_new_label():
    # the second sample carries 1; dropped and repaired to 0, both pull to class 0 as by hand above
    fed = federate([255] * 2, [0, 1], [range(2)])
    verdict = Verdict(np.array([True, False]), np.array([-1, 0]))
    [(state, record)] = list(run(fed, start(fed, verdict), 1))
    assert state.values.tolist() == [0.5, -0.5, 0.5, -0.5]
    assert record.n_samples.tolist() == [2]
    assert fed.data.labels.tolist() == [0, 1]


REPAIRER = """
import numpy as np

EXCHANGES = 1

def client(view, broadcast, memory, *, exchange, judgement):
    kept = np.ones(len(view.labels), bool) if view.kept is None else view.kept
    seen = [len(view.layers), judgement, kept.sum(), exchange]
    return {"seen": np.array(seen)}, {}

def server(messages, state):
    return {}, {"seen": np.stack([m["seen"] for m in messages])}

def keep(view, broadcast, memory):
    return np.arange(len(view.labels)) > 0

def repair(view, broadcast, memory):
    return np.where(np.arange(len(view.labels)) > 0, -1, 1)
"""


def test_each_judgement_is_recorded_with_what_the_server_knew(plugin):
    plugin("sanitizers", "repairer", REPAIRER)
    when = {1: ("raw", "pixels"), 3: ("output",)}
    defense = Defense({"use": "fedavg"}, sanitize={"use": "repairer"}, judgements=when)
    fed = federate([255] * 8, [0] * 8, [range(3), range(3, 8)], defense)
    first, second, third = (record.judged for _, record in play(fed, 3))
    assert second == {}
    # layers, number of the judgement, samples kept so far, number of the exchange
    assert first["server.seen"].tolist() == [[2, 0, 3, 0], [2, 0, 5, 0]]
    assert third["server.seen"].tolist() == [[1, 1, 2, 0], [1, 1, 4, 0]]
    assert first["keep"].tolist() == [False, True, True] + [False] + [True] * 4
    assert first["repaired"].tolist() == [1, -1, -1] + [1] + [-1] * 4
    assert first["bytes"] == 2 * 4 * 8


TOLD = """
import torch
from fedsieve.vectors import Aggregate

def init(n_clients, layout):
    return {}

def aggregate(updates, cohort, n_samples, state, *, n_malicious):
    weights = torch.full((len(cohort),), float(n_malicious))
    return Aggregate(updates[0], weights, in_domain=n_malicious < 2), state
"""


@pytest.mark.parametrize(("setting", "told"), [(1, 1), ("oracle", 2)])
def test_an_aggregator_is_told_the_number_of_malicious_clients_only_as_oracle(
    plugin, setting, told
):
    plugin("aggregators", "told", TOLD)
    sampling = Sampling(4, malicious=frozenset({0, 3}))
    [(_, record)] = play(four(Defense({"use": "told", "n_malicious": setting}), sampling=sampling))
    assert record.weights.tolist() == [told] * 4
    assert record.in_domain == (told < 2)


def test_buffers_are_averaged_by_the_weights_of_the_aggregator():
    def build():
        torch.manual_seed(0)
        layers = OrderedDict(norm=nn.BatchNorm2d(1, momentum=1.0), flat=nn.Flatten())
        predictor = nn.Sequential(nn.Linear(1, 2))
        return nn.Sequential(OrderedDict(extractor=nn.Sequential(layers), predictor=predictor))

    fed = federate([0, 0, 0, 255, 255, 255, 0, 255], [0, 1] * 4, [range(3), range(3, 6), [6, 7]])
    fed = rounds.assemble(
        build,
        fed.data,
        fed.rows,
        sampling=Sampling(3),
        sgd=Sgd(1, 100, 0.1),
        defense=Defense({"use": "fedavg"}),
        seed=1,
        workers=2,
        n_classes=2,
    )
    [(state, _)] = play(fed)
    # means -1, 1 and 0 with weights 3/8, 3/8 and 2/8; unbiased variances 0, 0 and 2
    torch.testing.assert_close(state.values[-2:], torch.tensor([0.0, 0.5]))


def test_a_training_job_writes_the_same_bytes_with_any_number_of_workers(
    tmp_path, stage, training, undisturbed, written_bytes
):
    stage("train")(**training(tmp_path, workers=2))
    assert written_bytes(tmp_path) == undisturbed(3)


def test_a_scenario_is_scored_from_what_training_wrote(tmp_path, scenario, training, stage):
    arguments = training(tmp_path)
    stage("train")(**arguments)
    read = {key: arguments[key] for key in ("data", "attack")}
    model = arguments["task"]["model"]
    unattacked = {"weights": arguments["model"], "predictions": arguments["predictions"]}
    last = {"last_rounds": 1, "floor": tmp_path / "floor.json"}
    stage("floor")(**read, **unattacked, **last, model=model)
    read |= {
        key: arguments[key] for key in ("clients", "poisoning", "predictions", "kept", "screened")
    }
    read |= {
        "clients_log": arguments["clients_log"],
        "floor": tmp_path / "floor.json",
        "last_rounds": 1,
    }
    written = {"rounds": tmp_path / "rounds.csv", "metrics_file": tmp_path / "metrics.json"}
    stage("evaluate")(**read, **written)
    found = rounds_and_metrics(tmp_path)
    # the floor was measured on the final model here, so both must agree
    assert found["asr_floor"] == found["asr"]
    assert found["accuracy_unattacked"] == found["accuracy"] == found["last_accuracy"]
    assert found["sanitization.recall"] is not None
    # stratified: .4 of a cohort of four is 1.6, rounded 2
    assert found["malicious_per_cohort"] == 2


@pytest.mark.parametrize(
    ("trained", "number"),
    [
        ([(1, 0), (1, 1), (1, 2), (2, 1), (2, 2), (2, 3)], 2),
        ([(1, 0), (1, 1), (1, 2), (2, 1), (2, 3), (2, 4)], None),
        ([(1, 0), (2, 3), (2, 4)], 0),
    ],
    ids=["two in each", "two and then one", "nobody"],
)
def test_malicious_clients_of_a_cohort_are_counted_if_each_round_trained_as_many(trained, number):
    # clients 1 and 2 are malicious; both rounds drew all five, of whom these had samples left
    every = [(r, c) for r in (1, 2) for c in range(5)]
    log = pd.DataFrame(every, columns=["round", "client"])
    log["n_samples"] = [10 * (place in trained) for place in every]
    assert evaluate._malicious_per_cohort(log, np.array([1, 2])) == number


def rounds_and_metrics(folder):
    rows = (folder / "rounds.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 4
    columns = dict(zip(rows[0].split(","), rows[-1].split(","), strict=True))
    return read_json(folder / "metrics.json") | {"last_accuracy": float(columns["accuracy"])}
