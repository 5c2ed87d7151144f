"""What each rule says of runs that are made up here; docs/verdicts.md states the rules."""

import itertools

import numpy as np
import pandas as pd
import pytest

from fedsieve import claims, verdicts
from fedsieve.claim_settings import KINDS
from fedsieve.errors import InputError
from fedsieve.stages.ledger import to_markdown, to_show

HEAD = {"paper": "P", "where": "Table I", "says": "something", "grid": "one"}
MARGINS = {"accuracy": 0.02, "asr": 0.05, "f1": 0.05}
NOISE = np.array([-0.002, 0.001, 0.0, 0.002, -0.001, 0.001, -0.001, 0.0, 0.002, -0.002])
"""Ten deviations of a mean, which sum to nothing; the first five do as well."""


def around(mean, n=5):
    return mean + NOISE[:n]


def table(*cells, task="t", partition="p"):
    """Values of (attack, ratio, defense, metric, one value per seed from 1 on)."""
    rows = []
    for attack, ratio, defense, metric, values in cells:
        labels = {"task": task, "partition": partition, "attack": attack, "ratio": ratio}
        labels |= {"defense": defense, "metric": metric}
        rows += [labels | {"seed": s, "value": v} for s, v in enumerate(values, start=1)]
    return pd.DataFrame(rows)


def judge(kind, rule, *cells, **claim):
    (row,) = claims.ledger("c", HEAD | {kind: rule} | claim, {"one": table(*cells)}, MARGINS)
    return row


def published(accuracy, asr):
    """The row of a cell of which a paper says 92.43 / 2.32."""
    rule = {"ratio": 0.25, "cells": {"a": {"fdsd": [92.43, 2.32]}}}
    cells = [("a", 0.25, "fdsd", m, v) for m, v in (("accuracy", accuracy), ("asr", asr))]
    return judge("published", rule, *cells)


@pytest.mark.parametrize(
    ("accuracy", "asr", "wanted"),
    [
        (0.93, 0.03, "reproduced"),
        (0.91, 0.00, "reproduced"),  # no rate lies below 0: the band of 2.32 is -2.68 to 7.32
        (0.93, 0.30, "not reproduced"),
        (0.96, 0.03, "not reproduced"),
        (0.944, 0.03, "inconclusive"),  # the band of 92.43 ends at 94.43
    ],
)
def test_a_published_cell_is_reproduced_if_both_numbers_lie_within_the_margin(
    accuracy, asr, wanted
):
    row = published(around(accuracy), np.abs(around(asr)))
    assert row["verdict"] == wanted
    assert row["says"] == "a, 25 %, fdsd: 92.43 / 2.32"
    assert row["n"] == "5"


def test_the_mean_stands_with_the_least_and_the_greatest_of_the_runs():
    assert published(around(0.93), around(0.03))["here"] == "93.0 (92.8 to 93.2) / 3.0 (2.8 to 3.2)"


def test_a_wide_interval_is_no_success():
    row = published(np.array([0.87, 0.98, 0.88, 0.97, 0.92]), around(0.03))
    assert row["verdict"] == "inconclusive"
    assert int(row["seeds"]) > 5


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_fewer_than_five_seeds_are_inconclusive_whatever_they_say(n):
    row = published(np.full(n, 0.9243), np.full(n, 0.0232))
    assert (row["verdict"], row["seeds"]) == ("inconclusive", "5")


def test_three_runs_about_anything_show_nothing_and_the_same_three_twice_no_more():
    accuracy, asr = [0.55, 0.775, 0.99], [0.001, 0.02, 0.95]
    assert published(accuracy, asr)["verdict"] == "inconclusive"
    assert published(accuracy * 2, asr * 2)["verdict"] == "inconclusive"


def test_equal_runs_leave_no_doubt():
    assert published(np.full(5, 0.9243), np.full(5, 0.0))["verdict"] == "reproduced"
    assert published(np.full(5, 1.0), np.full(5, 1.0))["verdict"] == "not reproduced"


@pytest.mark.parametrize(
    ("stopped", "through", "wanted"),
    [
        (9, 1, "reproduced"),
        (8, 2, "inconclusive"),
        (1, 9, "not reproduced"),
        (4, 5, "inconclusive"),
    ],
)
def test_of_a_bimodal_rate_runs_are_counted_and_it_takes_ten(stopped, through, wanted):
    n = stopped + through
    row = published(np.full(n, 0.92), np.repeat([0.01, 0.95], [stopped, through]))
    assert row["verdict"] == wanted
    assert row["here"].endswith(f"{stopped} of {n} runs as said (1.0 to 95.0)")


def test_the_same_runs_twice_move_no_verdict():
    cells = [("a", 0.25, "fdsd", m, around(v)) for m, v in (("accuracy", 0.944), ("asr", 0.03))]
    rule = {"ratio": 0.25, "cells": {"a": {"fdsd": [92.43, 2.32]}}}
    claim = HEAD | {"published": rule, "grid": ["one", "two"]}
    (row,) = claims.ledger("c", claim, {"one": table(*cells), "two": table(*cells)}, MARGINS)
    assert (row["n"], row["verdict"]) == ("5", "inconclusive")


def test_a_run_with_two_values_is_refused():
    rule = {"metric": "accuracy", "higher": True, "attack": ["a"], "ratio": [0.5], "bound": 0.5}
    claim = HEAD | {"reaches": rule | {"defense": "d"}, "grid": ["one", "two"]}
    values = {g: table(("a", 0.5, "d", "accuracy", [v])) for g, v in (("one", 0.5), ("two", 0.6))}
    with pytest.raises(InputError, match=r"claims\.c: .* two values of one run"):
        claims.ledger("c", claim, values, MARGINS)


def test_a_number_may_be_of_one_metric_alone():
    rule = {"ratio": 0, "metrics": ["accuracy"], "cells": {"unattacked": {"none": [91.87]}}}
    row = judge("published", rule, ("unattacked", 0.0, "none", "accuracy", around(0.862)))
    assert (row["verdict"], row["here"]) == ("not reproduced", "86.2 (86.0 to 86.4)")


ORDER = {"metric": "accuracy", "higher": True, "defense": "x", "others": ["y", "z"]}
ORDER |= {"attack": ["a", "b", "c"], "ratio": [0.25]}


def order(leads, *, cells=3, n=5, rule=ORDER):
    """Row of a claim on x, which is ahead of y by so much under each attack, and far from z."""
    found = []
    for attack, lead in zip("abc", leads, strict=False):
        for defense, mean in (("x", 0.7 + lead), ("y", 0.7), ("z", 0.4)):
            shift = NOISE[:n] if defense == "x" else 0
            found.append((attack, 0.25, defense, "accuracy", np.full(n, mean) + shift))
    return judge("beats", rule | {"cells": cells}, *found)


@pytest.mark.parametrize(
    ("leads", "n", "wanted"),
    [
        ((0.05, 0.05, 0.05), 5, "reproduced"),
        ((0.05, 0.05, 0.01), 5, "inconclusive"),
        ((0.05, 0.05, 0.01), 10, "not reproduced"),  # no win by two points under c
        ((-0.05, -0.05, -0.05), 5, "contradicted"),  # the mean over cells, 1/32
        ((0.05, 0.05, -0.05), 10, "contradicted"),  # Holm: six pairs, 6/1024
        ((0.05, 0.05, 0.05), 4, "inconclusive"),
        ((0.015, 0.015, 0.015), 10, "not reproduced"),  # a win by less than the margin
    ],
)
def test_an_order_in_all_cells(leads, n, wanted):
    assert order(leads, n=n)["verdict"] == wanted


@pytest.mark.parametrize(
    ("leads", "n", "wanted"),
    [
        ((0.05, 0.05, -0.05), 10, "reproduced"),  # Holm's second step: 2/1024
        ((0.05, 0.05, -0.05), 5, "inconclusive"),  # 3/32, not below .05
        ((0.05, -0.05, -0.05), 10, "contradicted"),
    ],
)
def test_an_order_in_some_cells_is_adjusted_for_choosing_among_them(leads, n, wanted):
    assert order(leads, cells=2, n=n)["verdict"] == wanted


def test_a_draw_is_no_win():
    row = order((0, 0, 0), n=10)
    assert row["verdict"] == "not reproduced"
    assert row["here"].startswith("wins 0 of 3")


def test_an_order_is_paired_by_seed():
    """What a seed does to both cancels out, however much it is; who lacks a seed lends none."""
    level = np.array([0.5, 0.55, 0.6, 0.65, 0.69])
    cells = [("a", 0.25, "x", "accuracy", level + 0.03), ("a", 0.25, "y", "accuracy", level)]
    cells += [("a", 0.25, "z", "accuracy", [*(level - 0.1), 0.99])]
    row = judge("beats", ORDER | {"attack": ["a"], "cells": 1}, *cells)
    assert (row["verdict"], row["n"]) == ("reproduced", "5")


FLOOR = {"metric": "asr", "higher": False, "attack": ["a"], "ratio": [0.5], "cells": 1}
FLOOR |= {"defense": "x", "others": ["y"]}


@pytest.mark.parametrize(
    ("own", "other", "floor", "contest"),
    [
        (0.001, 0.002, 0.001, False),  # at the floor
        (0.03, 0.05, 0.001, False),  # within five points of each other
        (0.01, 0.2, 0.001, True),
        (0.15, 0.21, 0.17, False),  # both within five points of a floor of 17
    ],
)
def test_where_nothing_can_be_won_there_is_no_contest(own, other, floor, contest):
    cells = [("a", 0.5, d, "asr", around(v, 10)) for d, v in (("x", own), ("y", other))]
    cells += [("a", 0.5, d, "asr_floor", around(floor, 10)) for d in "xy"]
    row = judge("beats", FLOOR, *cells)
    assert row["verdict"] == ("reproduced" if contest else "inconclusive")
    assert ("no contest in 1" in row["here"]) is not contest


def test_bimodal_wins_are_counted():
    """x is ahead by 3 points, or far behind: in nine of ten runs that is a win, in eight not."""
    for wins, wanted in ((9, "reproduced"), (8, "inconclusive")):
        own = np.repeat([0.73, 0.2], [wins, 10 - wins])
        cells = [("a", 0.5, "x", "accuracy", own), ("a", 0.5, "y", "accuracy", np.full(10, 0.7))]
        rule = ORDER | {"attack": ["a"], "ratio": [0.5], "others": ["y"], "cells": 1}
        assert judge("beats", rule, *cells)["verdict"] == wanted


BOUND = {"metric": "f1", "higher": True, "defense": "d", "bound": 0.9}
BOUND |= {"attack": ["a"], "ratio": [0.2, 0.4]}


def bound(first, second, n=5, **rule):
    values = zip((0.2, 0.4), (first, second), strict=True)
    return judge("reaches", BOUND | rule, *(("a", r, "d", "f1", around(v, n)) for r, v in values))


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        (0.95, 0.92, "reproduced"),
        (0.95, 0.9, "inconclusive"),
        (0.95, 0.88, "not reproduced"),  # within five points
        (0.95, 0.8, "contradicted"),
    ],
)
def test_a_bound_holds_in_every_cell_or_a_violation_ends_it(first, second, wanted):
    assert bound(first, second)["verdict"] == wanted


def test_a_bound_may_be_the_most():
    assert bound(0.02, 0.03, higher=False, bound=0.1)["verdict"] == "reproduced"
    row = bound(0.02, 0.3, higher=False, bound=0.1)
    assert (row["verdict"], row["here"]) == ("contradicted", "1.8 to 30.2; 5 of 10 runs meet it")


def test_a_bound_that_is_met_exactly_is_met():
    rule = BOUND | {"bound": 1.0, "ratio": [0.2]}
    assert judge("reaches", rule, ("a", 0.2, "d", "f1", np.ones(5)))["verdict"] == "reproduced"


def test_violations_count_though_cells_are_missing_and_success_does_not():
    rule = BOUND | {"attack": ["a", "b"]}
    row = judge("reaches", rule, ("a", 0.2, "d", "f1", around(0.95)))
    assert row["verdict"] == "inconclusive"
    assert row["here"].endswith("1 of 4 cells")
    low = judge("reaches", rule, ("a", 0.2, "d", "f1", around(0.5)))
    assert low["verdict"] == "contradicted"


SIZE = {"metric": "accuracy", "defense": "x", "other": "none", "by": 0.2}
SIZE |= {"attack": ["a"], "ratio": [0.2, 0.4]}


def size(gains, n=5, by=0.2):
    cells = []
    for ratio, gain in zip((0.2, 0.4), gains, strict=True):
        cells += [("a", ratio, "x", "accuracy", around(0.5 + gain, n))]
        cells += [("a", ratio, "none", "accuracy", np.full(n, 0.5))]
    return judge("exceeds", SIZE | {"by": by}, *cells)


@pytest.mark.parametrize(
    ("gains", "by", "wanted"),
    [
        ((0.2, 0.2), 0.2, "reproduced"),
        ((0.3, 0.1), 0.2, "reproduced"),  # on average
        ((0.1, 0.1), 0.2, "direction only"),
        ((0.0, 0.0), 0.2, "not reproduced"),
        ((-0.1, -0.1), 0.2, "contradicted"),
        ((0.18, 0.18), 0.2, "inconclusive"),  # on the edge: the margin is two points
        ((-0.2, -0.2), -0.2, "reproduced"),
        ((0.1, 0.1), -0.2, "contradicted"),
    ],
)
def test_a_size_is_reached_or_its_sign_alone_or_the_other_sign(gains, by, wanted):
    assert size(gains, by=by)["verdict"] == wanted


def test_a_mean_over_cells_has_one_value_of_each_seed():
    """Cells of a seed are no further runs: two cells of four seeds are four."""
    assert size((0.2, 0.2), n=4)["verdict"] == "inconclusive"
    assert size((0.2, 0.2), n=5)["n"] == "5"


def near(gap, n=5, **rule):
    about = {"metric": "accuracy", "defense": "x", "other": "none", "attack": ["a"], "ratio": [0.2]}
    cells = [("a", 0.2, "x", "accuracy", around(0.8 + gap, n))]
    return judge("near", about | rule, *cells, ("a", 0.2, "none", "accuracy", np.full(n, 0.8)))


@pytest.mark.parametrize(
    ("gap", "rule", "wanted"),
    [
        (0.01, {}, "reproduced"),
        (-0.01, {}, "reproduced"),
        (0.05, {}, "contradicted"),
        (0.05, {"higher": True}, "reproduced"),  # better is no fault
        (-0.05, {"higher": True}, "contradicted"),
        (-0.05, {"higher": False}, "reproduced"),
        (0.05, {"higher": False}, "contradicted"),
        (0.02, {}, "inconclusive"),
    ],
)
def test_as_good_as_another_means_within_the_margin(gap, rule, wanted):
    assert near(gap, **rule)["verdict"] == wanted


def test_four_seeds_are_not_enough_for_as_good_as_another():
    assert near(0.0, n=4)["verdict"] == "inconclusive"


def test_the_other_may_be_the_same_defense_at_another_ratio():
    cells = [("a", r, "x", "accuracy", around(v)) for r, v in ((0.2, 0.9), (0.4, 0.8))]
    rule = {"metric": "accuracy", "defense": "x", "other": "x", "attack": ["a"], "ratio": [0.4]}
    rule |= {"other_ratio": 0.2}
    assert judge("near", rule, *cells)["verdict"] == "contradicted"
    assert judge("exceeds", rule | {"by": -0.1}, *cells)["verdict"] == "reproduced"


ABOUT = {"metric": "accuracy", "attack": ["a"], "ratio": [0.25], "defense": "fdsd"}
RULED = {
    "published": {"ratio": 0.25, "cells": {"a": {"fdsd": [92.43, 2.32]}}},
    "beats": ABOUT | {"others": ["krum"], "cells": 1, "higher": True},
    "reaches": ABOUT | {"bound": 0.9, "higher": True},
    "exceeds": ABOUT | {"other": "none", "by": 0.1},
    "near": ABOUT | {"other": "none"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_claim_of_which_no_cell_was_run_is_not_tested(kind):
    row = judge(kind, RULED[kind], ("unattacked", 0.0, "none", "accuracy", [0.9]))
    assert row["verdict"] == "not tested"
    assert row["why"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_claim_about_a_grid_that_was_not_run_says_which(kind):
    (row,) = claims.ledger("c", HEAD | {kind: RULED[kind]}, {}, MARGINS)
    assert (row["verdict"], row["why"]) == ("not tested", "Not run: one.")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_undefined_counts_as_not_run(kind):
    labels = itertools.product(("fdsd", "krum", "none"), ("accuracy", "asr"))
    cells = [("a", 0.25, defense, metric, [np.nan] * 5) for defense, metric in labels]
    assert judge(kind, RULED[kind], *cells)["verdict"] == "not tested"


def test_what_cannot_be_tested_says_why():
    (row,) = claims.ledger("c", HEAD | {"untested": "no such data"}, {}, MARGINS)
    assert (row["verdict"], row["why"]) == ("not tested", "no such data")


def test_each_reading_has_a_row_and_the_default_names_the_best_and_how_many_were_run():
    readings = {
        "all": {"quote": "silent"},
        "half": {"quote": "a small part", "attack": {"a": "half"}},
        "late": {"quote": "silent", "defense": {"fdsd": "late"}},
    }
    claim = HEAD | {"reaches": RULED["reaches"], "readings": readings}
    cells = [("a", 0.25, "fdsd", "accuracy", around(0.5))]
    cells += [("half", 0.25, "fdsd", "accuracy", around(0.95))]
    rows = claims.ledger("c", claim, {"one": table(*cells)}, MARGINS)
    columns = ("reading", "default", "supported", "verdict", "best", "readings")
    assert [tuple(row[c] for c in columns) for row in rows] == [
        ("all", "yes", "silent", "contradicted", "reproduced", "2 of 3 run"),
        ("half", "", "a small part", "reproduced", "", "2 of 3 run"),
        ("late", "", "silent", "not tested", "", "2 of 3 run"),
    ]


def test_a_reading_may_have_another_ratio():
    readings = {"quarter": {"quote": "silent"}, "eighth": {"quote": "silent"}}
    readings["eighth"]["ratio"] = {"0.25": 0.125}
    claim = HEAD | {"reaches": RULED["reaches"], "readings": readings}
    cells = [("a", r, "fdsd", "accuracy", around(v)) for r, v in ((0.25, 0.5), (0.125, 0.95))]
    rows = claims.ledger("c", claim, {"one": table(*cells)}, MARGINS)
    assert [row["verdict"] for row in rows] == ["contradicted", "reproduced"]


def test_values_of_another_task_never_mix():
    readings = {"short": {"quote": "silent"}, "long": {"quote": "R = 200", "task": {"t": "u"}}}
    claim = HEAD | {"task": "t", "reaches": RULED["reaches"], "readings": readings}
    cell = ("a", 0.25, "fdsd", "accuracy")
    both = [table((*cell, around(0.5)), task="t"), table((*cell, around(0.95)), task="u")]
    rows = claims.ledger("c", claim, {"one": pd.concat(both)}, MARGINS)
    assert [row["verdict"] for row in rows] == ["contradicted", "reproduced"]
    del claim["task"], claim["readings"]
    with pytest.raises(InputError, match="several values of task, t, u"):
        claims.ledger("c", claim, {"one": pd.concat(both)}, MARGINS)


def test_a_reading_may_join_grids():
    cells = [("a", 0.25, d, "accuracy", around(v)) for d, v in (("fdsd", 0.9), ("krum", 0.8))]
    values = {"one": table(cells[0]), "two": table(cells[1])}
    readings = {"both": {"quote": "silent", "grid": ["one", "two"]}, "one": {"quote": "silent"}}
    claim = HEAD | {"beats": RULED["beats"], "readings": readings}
    rows = claims.ledger("c", claim, values, MARGINS)
    assert [row["verdict"] for row in rows] == ["reproduced", "not tested"]


def test_how_many_settings_the_paper_gives_stands_in_each_row():
    cell = ("a", 0.25, "fdsd", "accuracy", around(0.9))
    told = {"given": 4, "of": 9, "note": "no rounds"}
    row = judge("reaches", RULED["reaches"], cell, settings=told)
    assert (row["settings"], row["settings_note"]) == ("4 of 9", "no rounds")


def test_a_claim_may_have_margins_of_its_own():
    assert near(0.03)["verdict"] == "contradicted"
    cells = [("a", 0.2, d, "accuracy", around(v)) for d, v in (("x", 0.83), ("none", 0.8))]
    rule = {"metric": "accuracy", "defense": "x", "other": "none", "attack": ["a"], "ratio": [0.2]}
    assert judge("near", rule, *cells, margins={"accuracy": 0.05})["verdict"] == "reproduced"


def test_a_metric_without_a_margin_is_named():
    rule = RULED["reaches"] | {"metric": "auc"}
    with pytest.raises(InputError, match="has none for 'auc'"):
        judge("reaches", rule, ("a", 0.25, "fdsd", "auc", around(0.9)))


def test_every_rule_is_stated_in_words():
    assert set(verdicts.RULES) == set(KINDS)
    for text in verdicts.RULES.values():
        assert text.startswith("reproduced if ")
        assert text.split(" if ")[0] in verdicts.BEST_FIRST


def test_the_ledger_has_every_claim_with_the_rules_in_words(stage, tmp_path):
    cells = [("a", 0.25, "fdsd", m, around(v)) for m, v in (("accuracy", 0.92), ("asr", 0.03))]
    table(*cells).to_csv(tmp_path / "one-values.csv", index=False)
    given = {
        "table": HEAD | {"published": RULED["published"]},
        "bound": HEAD | {"reaches": RULED["reaches"] | {"bound": 0.93}, "why": "because"},
        "else": HEAD | {"untested": "no such data"},
    }
    made = {kind: tmp_path / f"claims.{kind}" for kind in ("csv", "md", "html")}
    stage("ledger")(claims=given, margins=MARGINS, values=[tmp_path / "one-values.csv"], **made)
    rows = pd.read_csv(made["csv"])
    assert rows["verdict"].tolist() == ["reproduced", "not reproduced", "not tested"]
    assert rows["claim"].tolist() == ["table", "bound", "else"]
    text = made["md"].read_text(encoding="utf-8")
    assert "because" in text
    for kind in ("published", "reaches"):
        assert verdicts.RULES[kind] in text
    assert verdicts.RULES["beats"] not in text
    assert "no such data" in made["html"].read_text(encoding="utf-8")


def test_the_default_reading_shows_the_best_and_of_how_many():
    readings = {"all": {"quote": "silent"}, "half": {"quote": "silent", "attack": {"a": "half"}}}
    claim = HEAD | {"reaches": RULED["reaches"], "readings": readings}
    cells = [("a", 0.25, "fdsd", "accuracy", around(0.95))]
    shown, _ = to_show(pd.DataFrame(claims.ledger("c", claim, {"one": table(*cells)}, MARGINS)))
    assert shown["best of the readings"].tolist() == ["reproduced, 1 of 2 run", ""]


def test_a_quote_widens_no_other_row_of_the_ledger():
    claim = HEAD | {"untested": "a | b"}
    text = to_markdown(*to_show(pd.DataFrame(claims.ledger("c", claim, {}, MARGINS))))
    head, rule, row = text.splitlines()[:3]
    assert head.startswith("| paper | where | the paper says | reading | supported by |")
    assert row == "| P | Table I | something |  |  |  |  |  | not tested |  |  | a / b |"
    assert head.count("|") == rule.count("|") == row.count("|")


def test_what_is_shown_starts_with_where_and_what_the_paper_says():
    rows = claims.ledger("c", HEAD | {"untested": "no such data"}, {}, MARGINS)
    shown, _ = to_show(pd.DataFrame(rows))
    assert list(shown.index.names) == ["paper", "where", "the paper says", "reading"]


@pytest.mark.parametrize(
    ("content", "says"),
    [("a,b\n1,2\n", "is no table of values, it lacks attack"), ("a,b\n1", "not whole")],
)
def test_a_file_that_is_no_table_of_values_is_named(stage, tmp_path, content, says):
    path = tmp_path / "one.csv"
    path.write_text(content, encoding="utf-8")
    made = {kind: tmp_path / kind for kind in ("csv", "md", "html")}
    with pytest.raises(InputError, match=f"one.csv: .*{says}"):
        stage("ledger")(claims={}, margins=MARGINS, values=[path], **made)
