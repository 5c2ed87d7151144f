import numpy as np
import pandas as pd
import pytest

from fedsieve import clients, rendering

MALICIOUS = np.array([1, 3])
POISONED = np.array([0, 9, 0, 3])
"""Of four clients; the last one flips too few to be found."""


def scored(**found):
    screened = {"benign": np.array([True, False, False, True])}
    screened |= {f"found.{name}": array for name, array in found.items()}
    rows = clients.scores(screened, MALICIOUS)
    return {(row["part"], row["metric"]): row["value"] for row in rows}


def test_flags_are_scored_against_the_malicious_clients():
    found = scored()
    # client 1 rightly, client 2 wrongly, client 3 missed
    assert found["flags", "precision"] == found["flags", "recall"] == 0.5
    assert found["flags", "f1"] == found["flags", "false_positive_rate"] == 0.5


def test_each_part_of_a_rule_is_scored_and_other_findings_are_not():
    part = np.array([False, True, False, True])
    found = scored(soft=part, pairs=np.eye(2, dtype=bool), gain=np.array(3.0), n=np.arange(4))
    assert found["soft", "f1"] == 1
    assert {name for name, _ in found} == {"flags", "soft"}


def test_the_yardstick_finds_just_those_who_flip_at_least_four_samples():
    found = {row["metric"]: row["value"] for row in clients.yardstick(MALICIOUS, POISONED)}
    assert found["recall"] == 0.5
    assert found["precision"] == 1


def frame():
    rows = [
        ("flip", 0.2, 1, "f1", 1.0),
        ("flip", 0.2, 2, "f1", 0.5),
        ("flip", 0.4, 1, "f1", 0.9),
        ("flip", 0.4, 2, "f1", 0.8),
        ("unattacked", 0.0, 1, "false_positive_rate", 0.0),
        ("unattacked", 0.0, 2, "false_positive_rate", 0.1),
        ("unattacked", 0.0, 1, "f1", None),
        ("flip", 0.2, 1, "false_positive_rate", 0.3),
        ("flip", 0.2, 2, "false_positive_rate", 0.3),
    ]
    columns = ["attack", "ratio", "seed", "metric", "value"]
    labels = {"task": "t", "partition": "p", "trained": "none", "detection": "d"}
    made = pd.DataFrame(rows, columns=columns).assign(after_round=20, part="flags", **labels)
    return made.astype({"value": float})


def test_the_table_has_mean_and_least_f1_and_mean_and_most_false_positives():
    table = clients.table(frame(), ["flip"])
    assert list(table.columns) == ["0 %", "20 %", "40 %"]
    assert table.index.names == ["attack", "round", "model", "detector", "part"]
    assert table.loc["unattacked"].to_numpy().tolist() == [["0.050 (0.10)", "", ""]]
    assert table.loc["flip"].to_numpy().tolist() == [["", "0.750 (0.50)", "0.850 (0.80)"]]


def test_the_note_says_over_how_many_seeds():
    assert "mean over 2 seeds" in clients.note(frame())


@pytest.mark.parametrize("render", [rendering.to_markdown, rendering.to_html])
def test_the_table_can_be_rendered(render):
    assert "0.750 (0.50)" in render(clients.table(frame(), ["flip"]), clients.note(frame()))
