import numpy as np
import pandas as pd
import pytest

from fedsieve import claims

HEAD = {"paper": "P", "where": "Table I", "says": "something"}


def summary(*cells):
    """Means by (attack, ratio, defense, metric), over 3 seeds, interval of 2 points each way."""
    rows = []
    for attack, ratio, defense, metric, mean in cells:
        labels = {"attack": attack, "ratio": ratio, "defense": defense, "metric": metric}
        rows.append(labels | {"n": 3, "mean": mean, "low": mean - 0.02, "high": mean + 0.02})
    return pd.DataFrame(rows)


def verdict(kind, rule, table):
    (row,) = claims.ledger("c", HEAD | {kind: rule}, table)
    return row["verdict"], row["here"]


@pytest.mark.parametrize(
    ("accuracy", "asr", "wanted"),
    [
        (0.92, 0.03, "reproduced"),
        (0.95, 0.03, "direction only"),
        (0.95, 0.30, "not reproduced"),
        (0.94, 0.03, "reproduced"),  # just inside
    ],
)
def test_a_published_cell_is_reproduced_if_both_of_its_numbers_are_near(accuracy, asr, wanted):
    table = summary(("a", 0.25, "fdsd", "accuracy", accuracy), ("a", 0.25, "fdsd", "asr", asr))
    rule = {"ratio": 0.25, "cells": {"a": {"fdsd": [92.43, 2.32]}}}
    (row,) = claims.ledger("c", HEAD | {"published": rule}, table)
    assert row["verdict"] == wanted
    assert row["says"] == "a, 25 %, fdsd: 92.43 / 2.32"
    assert row["here"] == f"{100 * accuracy:.2f} ± 2.00 / {100 * asr:.2f} ± 2.00"
    assert row["n"] == "3"


def test_within_a_point_of_the_mean_is_near_whatever_the_interval():
    table = summary(("a", 0.5, "d", "accuracy", 0.9), ("a", 0.5, "d", "asr", 0.1))
    table[["low", "high"]] = np.nan  # one seed
    rule = {"ratio": 0.5, "cells": {"a": {"d": [90.9, 10.9]}}}
    assert verdict("published", rule, table)[0] == "reproduced"
    rule = {"ratio": 0.5, "cells": {"a": {"d": [91.1, 11.1]}}}
    assert verdict("published", rule, table) == ("not reproduced", "90.00 / 10.00")


@pytest.mark.parametrize(
    ("wins", "wanted"), [(3, "reproduced"), (2, "direction only"), (1, "not reproduced")]
)
def test_a_defense_beats_the_others_if_it_is_better_than_all_in_as_many_cells(wins, wanted):
    cells = []
    for i, attack in enumerate("abc"):
        cells += [
            (attack, 0.25, "mine", "asr", 0.1 if i < wins else 0.3),
            (attack, 0.25, "one", "asr", 0.2),
            (attack, 0.25, "two", "asr", 0.9),
        ]
    rule = {"metric": "asr", "higher": False, "defense": "mine", "others": ["one", "two"]}
    rule |= {"attack": ["a", "b", "c"], "ratio": [0.25], "cells": 3}
    assert verdict("beats", rule, summary(*cells)) == (wanted, f"in {wins} of 3")


def test_a_draw_is_no_win():
    table = summary(("a", 0.5, "x", "accuracy", 0.9), ("a", 0.5, "y", "accuracy", 0.9))
    rule = {"metric": "accuracy", "higher": True, "defense": "x", "others": ["y"], "cells": 1}
    assert verdict("beats", rule | {"attack": ["a"], "ratio": [0.5]}, table)[1] == "in 0 of 1"


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([0.99, 0.98], "reproduced"),
        ([0.99, 0.95], "direction only"),
        ([0.97, 0.95], "not reproduced"),
    ],
)
def test_a_bound_is_met_by_every_cell_or_by_their_mean_or_not(values, wanted):
    table = summary(*(("a", r, "d", "f1", v) for r, v in zip((0.2, 0.4), values, strict=True)))
    rule = {"metric": "f1", "higher": True, "defense": "d", "bound": 0.97}
    found, here = verdict("reaches", rule | {"attack": ["a"], "ratio": [0.2, 0.4]}, table)
    assert found == wanted
    low, high, mean = (100 * v for v in (min(values), max(values), np.mean(values)))
    assert here == f"{low:.1f} to {high:.1f}, mean {mean:.1f}"


@pytest.mark.parametrize(
    ("gains", "wanted"),
    [
        ([0.2, 0.2], "reproduced"),
        ([0.1, 0.1], "direction only"),
        ([0.1, -0.05], "not reproduced"),
        ([-0.1, -0.1], "not reproduced"),
    ],
)
def test_a_margin_is_reached_or_has_the_same_sign_in_most_cells_or_not(gains, wanted):
    cells = []
    for ratio, gain in zip((0.2, 0.4), gains, strict=True):
        cells += [("a", ratio, "x", "acc", 0.5 + gain), ("a", ratio, "none", "acc", 0.5)]
    rule = {"metric": "acc", "defense": "x", "other": "none", "by": 0.2}
    rule |= {"attack": ["a"], "ratio": [0.2, 0.4]}
    assert verdict("exceeds", rule, summary(*cells))[0] == wanted


UNATTACKED = summary(("unattacked", 0, "none", "accuracy", 0.9))


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("published", {"ratio": 0.25, "cells": {"a": {"fdsd": [92.43, 2.32]}}}),
        ("beats", {"others": ["krum"], "cells": 1, "higher": True}),
        ("reaches", {"bound": 0.9, "higher": True}),
        ("exceeds", {"other": "none", "by": 0.1}),
    ],
)
def test_a_claim_of_which_no_cell_was_run_is_not_tested(kind, rule):
    about = {"metric": "accuracy", "attack": ["a"], "ratio": [0.25], "defense": "fdsd"}
    (row,) = claims.ledger("c", HEAD | {kind: about | rule}, UNATTACKED)
    assert row["verdict"] == "not testable here"
    assert row["why"] == "None of its cells was run."


def test_a_claim_of_which_some_cells_were_run_says_how_many():
    table = summary(("a", 0.1, "fdsd", "accuracy", 0.9), ("a", 0.2, "krum", "accuracy", 0.1))
    rule = {"metric": "accuracy", "attack": ["a", "b"], "ratio": [0.1, 0.2], "defense": "fdsd"}
    _, here = verdict("reaches", rule | {"bound": 0.5, "higher": True}, table)
    assert here == "90.0 to 90.0, mean 90.0, 1 of 4 cells"


def test_what_cannot_be_tested_says_why():
    (row,) = claims.ledger("c", HEAD | {"untested": "no such data"}, summary())
    assert (row["verdict"], row["why"]) == ("not testable here", "no such data")


def test_every_rule_is_stated_in_words():
    for text in claims.RULES.values():
        assert text.startswith("reproduced if ")
        assert "direction only if " in text


def test_the_ledger_has_every_claim_with_the_rules_in_words(stage, tmp_path):
    table = summary(("a", 0.25, "fdsd", "accuracy", 0.92), ("a", 0.25, "fdsd", "asr", 0.03))
    table.to_csv(tmp_path / "one.csv", index=False)
    published = {"ratio": 0.25, "cells": {"a": {"fdsd": [92.43, 2.32]}}}
    reaches = {"metric": "asr", "higher": False, "attack": ["a"], "ratio": [0.25]}
    reaches |= {"defense": "fdsd", "bound": 0.01}
    given = {
        "table": HEAD | {"grid": "one", "published": published},
        "bound": HEAD | {"grid": "one", "reaches": reaches, "why": "because"},
        "else": HEAD | {"grid": "one", "untested": "no such data"},
    }
    made = {kind: tmp_path / f"claims.{kind}" for kind in ("csv", "md", "html")}
    stage("ledger")(claims=given, tables=f"{tmp_path}/{{grid}}.csv", **made)
    rows = pd.read_csv(made["csv"])
    assert rows["verdict"].tolist() == ["reproduced", "not reproduced", "not testable here"]
    assert rows["claim"].tolist() == ["table", "bound", "else"]
    text = made["md"].read_text()
    assert "| P       | Table I" in text
    assert "because" in text
    for kind in ("published", "reaches"):
        assert claims.RULES[kind] in text
    assert claims.RULES["beats"] not in text
    assert "no such data" in made["html"].read_text()
