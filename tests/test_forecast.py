import json

import numpy as np
import pytest
import torch
from snakemake.persistence import MetadataRecord

from fedsieve import ancestry, forecast
from fedsieve.ancestry import Job
from fedsieve.forecast import Size

SIZE = Size(train=600, test=100, shape=(1, 8, 8), classes=("a", "b"), multi_label=False, clients=3)
TASK = {
    "rounds": 10,
    "model": {"use": "cnn2", "padding": 1, "hidden": 5, "channels": [2, 4]},
    "tested_every": 5,
}


def train(seed=1, rounds=10, task="digits", output="model"):
    settings = json.dumps(TASK | {"rounds": rounds})
    return (
        f"python -m fedsieve train --data results/{task}/data.npz --task '{settings}' --ratio 0.5"
        f" --seed {seed} --code 7aad --model results/{task}/{output} > results/{task}/log 2>&1"
    )


def record(rule, command, seconds, **more):
    return MetadataRecord(rule=rule, shellcmd=command, starttime=100, endtime=100 + seconds, **more)


def job(rule, command):
    return Job(rule, "", "", command)


def test_trainings_are_alike_whatever_their_seed_but_not_of_other_length_or_data():
    past = forecast.past([record("train", train(seed), 3.0 + seed) for seed in (1, 2, 3)])
    assert forecast.known(past.seconds, job("train", train(seed=9))) == 5
    assert forecast.known(past.seconds, job("train", train(rounds=20))) is None
    assert forecast.known(past.seconds, job("train", train(task="mnist"))) is None


def test_other_jobs_are_like_any_of_their_rule_and_most_like_those_on_the_same_data():
    commands = {t: f"python -m fedsieve keep --data results/{t}/data.npz --seed 1" for t in "abc"}
    past = forecast.past([record("keep", commands["a"], 2), record("keep", commands["b"], 8)])
    found = [forecast.known(past.seconds, job("keep", commands[t])) for t in "abc"]
    assert found == [2, 8, 5]


def test_a_jobs_bytes_are_those_of_the_files_it_names_and_has_not_read(tmp_path):
    for name, n in (("data.npz", 1000), ("model", 70)):
        path = tmp_path / "results/digits" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(n))
    read = record("train", train(), 1, input=["results/digits/data.npz"])
    past = forecast.past([read], tmp_path)
    assert forecast.known(past.sizes, job("train", train())) == 70


def test_jobs_of_which_nothing_is_known_cost_their_start_and_what_they_compute(monkeypatch):
    monkeypatch.setattr(forecast.costs, "training", lambda *_: 40.0)
    forecast._training.cache_clear()
    more = """ --defense '{"aggregate": {}}' --sanitizer '{}' --ratio"""
    text = train(rounds=11).replace(" --ratio", more)
    cpu = torch.device("cpu")
    assert forecast.seconds(job("train", text), SIZE, 2.0, cpu) == 40 + 2 * forecast.START["train"]
    assert forecast.seconds(job("curves", "x"), None, 2.0, cpu) == 2 * forecast.DRAWING


def test_bytes_of_a_model_are_four_for_each_weight_and_one_for_each_prediction():
    # 3x3 kernels 1-2-4 and biases, 2x2 maps of 4 channels to 5 to 2 classes; 2 tests and a spare
    weights = (9 * 2 + 2) + (9 * 2 * 4 + 4) + (16 * 5 + 5) + (5 * 2 + 2)
    assert forecast.written(job("train", train()), SIZE) == 4 * weights + 3 * 100 + 2 * 600


def test_bytes_of_data_and_features_follow_from_their_shape():
    assert forecast.written(job("data", ""), SIZE) == 700 * 64
    assert forecast.written(job("features", ""), SIZE) == 200 * 600 * 4
    block = "python -m fedsieve features --client 0 1 2 --layer raw"
    assert forecast.written(job("features", block), SIZE) == 600 * 600 * 4
    assert forecast.written(job("curves", ""), None) == forecast.SMALL


def test_the_size_of_a_scenario_counts_what_the_attack_is_probed_with(scenario):
    labels = np.load(scenario / "data.npz")["test_labels"]
    attack = json.dumps({"use": "label_flip", "source": 3, "target": 2})
    found = forecast.size(scenario / "data.npz", attack, 5)
    assert (found.train, found.shape, found.clients) == (250, (1, 8, 8), 5)
    assert found.test == len(labels) + (labels == 3).sum()


def test_records_of_jobs_that_have_not_ended_are_no_past(tmp_path):
    store = tmp_path / ".snakemake/metadata"
    store.mkdir(parents=True)
    for name, content in {
        "done": record("train", train(1), 2).model_dump(),
        "running": {"rule": "train", "shellcmd": train(2), "starttime": 5.0},
    }.items():
        (store / name).write_text(json.dumps(content), encoding="utf-8")
    (store / "torn").write_text('{"rule": "tra', encoding="utf-8")
    assert [found.shellcmd for found in ancestry.done(tmp_path)] == [train(1)]
    assert ancestry.done(tmp_path / "new") == []


@pytest.mark.slow
def test_the_start_of_torch_takes_some_time():
    assert forecast.startup() > 0.1  # how long at most depends on what else runs
