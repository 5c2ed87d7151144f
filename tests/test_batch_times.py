import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedsieve import timing
from fedsieve.artifacts import read_json
from fedsieve.local import Sgd, batches
from fedsieve.rounds import PARTS
from fedsieve.stages.batch_times import n_batches, per_batch

TIMES = pd.DataFrame(
    [
        {"defense": defense, "part": part, "mean": mean, "sd": 0.0005}
        for defense, judge in (("sieve", 0.003), ("none", 0.0))
        for part, mean in (
            ("train", 0.004),
            ("judge", judge),
            ("screen", 0.0),
            ("aggregate", 0.001),
            ("learn", 0.0),
            ("all", 0.005 + judge),
        )
    ]
)


@given(st.integers(0, 50), st.integers(1, 8), st.integers(1, 3))
def test_batches_are_counted_as_local_training_makes_them(n_samples, batch_size, epochs):
    sgd = Sgd(epochs=epochs, batch_size=batch_size, lr=0.1)
    made = list(batches(np.arange(n_samples), sgd, np.random.default_rng(0)))
    assert n_batches(np.array([n_samples]), epochs, batch_size).tolist() == [len(made)]


def record_of(*rounds):
    task = {"local": {"epochs": 2, "batch_size": 4}}
    return {"settings": {"task": task}, "seconds_of_parts": list(rounds)}


def test_a_round_of_so_many_steps_has_as_many_batches_whatever_a_client_has():
    sgd = Sgd(epochs=1, batch_size=16, lr=0.1, steps=7)
    for n_samples in (2, 40, 500):
        made = list(batches(np.arange(n_samples), sgd, np.random.default_rng(0)))
        assert n_batches(np.array([n_samples, 1]), 1, 16, 7).tolist() == [len(made), 0]


def test_seconds_per_batch_are_those_of_all_rounds_over_their_batches():
    # 2 passes of 3 and of 2 batches, the client that was not sampled none: 10 batches
    log = pd.DataFrame({"n_samples": [10, 8, 0]})
    record = record_of({"train": 3.0, "judge": 0.5}, {"train": 2.0, "judge": 0.0})
    assert per_batch(log, record) == pytest.approx({"train": 0.5, "judge": 0.05, "all": 0.55})


def test_without_a_batch_the_time_of_one_is_undefined():
    found = per_batch(pd.DataFrame({"n_samples": [0]}), record_of({"train": 3.0}))
    assert all(np.isnan(value) for value in found.values())


def test_bars_stack_the_parts_to_the_whole_in_milliseconds():
    ax, _ = timing.batch_times(TIMES, ["none", "sieve"], "").axes
    ends = [bar.get_x() + bar.get_width() for bar in ax.containers[-2]]
    assert ends == pytest.approx([5, 8])
    assert [text.get_text() for text in ax.texts] == ["5.00", "8.00"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["none", "sieve"]
    assert ax.yaxis_inverted()


def test_parts_beside_training_stand_on_a_logarithmic_scale():
    _, ax = timing.batch_times(TIMES, ["none", "sieve"], "").axes
    shown = {line.get_label(): list(line.get_xdata()) for line in ax.lines}
    assert shown["aggregate"] == pytest.approx([1, 1])
    assert shown["judge"] == pytest.approx([np.nan, 3], nan_ok=True)
    assert "train" not in shown
    assert ax.get_xscale() == "log"


def test_parts_of_no_time_at_all_can_be_drawn(tmp_path):
    still = TIMES.assign(mean=TIMES["mean"].where(TIMES["part"].isin(["train", "all"]), 0.0))
    timing.batch_times(still, [], "").savefig(tmp_path / "a.png")


def test_the_stage_writes_each_part_of_each_defense(stage, training, tmp_path):
    stage("train")(**training(tmp_path / "none"))
    stage("train")(**training(tmp_path / "fdsd"))
    axes = {"task": ["t"], "partition": ["p"], "attack": ["a"], "ratio": [0.4], "seed": [1]}
    stage("batch_times")(
        grid=axes | {"defense": ["none", "fdsd"]},
        clients_logs=f"{tmp_path}/{{defense}}/clients.csv",
        records=f"{tmp_path}/{{defense}}/run.json",
        order=["none", "fdsd"],
        table=tmp_path / "times.csv",
        figures=[tmp_path / "times.png", tmp_path / "times.pdf"],
    )
    table = pd.read_csv(tmp_path / "times.csv").set_index(["defense", "part"])
    log, record = (tmp_path / "fdsd" / name for name in ("clients.csv", "run.json"))
    spent = per_batch(pd.read_csv(log), read_json(record))
    assert table["mean"]["fdsd"].to_dict() == pytest.approx(spent)
    assert set(spent) == {*PARTS, "all"}
    assert set(table["n"]) == {1}
    assert (tmp_path / "times.pdf").read_bytes().startswith(b"%PDF-")
    assert json.loads(record.read_text(encoding="utf-8"))["seconds_of_parts"]
