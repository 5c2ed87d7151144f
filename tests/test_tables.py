import math
import re
import shutil
import subprocess

import pandas as pd
import pytest
from needed import absent
from pandas.testing import assert_frame_equal

from fedsieve import overview, rendering, tables
from fedsieve.statistics import positions, summarize

ORDER = ["none", "krum", "fdsd", "perfect", "patch", "hybrid", "flip"]


def metrics_of(*rows, task="mnist"):
    """Tidy metrics from (attack, ratio, defense, metric, values), a value per seed."""
    return pd.DataFrame(
        [
            {"task": task, "partition": "iid-10", "attack": attack, "ratio": ratio}
            | {"defense": defense, "seed": seed, "metric": metric, "value": value}
            for attack, ratio, defense, metric, values in rows
            for seed, value in enumerate(values, 1)
        ]
    )


GRID = metrics_of(
    ("unattacked", 0.0, "none", "accuracy", [0.98, 0.98, 0.98]),
    ("unattacked", 0.0, "none", "asr", [math.nan] * 3),
    ("flip", 0.25, "fdsd", "accuracy", [0.90, 0.92, 0.94]),
    ("flip", 0.25, "fdsd", "asr", [0.1, 0.1, 0.1]),
    ("flip", 0.25, "fdsd", "asr.flip", [0.1, 0.1, 0.1]),
    ("flip", 0.25, "fdsd", "asr_floor", [0.01, 0.01, 0.01]),
    ("flip", 0.25, "fdsd", "sanitization.recall", [0.5, 0.5, 0.5]),
    ("flip", 0.25, "fdsd", "sanitization.recall.flip", [0.5, 0.5, 0.5]),
    ("flip", 0.25, "fdsd", "sanitization.vanished", [2, 2, 2]),
    ("flip", 0.125, "none", "accuracy", [0.8, 0.8, 0.8]),
    ("flip", 0.25, "none", "accuracy", [0.8, 0.8, 0.8]),
    ("flip", 0.25, "none", "sanitization.recall", [math.nan] * 3),
    ("patch", 0.25, "perfect", "accuracy", [0.7, 0.7, 0.7]),
    ("hybrid", 0.25, "none", "asr", [0.3, 0.3, 0.3]),
    ("hybrid", 0.25, "none", "asr.backdoor", [0.5, 0.5, 0.5]),
    ("hybrid", 0.25, "none", "asr.flip", [0.1, 0.1, 0.1]),
)
SUMMARY = summarize(GRID)
TABLE = tables.paper_table(SUMMARY, ORDER)
RENDERERS = [rendering.to_markdown, rendering.to_latex, rendering.to_html]


def row(summary, **labels):
    (found,) = summary[(summary[list(labels)] == pd.Series(labels)).all(axis=1)].itertuples()
    return found


def test_three_seeds_have_a_mean_a_least_and_a_greatest_and_no_interval():
    found = row(SUMMARY, defense="fdsd", metric="accuracy")
    assert (found.n, found.mean, found.sd) == (3, pytest.approx(0.92), pytest.approx(0.02))
    assert (found.least, found.greatest) == (0.90, 0.94)
    assert all(map(math.isnan, (found.low, found.high)))


def test_one_seed_has_a_mean_and_no_interval():
    (found,) = summarize(metrics_of(("flip", 0.25, "none", "asr", [0.3]))).itertuples()
    assert (found.n, found.mean) == (1, 0.3)
    assert all(map(math.isnan, (found.low, found.high, found.sd)))


def test_undefined_values_are_not_counted_as_seeds():
    values = [0.2, math.nan, 0.4]
    (found,) = summarize(metrics_of(("flip", 0.25, "none", "asr", values))).itertuples()
    assert (found.n, found.mean) == (2, pytest.approx(0.3))


def test_metric_undefined_for_every_seed_stays_undefined():
    found = row(SUMMARY, attack="unattacked", metric="asr")
    assert found.n == 0
    assert math.isnan(found.mean)


def test_seed_given_twice_is_refused():
    with pytest.raises(ValueError, match="twice"):
        summarize(pd.concat([GRID, GRID.tail(1)]))


def test_cells_of_few_seeds_are_per_cent_from_the_least_to_the_greatest_run():
    assert TABLE.loc[("25 %", "fdsd"), ("flip", "accuracy %")] == "92.0 (90.0 to 94.0)"
    assert TABLE.loc[("25 %", "fdsd"), ("flip", "ASR floor %")] == "1.0 (1.0 to 1.0)"


def test_cells_of_eight_seeds_have_the_interval():
    # symmetric in the logit: computed by hand in test_statistics.py
    rows = ("flip", 0.25, "none", "accuracy", [0.8] * 6 + [0.9] * 2)
    found = tables.paper_table(summarize(metrics_of(rows)), ORDER)
    assert found.to_numpy().tolist() == [["82.5 (78.3 to 86.0)"]]


def test_cell_of_one_seed_is_its_number_alone():
    one = summarize(GRID[GRID["seed"] == 2])
    found = tables.paper_table(one, ORDER)
    assert found.loc[("25 %", "fdsd"), ("flip", "accuracy %")] == "92.0"


def test_a_zero_has_no_sign():
    assert tables.cell(-0.04, -0.04, 0.1) == "0.0 (0.0 to 0.1)"
    assert tables.cell(-0.06) == "-0.1"


def test_undefined_cells_are_dashes():
    assert TABLE.loc[("25 %", "none"), ("flip", "ASR %")] == tables.UNDEFINED
    assert TABLE.loc[("0 %", "none"), ("flip", "ASR %")] == tables.UNDEFINED


def test_rows_go_by_ratio_then_the_given_order():
    expected = ["0 % none", "12.5 % none", "25 % none", "25 % fdsd", "25 % perfect"]
    assert [" ".join(labels) for labels in TABLE.index] == expected


def test_columns_go_by_the_given_order():
    assert list(dict.fromkeys(TABLE.columns.get_level_values("attack"))) == [
        "patch",
        "hybrid",
        "flip",
    ]


def test_labels_without_a_place_come_last_as_they_appear():
    found = positions(["b"], ["z", "b", "a"])
    assert sorted(found, key=found.__getitem__) == ["unattacked", "b", "z", "a"]


SURE = "98.0 (98.0 to 98.0)"


def test_accuracy_without_attack_stands_under_every_attack():
    accuracy = TABLE.loc[("0 %", "none")].xs("accuracy %", level="measure")
    assert accuracy.to_dict() == dict.fromkeys(["patch", "hybrid", "flip"], SURE)


def test_grid_without_any_attack_has_a_column_of_its_own():
    found = tables.paper_table(SUMMARY[SUMMARY["attack"] == "unattacked"], ORDER)
    assert found.columns.tolist() == [("unattacked", "accuracy %")]


def test_only_an_attack_of_several_kinds_shows_a_rate_per_kind():
    assert TABLE["hybrid"].columns.tolist() == [
        "accuracy %",
        "ASR %",
        "ASR flip %",
        "ASR backdoor %",
    ]
    assert TABLE["flip"].columns.tolist() == ["accuracy %", "ASR %", "ASR floor %"]


def test_several_tasks_become_blocks():
    two = summarize(pd.concat([GRID, GRID.assign(task="digits")]))
    found = tables.paper_table(two, ORDER)
    assert found.index.names == ["task", "ratio", "defense"]
    assert list(dict.fromkeys(found.index.get_level_values("task"))) == ["mnist", "digits"]


def test_sanitization_table_holds_rates_of_sanitizing_defenses_only():
    found = tables.sanitization_table(SUMMARY, ORDER)
    assert found.index.tolist() == [("flip", "25 %", "fdsd")]
    assert found.to_numpy().tolist() == [["50.0 (50.0 to 50.0)", "2.0 (2.0 to 2.0)"]]


def test_grid_without_sanitizers_says_so():
    none = SUMMARY[SUMMARY["defense"] == "none"]
    note = tables.sanitization_note(none)
    assert rendering.to_markdown(tables.sanitization_table(none, ORDER), note).startswith(
        "No defense"
    )


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ((1,), "Per cent, 1 seed;"),
        ((3, 5), "least to greatest of 3 to 5 seeds; _: undefined. Fewer than 8 seeds give no"),
        ((8, 8), "mean and 95 % interval over 8 seeds; _: undefined. ASR"),
    ],
)
def test_note_says_what_stands_beside_the_mean_and_of_how_many_seeds(seeds, said):
    rows = [("flip", 0.25, f"d{i}", "accuracy", [0.1] * n) for i, n in enumerate(seeds)]
    assert said.replace("_", tables.UNDEFINED) in tables.paper_note(summarize(metrics_of(*rows)))


@pytest.mark.parametrize("render", RENDERERS)
def test_rendering_shows_every_cell_and_the_note(render):
    text = render(TABLE, "A note.")
    assert all(label in text for label in ("92.0", "fdsd", "hybrid", "A note."))


@pytest.mark.parametrize("render", RENDERERS)
def test_only_oracles_are_marked(render):
    text = render(TABLE, "A note.", {"perfect": "†", "absent": "†"})
    assert re.search(r"perfect (†|\$\^\\dagger\$)", text)
    assert "sees the ground truth" in text
    assert "sees the ground truth" not in render(TABLE, "A note.", {"absent": "†"})


@pytest.mark.parametrize("render", RENDERERS)
def test_rendering_is_the_same_each_time(render):
    assert render(TABLE, "", {"perfect": "†"}) == render(TABLE.copy(), "", {"perfect": "†"})


def test_latex_escapes_specials_and_balances_its_environments():
    table = TABLE.rename(index={"fdsd": "fd_sd"}, level="defense")
    text = rendering.to_latex(table, "5 % of a_b", {"perfect": "†"})
    assert not re.search(r"(?<!\\)[%_]|[±†\N{EN DASH}]", text)
    assert r"fd\_sd" in text
    assert re.findall(r"\\begin\{(\w+)", text) == re.findall(r"\\end\{(\w+)", text)[::-1]


def test_latex_rows_have_as_many_cells_as_columns():
    body = rendering.to_latex(TABLE, "").split("\\midrule\n")[1].split("\\bottomrule")[0]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert [line.count("&") for line in rows] == [TABLE.shape[1] + 1] * len(TABLE)


@pytest.fixture
def pdflatex():
    """LaTeX as the system has it; only outside continuous integration may it miss."""
    if shutil.which("pdflatex") is None:
        absent("pdflatex is not installed")
    return ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape"]


def compiled(pdflatex, body, folder):
    """What LaTeX made of a table, with booktabs alone."""
    document = [r"\documentclass{article}\usepackage{booktabs}", r"\begin{document}", body]
    text = "\n".join([*document, r"\end{document}", ""])
    (folder / "table.tex").write_text(text, encoding="utf-8")
    command = [*pdflatex, "table.tex"]
    return subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8")


@pytest.mark.slow
def test_latex_compiles_with_booktabs_alone(pdflatex, tmp_path):
    marks = {"perfect": "†", "none": "‡", "fdsd": "f = 2 §"}
    outside = TABLE.map(lambda text: text + "".join(rendering.EVENTS))
    body = rendering.to_latex(outside, "5 % of a_b & all #1.", marks)
    assert "n $>$ 2f + 2" in body
    made = compiled(pdflatex, body, tmp_path)
    assert made.returncode == 0, made.stdout
    assert "Missing character" not in made.stdout
    assert "(1 page" in made.stdout


def test_latex_sets_blocks_of_ratio_apart():
    assert rendering.to_latex(TABLE, "").count(r"\addlinespace") == 2


def test_html_escapes_labels():
    table = TABLE.rename(index={"fdsd": "<b>"}, level="defense")
    assert "&lt;b&gt;" in rendering.to_html(table, "")


def test_markdown_keeps_trailing_zeros():
    one = summarize(metrics_of(("unattacked", 0.0, "none", "accuracy", [0.98])))
    one = tables.paper_table(one, ORDER)
    assert "| 98.0 |" in re.sub(" +", " ", rendering.to_markdown(one, ""))


def test_headline_shows_accuracy_and_attack_success():
    (line,) = [line for line in rendering.headline(SUMMARY, ORDER) if line.startswith("fdsd ")]
    assert line.split() == ["fdsd", "92.0/", "10.0"]


def test_headline_fits_the_terminal():
    rows = [
        (attack, ratio, f"defense-{i}", metric, [1.0, 1.0])
        for attack in ("flip-3to2", "patch", "hybrid", "another-attack")
        for ratio in (0.125, 0.25, 0.5, 0.75)
        for i in range(14)
        for metric in ("accuracy", "asr")
    ]
    lines = rendering.headline(summarize(metrics_of(*rows)), [], {"defense-3": "†"})
    assert max(map(len, lines)) <= 100
    assert len(lines) < 40
    assert "more lines" in lines[-2]
    assert lines[-1] == "†: sees the ground truth"


def test_inputs_are_left_as_they_are():
    metrics, summary, table = GRID.copy(), SUMMARY.copy(), TABLE.copy()
    summarize(metrics)
    tables.sanitization_table(summary, ORDER)
    rendering.headline(summary, ORDER, {"perfect": "†"})
    tables.paper_table(summary, ORDER)
    for render in RENDERERS:
        render(table, "", {"perfect": "†"})
    assert_frame_equal(metrics, GRID)
    assert_frame_equal(summary, SUMMARY)
    assert_frame_equal(table, TABLE)


def test_an_assumed_and_a_told_number_of_malicious_clients_are_marked():
    text = rendering.to_markdown(TABLE, "A note.", {"fdsd": "f = 2", "none": "‡"})
    assert "fdsd f = 2" in text
    assert "none ‡" in text
    assert "f: malicious clients in a cohort that the defense assumes" in text
    assert "‡: is told how many" in text


def test_cells_of_a_defense_outside_its_domain_are_marked_and_their_floor_is_not():
    rows = [("flip", 0.5, "krum", "outside_domain", [0.0, 0.5])]
    rows += [("flip", 0.5, "krum", m, [0.5, 0.5]) for m in ("accuracy", "asr", "asr_floor")]
    rows += [("flip", 0.5, "none", "accuracy", [0.5, 0.5])]
    table = tables.paper_table(summarize(metrics_of(*rows)), ORDER)
    ran = "50.0* (50.0 to 50.0)"
    assert table.loc[("50 %", "krum")].tolist() == [ran, ran, "50.0 (50.0 to 50.0)"]
    assert "*" not in table.loc[("50 %", "none"), ("flip", "accuracy %")]
    assert "*: outside the defense's own conditions" in rendering.to_markdown(table, "A note.")


def test_cells_of_a_run_that_diverged_are_marked_beside_other_marks():
    rows = [("flip", 0.5, "krum", m, [0.0, 0.5]) for m in ("outside_domain", "diverged")]
    rows += [("flip", 0.5, "fdsd", "diverged", [0.0, 0.5]), ("flip", 0.5, "none", "diverged", [0])]
    rows += [("flip", 0.5, name, "accuracy", [0.5]) for name in ("krum", "fdsd", "none")]
    summary = summarize(metrics_of(*rows))
    table = tables.paper_table(summary, ORDER)
    found = dict(zip(table.index.get_level_values("defense"), table.iloc[:, 0], strict=True))
    assert found == {"krum": "50.0*!", "fdsd": "50.0!", "none": "50.0"}
    assert "!: training diverged" in rendering.to_markdown(table, "A note.")
    shown = overview.results(summary, ORDER, {})["rows"]
    marks = {row["defense"]: [cell.mark for cell in row["cells"]] for row in shown}
    assert marks == {"krum": ["*!"], "fdsd": ["!"], "none": [""]}


UNFINISHED = {
    "seed": [1, 2, 3, 4],
    "unfinished": [
        ["mnist", "iid-10", "flip", "0.25", "fdsd", 4],
        *(["mnist", "iid-10", "flip", "0.25", "sieve", seed] for seed in (1, 2, 3, 4)),
        *(["mnist", "iid-10", "unattacked", "0", "sieve", seed] for seed in (1, 2, 3, 4)),
    ],
}
"""Of fdsd one run of four is missing, of sieve all."""


@pytest.mark.parametrize("render", RENDERERS)
def test_cells_that_lack_runs_are_marked_in_every_table_and_in_the_lines(render):
    summary = tables.with_unfinished(SUMMARY, UNFINISHED)
    assert row(summary, defense="fdsd", metric="unfinished").mean == 0.25
    assert row(summary, defense="sieve", attack="flip", metric="accuracy").n == 0
    table = tables.paper_table(summary, ORDER)
    assert table.loc[("25 %", "fdsd"), ("flip", "accuracy %")] == "92.0… (90.0 to 94.0)"
    assert table.loc[("25 %", "sieve"), ("flip", "accuracy %")] == f"{tables.UNDEFINED}…"
    assert table.loc[("25 %", "none"), ("flip", "accuracy %")] == "80.0 (80.0 to 80.0)"
    text = render(table, "A note.")
    assert "not all runs are finished" in text
    assert ("92.0\\ldots{}" if render is rendering.to_latex else "92.0…") in text
    assert "not all runs" not in render(TABLE, "A note.")
    lines = "\n".join(rendering.headline(summary, ORDER))
    assert "92.0…/ 10.0…" in lines
    assert re.search(f"sieve( +{tables.UNDEFINED}…){{2}}", lines)
    assert "…: not all runs are finished" in lines


def test_a_grid_that_is_finished_has_nothing_to_add():
    assert tables.with_unfinished(SUMMARY, {"seed": [1, 2, 3]}) is SUMMARY


def test_the_lines_mark_a_run_that_diverged():
    rows = [("flip", 0.25, "krum", metric, [0.1]) for metric in ("accuracy", "asr", "diverged")]
    lines = "\n".join(rendering.headline(summarize(metrics_of(*rows)), ORDER))
    assert "10.0!/ 10.0!" in lines
    assert "!: training diverged" in lines


def test_a_worst_case_over_runs_that_are_not_all_finished_is_marked():
    summary = tables.with_unfinished(SUMMARY, UNFINISHED)
    ((table),) = overview.headline(summary, ORDER, {})
    marks = {name: [cell.mark for cell in cells] for name, cells in table["rows"].items()}
    assert table["panels"][0][0] == "worst case"
    assert marks["fdsd"][0] == "…"
    assert marks["none"][0] == ""


def test_differences_are_points_paired_by_seed():
    rows = [("flip", 0.5, "krum", m, [-0.01, 0.05]) for m in ("accuracy_lost", "asr_excess")]
    found = tables.difference_table(summarize(metrics_of(*rows)), ORDER)
    assert found.to_numpy().tolist() == [["2.0 (-1.0 to 5.0)"] * 2]
    assert found.columns.tolist() == ["accuracy lost %", "ASR above floor %"]


def test_what_is_no_rate_keeps_its_unit():
    rows = [("flip", 0.5, "fdsd", "sanitization.megabytes", [1.5, 1.5])]
    rows += [("flip", 0.5, "fdsd", "sanitization.vanished", [2, 2])]
    found = tables.sanitization_table(summarize(metrics_of(*rows)), ORDER)
    shown = {"vanished classes": "2.0 (2.0 to 2.0)", "sent MB": "1.5 (1.5 to 1.5)"}
    assert found.iloc[0].to_dict() == shown


def test_only_defenses_that_turn_somebody_down_are_scored_as_detectors():
    rows = [("flip", 0.5, "krum", f"detection.{m}", [1.0, 0.5]) for m in ("recall", "precision")]
    rows += [("flip", 0.5, "none", "detection.recall", [0.0, 0.0])]
    rows += [("flip", 0.5, "none", "detection.precision", [math.nan] * 2)]
    found = tables.detection_table(summarize(metrics_of(*rows)), ORDER)
    assert found.index.get_level_values("defense").tolist() == ["krum"]


def test_a_detector_is_scored_by_its_flags_at_the_end_others_by_the_weights_they_give():
    rows = []
    for defense, kind, recall in (
        ("krum", "detection", 0.5),
        ("mcdfl", "detection", 0.6),
        ("mcdfl", "screening", 0.9),
    ):
        rows += [("flip", 0.5, defense, f"{kind}.recall", [recall] * 2)]
        rows += [("flip", 0.5, defense, f"{kind}.precision", [1.0] * 2)]
    found = tables.detection_table(summarize(metrics_of(*rows)), ORDER)
    shown = found["recall %"].droplevel(["attack", "ratio"]).to_dict()
    assert shown == {"krum": "50.0 (50.0 to 50.0)", "mcdfl": "90.0 (90.0 to 90.0)"}


def test_a_number_whose_runs_lie_far_apart_is_marked_in_every_table():
    apart, near = [0.1, 0.9], [0.4, 0.6]
    rows = [("flip", 0.5, "krum", metric, apart) for metric in ("asr", "asr_excess")]
    rows += [("flip", 0.5, "krum", metric, near) for metric in ("accuracy", "accuracy_lost")]
    summary = summarize(metrics_of(*rows))
    shown, marked = "50.0 (40.0 to 60.0)", "50.0? (10.0 to 90.0)"
    for table in (tables.paper_table(summary, ORDER), tables.difference_table(summary, ORDER)):
        assert table.to_numpy().tolist() == [[shown, marked]]
        assert "?: runs differ by more than 20 points" in rendering.to_markdown(table, "A note.")
    (*_, line, blank, legend) = rendering.headline(summary, ORDER)
    assert line.split() == ["krum", "50.0/", "50.0?"]
    assert (blank, legend[:15]) == ("", "?: runs differ ")


def cohorts_of(numbers, runs=3, told="f = 2"):
    """Table of a defense in as many runs, of which these have so many malicious clients each."""
    rows = [("flip", 0.5, "krum", "malicious_per_cohort", numbers)]
    rows += [("flip", 0.5, "krum", metric, [0.5] * runs) for metric in ("accuracy", "asr_floor")]
    return tables.paper_table(summarize(metrics_of(*rows)), ORDER, {"krum": told})


def test_an_assumed_number_that_is_true_in_every_cohort_is_marked_but_not_at_the_floor():
    table = cohorts_of([2, 2, 2])
    assert table.to_numpy().tolist() == [["50.0= (50.0 to 50.0)", "50.0 (50.0 to 50.0)"]]
    assert "=: the f that the defense assumes" in rendering.to_markdown(table, "A note.")


@pytest.mark.parametrize(
    "cohorts",
    [
        {"numbers": [2, 2, 3]},
        {"numbers": [1, 2, 3]},
        {"numbers": [2, 2, math.nan]},  # in the last run it varies from round to round
        {"numbers": [3, 3, 3]},
        {"numbers": [2, 2, 2], "told": "‡"},
        {"numbers": [2, 2, 2], "told": "§"},
    ],
)
def test_an_assumed_number_that_is_not_always_true_or_is_told_is_not_marked(cohorts):
    assert "=" not in cohorts_of(**cohorts).to_numpy()[0, 0]


def test_a_defense_that_is_told_label_counts_is_marked_beside_what_it_assumes():
    text = rendering.to_markdown(TABLE, "A note.", {"fdsd": "f = 2 §", "none": "§"})
    assert "fdsd f = 2 §" in text
    assert "none §" in text
    assert "§: is told the clients' label counts" in text
    assert "f: malicious clients in a cohort that the defense assumes" in text


SEVERAL = summarize(
    metrics_of(
        ("flip", 0.25, "none", "accuracy", [0.8]),
        ("flip", 0.25, "none", "accuracy_trivial", [0.75]),
        ("flip", 0.25, "none", "accuracy_majority", [0.78]),
    )
)


def test_tables_of_several_labels_per_image_name_what_looking_at_none_scores():
    table, note = tables.paper_table(SEVERAL, ORDER), tables.paper_note(SEVERAL)
    assert table.loc[("25 %", "none"), ("flip", "accuracy of no %")] == "75.0"
    assert table.loc[("25 %", "none"), ("flip", "accuracy of majority %")] == "78.0"
    assert "Accuracy of no: of a model that answers no to every label." in note
    assert "accuracy 78.0" in "".join(rendering.headline(SEVERAL, ORDER))
    (glance,) = overview.headline(SEVERAL, ORDER, {})
    assert "accuracy 78.0" in glance["trivial"]
    assert overview.results(SEVERAL, ORDER, {})["columns"][1] == "accuracy of no"


def test_tables_of_one_label_per_image_have_no_word_of_it():
    assert "Accuracy of no" not in tables.paper_note(SUMMARY)
    assert "several labels" not in "".join(rendering.headline(SUMMARY, ORDER))


ODD = ["a|b", "$x_1^2$ \\frac{", "<script>&", "5 % of #1 ~"]


@pytest.mark.parametrize("name", ODD)
def test_a_name_breaks_no_form_of_a_table(name):
    table = TABLE.rename(index={"fdsd": name}, level="defense")
    table = table.rename(columns={"flip": name}, level="attack")
    rows = rendering.to_markdown(table, name).splitlines()[: len(TABLE) + 2]
    cells = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
    assert cells == {TABLE.shape[1] + 3}
    assert "<script>" not in rendering.to_html(table, name)
    body = rendering.to_latex(table, name)
    assert not re.search(r"(?<!\\)[#%_](?!\d)", body)


def test_latex_compiles_whatever_the_names(pdflatex, tmp_path):
    table = TABLE.rename(index=dict(zip(["none", "krum", "fdsd", "perfect"], ODD, strict=True)))
    body = rendering.to_latex(table, " ".join(ODD))
    made = compiled(pdflatex, body, tmp_path)
    assert made.returncode == 0, made.stdout
