"""Mistakes of plug-ins: a message names file, function, what was found and what was wanted."""

import re
from dataclasses import asdict

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fedsieve import exchanges, poisonings
from fedsieve.aggregates import check_aggregate, check_state
from fedsieve.checks import check_assignment, check_repair, check_screening, check_splits
from fedsieve.errors import InputError
from fedsieve.models import cnn2
from fedsieve.records import Dataset, Poisoning, Probe, Screening, View
from fedsieve.vectors import Aggregate


def bare(record, **fields):
    """A record as a job makes it: without the checks of types that tests add to its class."""
    made = object.__new__(record)
    made.__dict__.update(fields)
    return made


def refused(message, check, *arguments):
    with pytest.raises(InputError, match=re.escape(message)):
        check("kind/mine.py", *arguments)


UPDATES = torch.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
UPDATE, WEIGHTS = torch.tensor([2.0, 2.0, 2.0]), torch.tensor([0.5, 0.5])
SGD = {"epochs": 1, "batch_size": 16, "momentum": 0.9, "weight_decay": 0.001}
NAN, HUGE = float("nan"), 3e38


def aggregated(update=UPDATE, weights=WEIGHTS, in_domain=True):
    return bare(Aggregate, update=update, weights=weights, in_domain=in_domain)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (aggregated(), "aggregate: found Aggregate, wanted a pair"),
        ((UPDATE, {}), "aggregate: found (torch.float32 [3], {}), wanted a pair, an Aggregate and"),
        (
            (aggregated(UPDATES.mean()), {}),
            "update: found torch.float32 [], wanted torch.float32 [3]",
        ),
        ((aggregated(UPDATE[:2]), {}), "update: found torch.float32 [2]"),
        ((aggregated(UPDATE.double()), {}), "update: found torch.float64 [3]"),
        ((aggregated(UPDATE * NAN), {}), "update: found NaN or infinity, made of finite updates"),
        ((aggregated(weights=WEIGHTS[:1]), {}), "weights: found torch.float32 [1], wanted"),
        ((aggregated(weights=WEIGHTS > 0), {}), "weights: found torch.bool [2], wanted"),
        ((aggregated(weights=WEIGHTS - 1), {}), "weights: found negative ones"),
        ((aggregated(weights=WEIGHTS * NAN), {}), "weights: found NaN or infinity"),
        ((aggregated(in_domain=torch.tensor(True)), {}), "in_domain: found torch.bool []"),
        ((aggregated(), None), "aggregate: state: found None, wanted a dict of named tensors"),
        ((aggregated(), [1]), "aggregate: state: found list"),
        ((aggregated(), {"n": 3}), "aggregate: state: found {n: 3}"),
    ],
)
def test_what_is_no_aggregate_of_the_updates_is_refused(returned, message):
    refused(message, check_aggregate, returned, UPDATES, {})


def test_an_aggregate_is_returned_as_it_is_and_may_leave_everybody_out():
    found = aggregated(weights=WEIGHTS * 0)
    assert check_aggregate("mine", (found, {"n": WEIGHTS}), UPDATES, {}) == (found, {"n": WEIGHTS})


@pytest.mark.parametrize("factor", [NAN, float("inf"), HUGE])
def test_a_run_that_diverges_is_no_mistake_of_its_aggregator(factor):
    returned = (aggregated(UPDATE * NAN, WEIGHTS * NAN), {})
    assert check_aggregate("mine", returned, UPDATES * factor, {}) == returned
    assert check_aggregate("mine", returned, UPDATES, {"past": UPDATE * factor}) == returned


@pytest.mark.parametrize("use", ["fedavg", "median", "foolsgold", "krum", "auror"])
def test_a_training_that_diverges_goes_on_to_its_end(stage, training, tmp_path, use):
    arguments = training(tmp_path, rounds=3)
    arguments["task"] |= {"local": SGD | {"lr": 1e6}}
    malicious = {"n_malicious": 1} if use == "krum" else {}
    arguments["defense"] = {"aggregate": {"use": use, **malicious}}
    stage("train")(**arguments)
    assert not all(tensor.isfinite().all() for tensor in load_file(arguments["model"]).values())


def test_a_state_of_anything_but_tensors_is_refused():
    refused(
        "init: state: found {n: 3}, wanted a dict of named tensors", check_state, "init", {"n": 3}
    )


DATA = Dataset(
    np.arange(4 * 4, dtype=np.uint8).reshape(4, 1, 2, 2), np.array([0, 1, 2, 0]), ("a", "b", "c")
)
SEVERAL = Dataset(DATA.images, np.eye(4, 3, dtype=np.uint8), DATA.classes)
ROWS = np.array([0, 1, 3])
GOOD = poisonings.changed(DATA, np.array([0, 3]), "flip", np.array([1, 2]))


def poisoned(**changed):
    return bare(Poisoning, **asdict(GOOD) | changed)


def poisoning(where, found):
    poisonings.check_poisoning(where, found, DATA, ROWS, {"flip": None})


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (np.array([1, 2]), "poison: found int64 [2], wanted a Poisoning"),
        (
            poisoned(labels_after=np.array([1])),
            "labels_after: found int64 [1], wanted numpy int64 [2]",
        ),
        (
            poisoned(labels_after=np.array([1, 3])),
            "labels_after: found values from 1 to 3, wanted 0 to 2",
        ),
        (poisoned(labels_after=np.array([1.0, 2])), "labels_after: found float64 [2]"),
        (poisoned(labels_before=np.array([0])), "labels_before: found int64 [1]"),
        (poisoned(samples=np.array([3, 0])), "samples: found numbers that do not ascend"),
        (poisoned(samples=np.array([0, 0])), "samples: found numbers that do not ascend"),
        (
            poisoned(samples=np.array([0, 2])),
            "samples: found sample 2, wanted samples among the client's",
        ),
        (poisoned(samples=np.array([0.0, 3])), "samples: found float64 [2]"),
        (
            poisoned(images=GOOD.images / 255),
            "images: found float64 [2, 1, 2, 2], wanted numpy uint8",
        ),
        (poisoned(images=GOOD.images[:, 0]), "images: found uint8 [2, 2, 2]"),
        (poisoned(kind="flip"), "kind: found 'flip', wanted numpy str [2]"),
        (
            poisoned(kind=np.array(["flip", "flipp"])),
            "kind: found 'flipp', wanted a kind that probe",
        ),
    ],
)
def test_what_is_no_poisoning_of_the_client_is_refused(found, message):
    refused(message, poisoning, found)


def test_a_poisoning_is_returned_as_it_is_with_one_or_several_labels():
    assert poisonings.check_poisoning("mine", GOOD, DATA, ROWS, ["flip"]) is GOOD
    some = poisonings.changed(SEVERAL, np.array([1]), "flip", np.ones((1, 3), np.uint8))
    assert poisonings.check_poisoning("mine", some, SEVERAL, ROWS, ["flip"]) is some
    none = poisonings.empty(DATA)
    assert poisonings.check_poisoning("mine", none, DATA, ROWS[:0], []) is none


def asked(samples=ROWS[1:2], images=DATA.images[1:2], wanted=0):
    return {"flip": bare(Probe, samples=samples, images=images, wanted=wanted)}


@pytest.mark.parametrize(
    ("probes", "message"),
    [
        (asked()["flip"], "probe: found Probe, wanted a dict"),
        ({"flip": 1}, "probe: found {flip: 1}, wanted a dict of a Probe"),
        (asked(wanted=np.array([0, 1])), "probe: flip: wanted: found int64 [2], wanted one class"),
        (asked(wanted=3), "probe: flip: wanted: found 3, wanted one class, a number of 0 to 2"),
        (asked(wanted=1), "samples: found 1 images that truly are of the wanted class"),
        (asked(samples=np.array([4])), "samples: found sample 4, wanted samples of the test set"),
        (
            asked(images=DATA.images),
            "images: found uint8 [4, 1, 2, 2], wanted numpy uint8 [1, 1, 2, 2]",
        ),
    ],
)
def test_what_does_not_ask_for_one_class_is_refused(probes, message):
    refused(message, poisonings.check_probes, probes, DATA)


def test_what_an_attack_says_of_its_parameters_is_told_with_its_file():
    with pytest.raises(InputError, match=r"^attacks/label_flip.py: probe: source: 7 is no class"):
        poisonings.probes({"use": "label_flip", "source": 7, "target": 1}, DATA)


def test_probes_are_returned_as_they_are():
    probes = asked(wanted=np.int64(2))
    assert poisonings.check_probes("mine", probes, DATA) is probes


def split(images=DATA.images, labels=DATA.labels, classes=DATA.classes):
    return bare(Dataset, images=images, labels=labels, classes=classes)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "read: found None, wanted a training and a test Dataset"),
        (
            (DATA.images, DATA.labels),
            "read: found (uint8 [4, 1, 2, 2], int64 [4]), wanted a training",
        ),
        (
            (split(DATA.images / 255), DATA),
            "train images: found float64 [4, 1, 2, 2], wanted numpy uint8",
        ),
        (
            (split(DATA.images[:, 0]), DATA),
            "train images: found uint8 [4, 2, 2], wanted uint8 [samples, ",
        ),
        ((DATA, split(DATA.images[:0])), "test images: found uint8 [0, 1, 2, 2]"),
        (
            (split(labels=DATA.labels / 1), DATA),
            "train labels: found float64 [4], wanted numpy int64 [4]",
        ),
        ((split(labels=DATA.labels.astype(str)), DATA), "train labels: found <U21 [4]"),
        (
            (split(labels=DATA.labels[1:]), DATA),
            "train labels: found int64 [3], wanted numpy int64 [4]",
        ),
        (
            (split(labels=DATA.labels[:, None]), DATA),
            "train labels: found int64 [4, 1], wanted numpy int64 [4]",
        ),
        (
            (DATA, split(labels=DATA.labels + 1)),
            "test labels: found values from 1 to 3, wanted 0 to 2",
        ),
        (
            (split(labels=SEVERAL.labels * 2), DATA),
            "train labels: found values from 0 to 2, wanted 0 to 1",
        ),
        (
            (split(classes=("a", "b")), DATA),
            "train labels: found values from 0 to 2, wanted 0 to 1",
        ),
        (
            (split(classes=["a", "b", "c"]), DATA),
            "train classes: found ['a', 'b', 'c'], wanted a tuple",
        ),
        ((split(classes=("a", "b", "b")), DATA), "train classes: found ('a', 'b', 'b')"),
        ((DATA, split(DATA.images.reshape(4, 1, 1, 4))), "test: found [1, 1, 4] and 3 classes"),
        ((split(labels=np.array([0, 1, 0, 1])), DATA), "test_labels: found classes ['c']"),
    ],
)
def test_what_is_no_data_set_to_learn_from_is_refused(returned, message):
    refused(f"kind/mine.py: {message}" if "read:" in message else message, check_splits, returned)


@pytest.mark.parametrize("data", [DATA, SEVERAL])
def test_two_splits_are_returned_as_they_are(data):
    assert check_splits("mine", (data, data)) == (data, data)


@pytest.mark.parametrize(
    ("client", "message"),
    [
        ([0, 1, 0], "assign: found list, wanted numpy int64 [3]"),
        (np.array([0, 1]), "assign: found int64 [2]"),
        (np.array([0.0, 1, 1]), "assign: found float64 [3]"),
        (np.array([0, 0, 0]), "assign: found 1 clients, from 0 to 0, wanted each of 0 to 1"),
        (np.array([0, 1, 2]), "assign: found 3 clients, from 0 to 2"),
    ],
)
def test_a_partition_without_a_sample_for_each_client_is_refused(client, message):
    refused(message, check_assignment, client, 3, 2)


@pytest.mark.parametrize(
    ("repaired", "message"),
    [
        (np.array([-1.0, 1]), "repair: found float64 [2], wanted numpy int64 [2]"),
        (np.array([-1, 3]), "repair: found a label that is no class, wanted -1 to 2"),
        (np.array([0, -1]), "repair: found a label for a sample that is kept"),
    ],
)
def test_labels_are_repaired_to_classes_and_of_dropped_samples_alone(repaired, message):
    refused(message, check_repair, repaired, np.array([True, False]), 3)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (np.array([True, True]), "flag: found bool [2], wanted a Screening"),
        (
            (np.array([1, 1]), np.zeros(2), {}),
            "flag: benign: found int64 [2], wanted numpy bool [2]",
        ),
        (
            (np.array([True]), np.zeros(2), {}),
            "flag: benign: found bool [1], wanted numpy bool [2]",
        ),
        (
            (np.array([True, True]), np.zeros(3), {}),
            "flag: scores: found float64 [3], wanted numpy floating [2]",
        ),
        (
            (np.array([True, True]), np.zeros(2), {"n": 3}),
            "flag: found: found {n: 3}, wanted a dict",
        ),
    ],
)
def test_what_is_no_screening_of_all_clients_is_refused(found, message):
    if isinstance(found, tuple):
        found = bare(Screening, **dict(zip(("benign", "scores", "found"), found, strict=True)))
    refused(message, check_screening, found, 2)


AGGREGATOR = """
def init(n_clients, layout):
    return {}

def aggregate(updates, cohort, n_samples, state):
    return updates.mean(dim=0), state
"""


def test_a_training_job_names_the_aggregator(plugin, stage, training, tmp_path):
    plugin("aggregators", "mine", AGGREGATOR)
    with pytest.raises(InputError, match=r"aggregators/mine\.py: aggregate: found \(torch.float32"):
        stage("train")(**training(tmp_path, defense={"aggregate": {"use": "mine"}}))


def test_what_an_aggregator_remembers_at_first_is_checked(plugin, stage, training, tmp_path):
    plugin("aggregators", "mine", AGGREGATOR.replace("{}", "None"))
    with pytest.raises(InputError, match=r"aggregators/mine\.py: init: state: found None"):
        stage("train")(**training(tmp_path, defense={"aggregate": {"use": "mine"}}))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def flag(reports, state):\n    return state", "flag: found {}, wanted a Screening"),
        ("def init(n_clients, layout):\n    return [1]", "init: state: found list, wanted a dict"),
        ("def learn(model, trained, state):\n    return None", "learn: state: found None"),
        (
            "def report(view, broadcast):\n    return 1\ndef flag(reports, state): ...",
            "report: found 1",
        ),
    ],
)
def test_a_training_job_names_the_detector(plugin, stage, training, tmp_path, source, message):
    plugin("detectors", "mine", source)
    defense = {"aggregate": {"use": "fedavg"}, "detect": {"use": "mine"}}
    with pytest.raises(InputError, match=re.escape(f"detectors/mine.py: {message}")):
        stage("train")(**training(tmp_path, defense=defense))


ATTACK = """
def poison(data, rows, *, rng):
    return data.labels[rows]

def probe(test):
    return {}
"""


def poison_job(stage, scenario, folder, attack):
    inputs = {"data": scenario / "data.npz", "clients": scenario / "clients.npz"}
    written = folder / "poisoning.npz"
    stage("poison")(**inputs, attack=attack, ratio=0.4, seed=1, poisoning=written)


def test_a_poison_job_names_the_attack(plugin, stage, scenario, tmp_path):
    plugin("attacks", "mine", ATTACK)
    with pytest.raises(InputError, match=r"attacks/mine\.py: poison: found int64 \[50\], wanted a"):
        poison_job(stage, scenario, tmp_path, {"use": "mine"})
    plugin("attacks", "mine", ATTACK.replace("{}", "None"))
    with pytest.raises(InputError, match=r"attacks/mine\.py: probe: found None, wanted a dict"):
        poison_job(stage, scenario, tmp_path, {"use": "mine"})


def test_a_poison_job_prints_plain_numbers(stage, scenario, tmp_path, capsys):
    attack = {"use": "label_flip", "source": 3, "target": 2}
    poison_job(stage, scenario, tmp_path, attack)
    assert re.search(r"^poisoned samples: \{'flip': \d+\}$", capsys.readouterr().out, re.MULTILINE)


DATASET = """
def fetch(root):
    return {}

def read(root):
    return None
"""


def test_the_jobs_of_a_data_set_name_its_file(plugin, stage, tmp_path):
    plugin("datasets", "mine", DATASET)
    job = {"dataset": {"use": "mine"}, "root": tmp_path, "receipt": tmp_path / "receipt.json"}
    stage("fetch")(**job)
    with pytest.raises(InputError, match=r"datasets/mine\.py: read: found None, wanted"):
        stage("data")(**job, data=tmp_path / "data.npz")
    plugin("datasets", "mine", DATASET.replace("{}", "None"))
    with pytest.raises(InputError, match=r"datasets/mine\.py: fetch: found None, wanted a dict"):
        stage("fetch")(**job)


def test_a_partition_job_names_the_partition(plugin, stage, scenario, tmp_path):
    plugin("partitions", "mine", "def assign(labels, *, n_clients, rng):\n    return 0 * labels")
    job = {"data": scenario / "data.npz", "clients": tmp_path / "clients.npz", "seed": 1}
    with pytest.raises(InputError, match=r"partitions/mine\.py: assign: found 1 clients"):
        stage("partition")(**job, partition={"use": "mine"}, n_clients=2)


SANITIZER = """
import numpy as np

EXCHANGES = 1

def client(view, broadcast, memory):
    return {"n": np.array(1)}, {}

def server(messages, state):
    return {}, {}

def keep(view, broadcast, memory):
    return np.ones(len(view.labels), bool)
"""


@pytest.mark.parametrize(
    ("right", "mistake", "message"),
    [
        ('{"n": np.array(1)}, {}', "np.array(1)", "client: found int64 [], wanted a pair"),
        ('{"n": np.array(1)}, {}', '{"n": 1}, {}', "client: found {n: 1}, wanted a dict of numpy"),
        ("return {}, {}", 'return {}, {"n": np.array("x")}', "server: found {n: <U1 []}"),
        (
            "np.ones(len(view.labels), bool)",
            "np.ones(2)",
            "keep: found float64 [2], wanted numpy bool [3]",
        ),
    ],
)
def test_a_judgement_names_the_sanitizer(plugin, right, mistake, message):
    plugin("sanitizers", "mine", SANITIZER.replace(right, mistake))
    view = View(0, {"raw": np.zeros((3, 2), np.float32)}, np.zeros(3, np.int64), 2)
    with pytest.raises(InputError, match=re.escape(f"sanitizers/mine.py: {message}")):
        exchanges.judge({"use": "mine"}, [view], seed=1, before_round=1)


GREEDY = """
import torch

from fedsieve.vectors import Aggregate

def init(n_clients, layout):
    return {}

def aggregate(updates, cohort, n_samples, state):
    n_samples.fill_(7)
    return Aggregate(updates[0].clone(), torch.ones(len(cohort))), state
"""


def test_an_aggregator_cannot_change_the_record(plugin, stage, training, tmp_path):
    plugin("aggregators", "greedy", GREEDY)
    arguments = training(tmp_path, rounds=1, keep=[], defense={"aggregate": {"use": "greedy"}})
    stage("train")(**arguments)
    column = np.loadtxt(arguments["clients_log"], str, delimiter=",", skiprows=1)[:, 3]
    assert column.tolist() == ["50"] * 4


@pytest.mark.parametrize(
    ("shape", "options", "remedy"),
    [
        ((1, 6, 6), {}, "set padding: 1, or hidden: 0. Channels come first: [1, 6, 6] is"),
        ((28, 28, 3), {"padding": 1}, "set hidden: 0. Channels come first: [28, 28, 3] is"),
        ((28, 28, 1), {"padding": 1, "hidden": 0}, "set a larger padding. Channels come first"),
    ],
)
def test_a_model_offers_only_what_is_not_set_already(shape, options, remedy):
    with pytest.raises(InputError, match=re.escape(remedy)):
        cnn2.build(shape, 10, **options)


@pytest.mark.parametrize("kind", ["a|b", "asr.flip", "$x$", "", "two words", 3])
def test_a_kind_of_poison_whose_name_no_metric_can_have_is_refused(kind):
    probe = Probe(np.array([0]), DATA.images[:1], 1)
    refused("mine.py: probe: found", poisonings.check_probes, {kind: probe}, DATA)
