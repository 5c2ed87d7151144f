"""Experiments that are none: what cannot be measured is marked and said, never a number."""

import numpy as np
import pandas as pd
import pytest
from whole import FEDAVG, archive, run

from fedsieve import clients, overview, rendering, tables
from fedsieve.notices import SIGN
from fedsieve.rng import stream
from fedsieve.statistics import LABELS, summarize
from fedsieve.tables import UNDEFINED

FLIP = {"use": "label_flip", "source": 0, "target": 1}
EVEN = np.tile([0, 1, 2], 8)
RARE = np.array([0] + [1, 2] * 12)
"""Its class 0 has a single sample."""

DETECTED = {**FEDAVG, "detect": {"use": "label_histogram"}}
KRUM = {"aggregate": {"use": "krum", "n_malicious": 1}}


@pytest.fixture
def ran(stage, tmp_path):
    """Run a scenario of an archive with these labels; metrics and rounds."""

    def ran(train, attack=FLIP, test=EVEN, **changed):
        path = archive(tmp_path / "own.npz", train, test)
        found = run(stage, tmp_path / "run", path, attack, **changed)
        return found, pd.read_csv(tmp_path / "run" / "rounds.csv")

    return ran


CASES = {
    "a class of one sample at a benign client": {"train": RARE, "ratio": 0.25},
    "a share of nothing": {"train": EVEN, "attack": FLIP | {"poison_fraction": 0.0}},
    "few samples": {"train": RARE, "max_samples": 6},
    "unlike clients": {
        "train": EVEN,
        "partition": {"use": "dirichlet", "alpha": 0.05, "min_samples": 1},
        "ratio": 0.25,
        "attack": FLIP | {"source": 2},
    },
}


@pytest.mark.parametrize("defense", [FEDAVG, DETECTED, KRUM])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_where_nothing_is_poisoned_nothing_of_an_attack_is_measured(ran, capsys, case, defense):
    found, rounds = ran(**case, defense=defense)
    assert found["no_attack"] == 1
    assert "partial_attack" not in found
    unmeasured = {"asr", "asr.flip", "asr_excess", "asr_excess.flip", "detection.recall"}
    assert {name for name in unmeasured if found[name] is not None} == set()
    assert found["detection.f1"] is None
    assert found.get("screening.recall") is None
    assert rounds["asr"].isna().all()
    assert found["accuracy"] is not None
    [said] = [
        text for text in capsys.readouterr().out.splitlines() if "nothing is poisoned" in text
    ]
    assert said.startswith(f"{SIGN}")
    assert "no malicious client holds a sample" in said


def test_a_usual_scenario_has_no_word_of_what_keeps_it_from_being_one(ran, capsys):
    found, _ = ran(EVEN)
    assert found["asr"] is not None
    assert not {"no_attack", "partial_attack", "unprobed"} & set(found)
    assert SIGN not in capsys.readouterr().out


def test_a_control_without_malicious_clients_is_measured(ran):
    found, _ = ran(EVEN, ratio=0.0)
    assert found["asr"] is not None
    assert "no_attack" not in found


SORTED = """
import numpy as np

EXAMPLE = {}

def assign(labels, *, rng, n_clients):
    return np.arange(len(labels)) * n_clients // len(labels)
"""


def test_malicious_clients_that_poison_nothing_count_as_honest(ran, plugin, tmp_path, capsys):
    plugin("partitions", "sorted", SORTED)
    bad, idle = stream(1, "malicious").permutation(4)[:2]
    labels = np.tile([1, 2], 12)
    labels[6 * bad] = 0  # the only sample of the class that is flipped
    found, _ = ran(labels, defense=DETECTED, partition={"use": "sorted"})
    assert found["partial_attack"] == 1
    assert f"malicious clients that poison nothing: {idle};" in capsys.readouterr().out
    log = pd.read_csv(tmp_path / "run" / "clients_log.csv")
    last = log[log["round"] == log["round"].max()].set_index("client")["benign"]
    assert found["screening.recall"] == float(not last[bad])
    assert found["screening.false_positive_rate"] == (~last.drop(bad)).mean()


def test_without_a_test_image_that_could_show_it_success_is_not_measured(ran, capsys):
    found, _ = ran(EVEN, test=[1, 2, 1, 2])
    assert (found["asr"], found["asr_floor"], found["unprobed"]) == (None, None, 1)
    assert "no_attack" not in found
    assert "no test image can show whether flip succeeds" in capsys.readouterr().out


def test_a_kind_of_poison_that_was_never_planted_has_no_success(ran):
    hybrid = {"use": "hybrid", "source": 0, "target": 1, "backdoor_target": 2}
    found, _ = ran(EVEN, attack=hybrid | {"flip_fraction": 0.0})
    assert found["asr.flip"] is None
    assert found["asr"] == found["asr.backdoor"] is not None
    assert found["partial_attack"] == 1


def test_attackers_that_no_round_draws_attack_nothing(ran):
    # one client a round: in one round the only malicious of eight is not drawn
    found, _ = ran(EVEN, n_clients=8, ratio=0.125, cohort=1, rounds=1)
    assert found["no_attack"] == 1
    assert found["asr"] is None


def test_a_clean_model_that_fails_by_itself_is_marked(ran, tmp_path):
    found, _ = ran(EVEN, local={"epochs": 1, "batch_size": 8, "lr": 0.0})
    assert found["clean_fails"] == 1


def table_of(*rows):
    """Summary of (defense, metric, values)."""
    place = dict(zip(LABELS[:4], ("t", "p", "flip", 0.25), strict=True))
    return summarize(
        pd.DataFrame(
            [
                place | {"defense": defense, "seed": seed, "metric": metric, "value": value}
                for defense, metric, values in rows
                for seed, value in enumerate(values)
            ]
        )
    )


NONE = table_of(
    ("none", "accuracy", [0.9, 0.9]),
    ("none", "asr", [np.nan, np.nan]),
    ("none", "asr_floor", [0.1, 0.1]),
    ("none", "no_attack", [1.0, 1.0]),
    ("krum", "accuracy", [0.9, 0.9]),
    ("krum", "asr", [0.5, np.nan]),
    ("krum", "no_attack", [1.0]),
    ("fdsd", "accuracy", [0.9, 0.9]),
    ("fdsd", "asr", [0.5, 0.5]),
)
WHY = "no attack took place in some run"


def test_every_form_of_the_table_marks_what_was_not_measured_and_says_why():
    table, note = tables.paper_table(NONE, []), tables.paper_note(NONE)
    cells = table.xs("ASR %", axis=1, level="measure").iloc[:, 0].droplevel("ratio")
    assert cells.to_dict() == {
        "none": f"{UNDEFINED}∅",
        "krum": "50.0∅",
        "fdsd": "50.0 (50.0 to 50.0)",
    }
    markdown, html = (r(table, note) for r in (rendering.to_markdown, rendering.to_html))
    for text in (markdown, html):
        assert f"{UNDEFINED}∅" in text
        assert f"∅: {WHY}" in text
    latex = rendering.to_latex(table, note)
    assert r"--$\emptyset$" in latex
    assert "∅" not in latex
    terminal = rendering.headline(NONE, [])
    assert [line.split() for line in terminal if line.startswith("none")] == [
        ["none", "90.0∅/", f"{UNDEFINED}∅"]
    ]
    assert any(line.startswith(f"∅: {WHY}") for line in terminal)
    [row] = [row for row in overview.results(NONE, [], {})["rows"] if row["defense"] == "none"]
    assert (UNDEFINED, "∅") in [(cell.text, cell.mark) for cell in row["cells"]]
    [glance] = overview.headline(NONE, [], {})
    assert [(cell.text, cell.mark) for cell in glance["rows"]["none"]] == [
        ("90.0", "∅"),
        (UNDEFINED, "∅"),
    ]


def test_legends_name_marks_where_they_are_used_alone():
    usual = NONE[NONE["defense"] == "fdsd"]
    text = rendering.to_markdown(tables.paper_table(usual, []), tables.paper_note(usual))
    assert "∅" not in text + "".join(rendering.headline(usual, []))


def test_a_mark_that_concerns_attack_success_alone_stands_there_alone():
    summary = table_of(
        ("none", "accuracy", [0.9]), ("none", "asr", [np.nan]), ("none", "unprobed", [1.0]),
        ("krum", "accuracy", [0.9]), ("krum", "asr", [0.5]),
    )  # fmt: skip
    table = tables.paper_table(summary, [])
    assert table.loc[("25 %", "none")].tolist() == ["90.0", f"{UNDEFINED}#"]


def test_screenings_with_nobody_to_find_are_marked():
    place = {"task": "t", "partition": "p", "attack": "flip", "trained": "none", "detection": "d"}
    rows = [
        place | {"ratio": ratio, "seed": seed, "after_round": 1, "part": "flags"} | scored
        for ratio, malicious in ((0.25, []), (0.5, [1]))
        for seed in (1, 2)
        for scored in clients.scores(
            {"benign": np.array([True, False])}, np.array(malicious, np.int64)
        )
    ]
    frame = pd.DataFrame(rows).astype({"value": float})
    assert clients.table(frame, []).to_numpy().tolist() == [[f"{UNDEFINED}∅", "1.000 (1.00)"]]
    assert "∅: in some run no malicious client poisoned anything" in clients.note(frame)
    assert "∅" not in clients.note(frame[frame["ratio"] == 0.5])


def test_classes_that_the_data_lack_are_named_before_anything_runs(ran, capsys):
    ran(RARE, max_samples=6, test=[1, 2])
    said = [text for text in capsys.readouterr().out.splitlines() if " image of " in text]
    assert [text.split("data.npz: ")[1] for text in said] == [
        "no training image of 1 of 3 classes ('0'); an attack on one cannot work",
        "no test image of 1 of 3 classes ('0'); an attack on one cannot work",
    ]


def test_what_answering_the_more_frequent_to_every_label_scores_is_told_where_it_is_more(ran):
    rows = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1], [0, 0, 0]] * 6)
    found, _ = ran(rows, test=rows)
    assert found["accuracy_trivial"] == pytest.approx(7 / 12)
    assert found["accuracy_majority"] == pytest.approx(9 / 12)
