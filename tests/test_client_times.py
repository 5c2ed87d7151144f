import pandas as pd
import pytest

from fedsieve.stages import client_times as timed


@pytest.fixture(scope="module")
def table(tmp_path_factory, training, stage):
    """Times of two turns, and the table for people."""
    folder = tmp_path_factory.mktemp("times")
    read = training(folder)
    task = {"model": read["task"]["model"], "local": read["task"]["local"] | {"steps": 1}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timed, "REPEATS", 2)
        patch.setattr(timed, "BATCH_SIZES", (8, 16))
        stage("client_times")(
            data=read["data"],
            clients=read["clients"],
            task=task,
            detector={"use": "mcdfl", "hidden": 4},
            seed=1,
            csv=folder / "t.csv",
            md=folder / "t.md",
            device="cpu",
        )
    return pd.read_csv(folder / "t.csv"), (folder / "t.md").read_text(encoding="utf-8")


def test_every_part_is_timed_as_often_for_each_batch_size(table):
    times, _ = table
    assert times["n"].tolist() == [2] * 8
    assert times.groupby("part")["batch_size"].apply(list).tolist() == [[8, 16]] * 4
    assert (times["mean"] > 0).all()


def test_all_of_a_clients_round_is_its_training_and_its_report(table):
    means = table[0].pivot_table(index="batch_size", columns="part", values="mean")
    whole = means["training with detector"] + means["report"]
    assert means["all with detector"].tolist() == pytest.approx(whole.tolist())


def test_the_table_has_a_column_per_batch_size_and_says_what_it_counts(table):
    _, text = table
    assert text.splitlines()[0].replace(" ", "") == "|batchsize|8|16|"
    assert "standard deviation over 2 turns" in text
