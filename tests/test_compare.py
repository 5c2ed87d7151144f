import json

import pytest

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
                (folder / "metrics.json").write_text(json.dumps({"accuracy": value, "asr": None}))
        return tmp_path

    return write


def test_differences_are_paired_by_seed(results):
    results("krum", flip=[0.8, 0.5])
    found = duels.differences(duels.read(results("sieve", flip=[0.9, 0.7]), *NAMES, "accuracy"))
    [row] = found.to_dict("records")
    # 0.1 and 0.2: mean 0.15; t(0.975, 1) = 12.7062 times 0.0707107 / sqrt(2) = 0.635310
    assert row["n"] == 2
    assert [row["first"], row["second"], row["mean"]] == pytest.approx([0.8, 0.65, 0.15])
    assert row["high"] - row["mean"] == pytest.approx(0.635310, abs=1e-6)


def test_a_seed_or_scenario_that_one_lacks_counts_for_neither(results):
    results("krum", flip=[0.8], patch=[0.1])
    found = duels.read(results("sieve", flip=[0.9, 0.7]), *NAMES, "accuracy")
    assert found[["attack", "seed"]].to_numpy().tolist() == [["flip", 1]]


def test_the_tally_tells_clear_from_undecided_and_from_single_seeds(results):
    results("krum", clear=[0.5, 0.5, 0.5], lost=[0.9, 0.9, 0.9], open=[0.5, 0.6, 0.5], lone=[0.1])
    scores = {"clear": [0.7, 0.71, 0.7], "lost": [0.1, 0.1, 0.11], "open": [0.6, 0.5, 0.5]}
    pairs = duels.read(results("sieve", lone=[0.9], **scores), *NAMES, "accuracy")
    found = duels.tally(duels.differences(pairs))
    assert found == {"above": 1, "below": 1, "undecided": 1, "lone": 1}


def test_the_terminal_shows_both_their_difference_and_the_tally(results, capsys):
    results("krum", flip=[0.5, 0.5])
    compare(*NAMES, results=results("sieve", flip=[0.7, 0.7]))
    said = capsys.readouterr().out
    row = next(line for line in said.splitlines() if "flip" in line)
    assert [cell.strip() for cell in row.split("|")[1:-1]] == [
        *("mnist", "iid-10", "flip", "25 %", "70.0", "50.0", "20.0 ± 0.0", "2")
    ]
    assert "of 1, where sieve is above krum: 1; below: 0" in said


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
