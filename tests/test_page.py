"""The page of a run: what it counts, marks and shows."""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pages import DEFENSES, ENDS, FLIP, MARKS, PATCH, arguments, curves_of, metrics, runs_of
from PIL import Image

from fedsieve import captions, charts, details, overview, page
from fedsieve.stages import runs
from fedsieve.statistics import ENOUGH, LABELS, summarize
from fedsieve.tables import UNDEFINED

pytestmark = pytest.mark.xdist_group("page")

CAPTIONS = Path(__file__).parents[1] / "workflow/report"
SUMMARY = summarize(metrics(ENDS))
ORDER = [*DEFENSES, "flip", "patch"]
FAIR = ["krum", "sieve"]
VALUES = metrics(ENDS)


@pytest.fixture(scope="module")
def made(tmp_path_factory, stage):
    """Text of the page of two grids."""
    given = arguments(tmp_path_factory.mktemp("page"), CAPTIONS)
    stage("page")(**given)
    return given["html"].read_text(encoding="utf-8")


def test_samples_are_counted_by_truth_and_fate():
    # of samples 0 to 4 the poisoned are 1 and 3; 0 and 1 are removed
    keep = np.array([False, False, True, True, True])
    assert runs.confusion(keep, np.array([1, 3])) == {
        "poisoned_kept": 1,
        "poisoned_removed": 1,
        "clean_kept": 2,
        "clean_removed": 1,
    }


def test_a_client_with_an_excess_in_any_judgement_is_accused():
    first, second = np.zeros((4, 2, 2)), np.zeros((4, 2, 2))
    first[3, 0, 1], second[1, 1, 0] = 0.2, 0.1
    assert runs.accused([first, second]) == [1, 3]


def log_of(*rows):
    log = pd.DataFrame(rows, columns=["round", "client", "sampled", "weight", "benign"])
    return log.assign(n_samples=np.where(log["sampled"], 100, 0))


def test_a_client_with_less_than_half_of_the_mean_weight_is_turned_down():
    # mean weight of sampled clients: 1/2; client 1 got 0.2 where it was sampled, client 2 0.3
    log = log_of(
        (1, 0, True, 0.8, True),
        (1, 1, True, 0.2, True),
        (1, 2, False, 0.0, True),
        (2, 0, True, 0.7, True),
        (2, 1, False, 0.0, True),
        (2, 2, True, 0.3, True),
    )
    assert runs.turned_down(log) == [1]


def test_a_small_client_whose_update_counts_by_its_samples_is_not_turned_down():
    log = log_of((1, 0, True, 0.9, True), (1, 1, True, 0.1, True))
    assert runs.turned_down(log) == [1]
    assert runs.turned_down(log.assign(n_samples=[90, 10])) == []


def test_a_client_banned_in_the_last_round_is_turned_down():
    log = log_of((1, 0, True, 1.0, False), (2, 0, True, 0.5, True), (2, 1, True, 0.5, False))
    assert runs.turned_down(log) == [1]


def test_curves_have_a_row_per_round_and_defined_rate_over_seeds():
    rounds = pd.DataFrame({"round": [1, 1], "accuracy": [0.8, 0.9], "asr": [np.nan] * 2})
    rounds = rounds.assign(seed=[1, 2], **dict(zip(LABELS, (*FLIP, "none"), strict=True)))
    (row,) = runs.over_rounds(rounds).itertuples()
    assert (row.metric, row.round, row.n) == ("accuracy", 1, 2)
    assert row.mean == pytest.approx(0.85)


def test_references_and_no_defense_cannot_be_best_but_those_that_are_told_label_counts():
    marks = MARKS | {"told": "‡", "both": "‡ §", "counts": "§"}
    defenses = [*DEFENSES, "told", "both", "counts"]
    assert overview.contenders(defenses, marks) == ["krum", "sieve", "counts"]


def test_the_best_is_the_most_accurate_and_the_least_attacked_and_ties_share():
    # patch: attack success 60.00 and 60.04 % both read 60.0
    assert overview.best(SUMMARY, FAIR) == {
        (*FLIP, "sieve", "accuracy"),
        (*FLIP, "sieve", "asr"),
        (*PATCH, "sieve", "accuracy"),
        (*PATCH, "krum", "asr"),
        (*PATCH, "sieve", "asr"),
    }


def test_where_one_defense_is_fair_none_is_best():
    assert overview.best(SUMMARY, ["krum"]) == set()


def test_the_worst_case_is_the_least_accuracy_and_the_highest_attack_success():
    (table,) = overview.headline(SUMMARY, ORDER, MARKS)
    assert [panel[:2] for panel in table["panels"]] == [
        ("worst case", "of all"),
        ("flip", "25 %"),
        ("patch", "50 %"),
    ]
    texts = [cell.text for cell in table["rows"]["krum"]]
    assert texts == ["90.0", "60.0", "90.0", "2.0", "92.0", "60.0"]


def test_the_worst_case_keeps_the_mark_of_runs_far_apart():
    values = VALUES[VALUES["metric"] == "asr"].copy()
    values.loc[(values["attack"] == "patch") & (values["seed"] == 1), "value"] -= 0.5
    (table,) = overview.headline(summarize(values), ORDER, MARKS)
    # krum: .02 and .02 under flip, .095 and .605 under patch; the means are .02 and .35
    shown = [cell.text + cell.mark for cell in table["rows"]["krum"]]
    assert shown == ["35.0?", "2.0", "35.0?"]


def test_an_assumed_number_that_is_true_in_every_cohort_is_marked_at_a_glance_and_in_results():
    counted = VALUES[VALUES["metric"] == "asr"].assign(metric="malicious_per_cohort", value=1.0)
    counted.loc[counted["attack"] == "patch", "value"] = 2.0
    summary = summarize(pd.concat([VALUES, counted]))
    (table,) = overview.headline(summary, ORDER, MARKS)
    # of the worst case, flip and patch, accuracy and attack success each; krum assumes 1
    assert [cell.mark for cell in table["rows"]["krum"]] == ["", "", "=", "=", "", ""]
    rows = {row["key"]: row["cells"] for row in overview.results(summary, ORDER, MARKS)["rows"]}
    assert [cell.mark for cell in rows[*FLIP, "krum"]] == ["=", "=", "", ""]


def test_a_row_of_results_has_the_mean_and_the_range_of_few_runs_in_per_cent():
    results = overview.results(SUMMARY, ORDER, MARKS)
    row = next(row for row in results["rows"] if row["key"] == (*FLIP, "krum"))
    assert results["labels"] == [("attack", ["flip", "patch"]), ("ratio", ["25 %", "50 %"])]
    assert results["columns"] == ["accuracy", "ASR", "ASR floor", "poison removed"]
    assert results["shown"] == "mean and least to greatest of 2 seeds"
    accuracy, *_, recall = row["cells"]
    assert (accuracy.text, accuracy.spread) == ("90.0", "(89.5 to 90.5)")
    assert recall.text == UNDEFINED


@pytest.mark.parametrize(("rate", "shade"), [(1.2, 1), (0.25, 0.25), (-0.1, 0)])
def test_a_shade_is_the_rate_of_harm_between_0_and_1(rate, shade):
    assert overview.Cell(100 * rate, shaded=True).shade == shade
    assert overview.Cell(100 * rate).shade == 0


def test_shares_removed_are_those_of_the_mean_counts():
    frame = pd.DataFrame(
        {
            "poisoned_kept": [0, 2],
            "poisoned_removed": [10, 8],
            "clean_kept": [90, 90],
            "clean_removed": [0, 20],
        }
    )
    assert details.confusion(frame) == [("poisoned", 1, 9, 0.9), ("clean", 90, 10, 0.1)]
    assert details.confusion(frame * np.nan) is None


def test_single_clients_stay_whole_numbers_when_runs_are_read(tmp_path):
    runs_of(ENDS).assign(malicious="7").to_csv(tmp_path / "runs.csv", index=False)
    read = details.read_runs(tmp_path / "runs.csv")
    assert set(read["malicious"]) == {"7"}
    assert set(read["mistrusted"]) == {"", "2"}


def test_a_long_curve_keeps_its_last_round_and_not_too_many_others():
    curves = curves_of({(*FLIP, "none"): (0.9, 0.1)}, n_rounds=200)
    found = page.rounds_of(curves, {FLIP: "flip"})
    # every 4th of 200 counted from the end: 50
    assert found["round"].tolist() == list(range(4, 201, 4))
    assert found["accuracy"].iloc[-1] == pytest.approx(90)


def test_the_panel_shown_first_is_where_an_attack_succeeds_most():
    data = page.chart_data(SUMMARY, VALUES, curves_of(ENDS), ORDER)
    assert data["first"] == "patch, 50 %"


def test_each_of_few_runs_with_an_attack_is_a_point_of_the_chart():
    found = page.runs_of(VALUES, {FLIP: "flip", PATCH: "patch"})
    krum = found[(found["scenario"] == "flip") & (found["defense"] == "krum")]
    assert sorted(krum["accuracy"]) == pytest.approx([89.5, 90.5])
    assert sorted(krum["asr"]) == pytest.approx([1.5, 2.5])
    data = page.chart_data(SUMMARY, VALUES, curves_of(ENDS), ORDER)
    *_, accuracy = (
        layer["encoding"]["y"]["scale"]["domain"]
        for layer in data["specs"]["Accuracy against attack success, at the end"]["layer"]
        if "scale" in layer["encoding"].get("y", {})
    )
    assert accuracy[0] == 80  # krum's 89.5 is on the axis, too
    peace = metrics({(*FLIP, "none"): (0.99, np.nan)})
    assert page.runs_of(peace.dropna(), {FLIP: "flip"}).empty


def test_charts_give_each_defense_the_color_of_the_figures():
    drawn = charts.style(DEFENSES)
    spec = charts.curve(drawn, "accuracy", "accuracy (%)", 50, [1, 3])
    assert spec["layer"][0]["encoding"]["color"]["scale"]["range"][:2] == ["#0173b2", "#de8f05"]


def test_a_figure_is_named_by_its_kind_and_label():
    assert captions.title(Path("g/flags-sieve.png")) == "Clients and cells flagged, sieve"
    assert captions.title(Path("g/new-one.png")) == "new, one"


@pytest.mark.parametrize("name", ["curves", "success", "sanitization", "table"])
@pytest.mark.parametrize(("n", "says"), [(1, 0), (2, 0), (ENOUGH - 1, 0), (ENOUGH, 1)])
def test_a_caption_speaks_of_95_per_cent_from_enough_seeds_on(name, n, says):
    grid = {"partition": ["iid"], "seed": list(range(n))}
    shown = captions.caption(CAPTIONS, Path(f"g/{name}.png"), {"grids": {"g": grid}})
    assert shown.count("95 %") == says
    assert shown.count("±") == shown.count("t-interval") == 0


def test_every_caption_of_the_workflow_can_be_shown():
    config = {"run": ["g"], "grids": {"g": {k: ["a"] for k in ("task", "partition", "attack")}}}
    config["grids"]["g"] |= {"ratio": [0.5], "defense": ["none"], "seed": [1, 2]}
    for name in captions.TITLES:
        shown = captions.caption(CAPTIONS, Path(f"g/{name}-x.png"), config)
        assert "<p>" in shown
        assert "{" not in shown
        assert "problematic" not in shown


def test_a_picture_keeps_every_pixel(tmp_path):
    pixels = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found = page.picture(tmp_path / "a.png")
    packed = base64.b64decode(found["source"].removeprefix("data:image/webp;base64,"))
    assert (np.asarray(Image.open(io.BytesIO(packed))) == pixels).all()
    assert (found["width"], found["height"]) == (3, 3)


def test_text_in_a_script_cannot_end_it():
    assert "</script" not in page.script_json({"a": "</script>"})
    assert json.loads(page.script_json({"a": "</script>"})) == {"a": "</script>"}


def test_the_page_forbids_a_browser_to_load_anything(made):
    assert "default-src 'none'; img-src data:" in made
    assert not re.findall(r"(?:src|href)=\"(?!#|data:)", made.split("<script")[0])
    assert re.findall(r"<script([^>]*)>", made) == [' type="application/json" id="charts"', "", ""]


def test_text_of_a_table_is_escaped(made):
    assert "a &lt; b" in made
    assert "a < b" not in made


def test_the_page_counts_verdicts(made):
    assert re.search(r"<b>2</b>\s*<span[^>]*>✗</span> not reproduced", made)


def test_every_link_leads_to_a_place_on_the_page(made):
    targets = set(re.findall(r'href="#([^"]+)"', made))
    assert targets
    assert targets <= set(re.findall(r'id="([^"]+)"', made))


def test_no_identifier_occurs_twice(made):
    found = re.findall(r'\sid="([^"]+)"', made.split("<script")[0])
    assert len(found) == len(set(found))


def test_a_grid_without_attack_has_no_chart_of_attack_success(made):
    content = json.loads(re.search(r'id="charts">(.*?)</script>', made, re.S)[1])
    assert list(content["peace"]["specs"]) == ["Test accuracy, over the rounds"]
    assert len(content["attacked"]["specs"]) == 3


def test_the_same_results_give_the_same_bytes(tmp_path, stage, made):
    stage("page")(**arguments(tmp_path, CAPTIONS))
    assert (tmp_path / "index.html").read_text(encoding="utf-8") == made
