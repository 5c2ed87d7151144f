import json

import numpy as np
import pytest
from scipy import stats

from fedsieve import duels
from fedsieve.errors import InputError
from fedsieve.tools.compare import compare

NAMES = ("sieve", "krum")


@pytest.fixture
def results(tmp_path):
    """Function that writes a defense's accuracies: by attack, one of each seed from 1 on."""

    def write(defense, **accuracies):
        for attack, values in accuracies.items():
            for seed, value in enumerate(values, start=1):
                folder = tmp_path / f"mnist/iid-10/seed{seed}/{attack}/ratio0.25/{defense}"
                folder.mkdir(parents=True)
                (folder / "metrics.json").write_text(
                    json.dumps({"accuracy": value, "asr": None}), encoding="utf-8"
                )
        return tmp_path

    return write


def compared(results, first, second):
    """Differences of accuracies under one attack or several, of sieve and krum."""
    results("krum", **second)
    return duels.differences(duels.read(results("sieve", **first), *NAMES, "accuracy"))


def test_differences_are_paired_by_seed(results):
    [row] = compared(results, {"flip": [0.9, 0.7]}, {"flip": [0.8, 0.5]}).to_dict("records")
    assert row["n"] == 2
    assert [row["first"], row["second"], row["mean"]] == pytest.approx([0.8, 0.65, 0.15])
    assert [row["least"], row["greatest"]] == pytest.approx([0.1, 0.2])


def test_p_is_that_of_the_sign_flip_test_times_the_scenarios(results):
    found = compared(
        results,
        {"a": [0.7] * 7, "b": [0.7] * 7},
        {"a": [0.5] * 7, "b": [0.8, 0.7, 0.6] + [0.7] * 4},
    ).set_index("attack")
    # seven equal signs of 128 patterns, both ways, two scenarios; b's differences sum to nothing
    assert found.loc["a", "p"] == pytest.approx(2 * 2 / 128)
    assert found.loc["b", "p"] == 1


def test_there_is_no_interval_below_eight_seeds(results):
    seven, eight = [0.9, 0.7, 0.8, 0.9, 0.8, 0.9, 0.9], [0.9, 0.7, 0.8, 0.9, 0.8, 0.9, 0.9, 0.8]
    found = compared(results, {"a": seven, "b": eight}, {"a": [0.5] * 7, "b": [0.5] * 8})
    found = found.set_index("attack")
    assert found.loc["a", ["low", "high"]].isna().all()
    wanted = stats.ttest_1samp(np.array(eight) - 0.5, 0).confidence_interval(0.95)
    assert found.loc["b", ["low", "high"]].tolist() == pytest.approx([wanted.low, wanted.high])


def test_an_interval_of_differences_of_rates_ends_at_one(results):
    found = compared(results, {"a": [1.0] * 7 + [0.1]}, {"a": [0.0] * 8})
    assert found["high"].tolist() == [1.0]


def test_a_seed_or_scenario_that_one_lacks_counts_for_neither(results):
    results("krum", flip=[0.8], patch=[0.1])
    found = duels.read(results("sieve", flip=[0.9, 0.7]), *NAMES, "accuracy")
    assert found[["attack", "seed"]].to_numpy().tolist() == [["flip", 1]]


def test_the_tally_tells_clear_from_undecided_and_from_too_few_seeds(results):
    second = {"clear": [0.5] * 9, "lost": [0.9] * 9, "open": [0.5, 0.6] * 4, "lone": [0.1] * 4}
    first = {"clear": [0.7] * 9, "lost": [0.1] * 9, "open": [0.6, 0.5] * 4, "lone": [0.9] * 4}
    assert duels.tally(compared(results, first, second)) == {
        "above": 1,
        "below": 1,
        "undecided": 1,
        "few": 1,
    }


def test_differences_far_apart_need_ten_seeds(results):
    first = {"nine": [0.9] * 8 + [0.5], "ten": [0.9] * 9 + [0.6]}
    found = compared(results, first, {"nine": [0.5] * 9, "ten": [0.5] * 10}).set_index("attack")
    assert found["verdict"].to_dict() == {"nine": "few", "ten": "above"}


def test_the_terminal_shows_both_their_difference_and_the_tally(results, capsys):
    results("krum", flip=[0.5] * 6)
    compare(*NAMES, results=results("sieve", flip=[0.7] * 6))
    said = capsys.readouterr().out
    row = next(line for line in said.splitlines() if "flip" in line)
    assert [cell.strip() for cell in row.split("|")[1:-1]] == [
        *("mnist", "iid-10", "flip", "25 %", "70.0", "50.0", "20.0 (20.0 to 20.0)", "6"),
        *("0.031", "above"),
    ]
    assert "of 1, where sieve is above krum: 1; below: 0" in said


def test_the_terminal_says_where_seeds_are_too_few(results, capsys):
    results("krum", flip=[0.5] * 4)
    compare(*NAMES, results=results("sieve", flip=[0.7] * 4))
    assert "too few seeds" in capsys.readouterr().out


def test_a_defense_without_results_names_those_that_have_some(results):
    root = results("krum", flip=[0.5])
    with pytest.raises(InputError, match="nothing of defense 'seive'; there is krum"):
        duels.read(root, "seive", "krum", "accuracy")


def test_defenses_with_nothing_in_common_say_so(results):
    results("krum", flip=[0.5])
    with pytest.raises(InputError, match="no scenario and seed in common"):
        duels.read(results("sieve", patch=[0.5]), *NAMES, "accuracy")


@pytest.mark.parametrize("metric", ["asr", "acuracy"])
def test_a_metric_that_nobody_has_says_so(results, metric):
    results("krum", flip=[0.5])
    with pytest.raises(InputError, match=f"has a metric '{metric}'"):
        duels.read(results("sieve", flip=[0.5]), *NAMES, metric)
