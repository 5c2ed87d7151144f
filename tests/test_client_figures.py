"""Figures of clients' scores and updates, from what training jobs write."""

import numpy as np
import pandas as pd
import pytest

from fedsieve import quality as draw
from fedsieve.artifacts import write_arrays, write_poisoning
from fedsieve.records import Dataset, Poisoning

GRID = {  # as the workflow cuts it: the first seed alone
    "task": ["t"],
    "partition": ["p"],
    "attack": ["flip"],
    "ratio": [0.2, 0.4],
    "defense": ["d"],
    "seed": [1],
}
FILES = "{task}-{partition}-{attack}-{ratio}-{defense}-{seed}"


@pytest.fixture
def folder(tmp_path):
    """Poisonings of five clients, of whom client 1 and, at 40 %, client 3 are malicious."""
    data = Dataset(np.zeros((5, 1, 2, 2), np.uint8), np.zeros(5, np.int64), ("a", "b"))
    nothing = np.array([], np.int64)
    for ratio, malicious in (("0.2", [1]), ("0.4", [1, 3])):
        truth = Poisoning(
            malicious=np.array(malicious),
            samples=nothing,
            kind=np.array([], "U4"),
            labels_before=nothing,
            labels_after=nothing,
            images=data.images[:0],
        )
        for seed in (1, 2):
            write_poisoning(tmp_path / f"t-p-flip-{ratio}-d-{seed}.npz", truth)
    return tmp_path


def log(rounds):
    """What a detector did with five clients: client 2 is banned; scores are round + client / 10."""
    rows = [
        {
            "round": number,
            "client": client,
            "screened": number in rounds,
            "score": number + client / 10 if number in rounds else None,
            "benign": client != 2,
        }
        for number in range(1, max(rounds) + 1)
        for client in range(5)
    ]
    return pd.DataFrame(rows).to_csv(index=False)


@pytest.fixture
def drawn(folder, stage, monkeypatch):
    """Frame and title of the figure that the stage draws of such logs."""

    def drawn(rounds):
        for ratio in ("0.2", "0.4"):
            for seed in (1, 2):
                (folder / f"t-p-flip-{ratio}-d-{seed}.csv").write_text(
                    log(rounds), encoding="utf-8"
                )
        seen = []

        def noted(clients, order, title, ylabel, figure=draw.quality):
            seen.extend([clients, title, ylabel])
            return figure(clients, order, title, ylabel)

        monkeypatch.setattr(draw, "quality", noted)
        paths = {"logs": f"{folder}/{FILES}.csv", "poisonings": f"{folder}/{FILES}.npz"}
        made = [folder / "a.png", folder / "a.pdf"]
        stage("quality")(grid=GRID, **paths, order=["flip"], score="data quality", figures=made)
        assert all(path.stat().st_size > 1000 for path in made)
        return seen

    return drawn


def test_all_clients_of_the_first_seed_are_drawn_with_the_truth_and_the_flags(drawn):
    clients, title, ylabel = drawn([2, 25])
    assert (title, ylabel) == ("t, p, d, seed 1, before round 25", "data quality")
    assert len(clients) == 2 * 5
    assert clients[clients["malicious"]].groupby("ratio")["client"].apply(list).tolist() == [
        [1],
        [1, 3],
    ]
    assert set(clients[clients["flagged"]]["client"]) == {2}
    assert clients["score"].tolist() == [25, 25.1, 25.2, 25.3, 25.4] * 2


def test_a_round_from_20_on_is_drawn_at_random_and_always_the_same(drawn):
    rounds = list(range(1, 80))
    first = drawn(rounds)[0]
    shown = first["score"].astype(int)
    assert shown.min() >= 20
    assert shown.nunique() == 2  # another one for each scenario
    assert drawn(rounds)[0].equals(first)


def test_without_a_screening_from_round_20_on_the_last_one_is_drawn(drawn):
    assert drawn([2, 3, 5])[1].endswith("before round 5")


def test_the_updates_of_the_last_screening_are_drawn(folder, stage, monkeypatch):
    points = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
    for ratio in ("0.2", "0.4"):
        known = {"round9.points": points[:1], "round9.clients": np.array([0])}
        known |= {"round10.points": points, "round10.clients": np.array([1, 3, 0, 1])}
        known |= {"round10.scores": np.array([1, 0.5, np.nan]), "round9.scores": np.zeros(3)}
        write_arrays(folder / f"t-p-flip-{ratio}-d-1-screened.npz", known)
    seen = []

    def noted(panels, title, figure=draw.updates):
        seen.extend([panels, title])
        return figure(panels, title)

    monkeypatch.setattr(draw, "updates", noted)
    paths = {"files": f"{folder}/{FILES}-screened.npz", "poisonings": f"{folder}/{FILES}.npz"}
    stage("updates")(grid=GRID, **paths, figures=[folder / "u.png"])
    panels, title = seen
    assert title == "t, p, d, seed 1"
    assert [panel.title for panel in panels] == ["flip, 20 %", "flip, 40 %"]
    np.testing.assert_array_equal(panels[0].points, points)
    assert panels[0].malicious.tolist() == [True, False, False, True]
    assert panels[1].malicious.tolist() == [True, True, False, True]
