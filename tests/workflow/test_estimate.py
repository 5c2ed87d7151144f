"""`python -m fedsieve estimate` on real workspaces: what it counts as done, and as still to run."""

import re

import pytest

ESTIMATE = ("-m", "fedsieve", "estimate")


def estimated(workspace):
    """Jobs done and still to run of each rule, and the last line."""
    env = {"PYTHONPATH": str(workspace.root / "src")}
    said = workspace.run("--cores", "2", "--device", "cpu", program=ESTIMATE, env=env)
    rows = re.findall(r"^(\w+) +(\d+) +(\d+) +[\d.]+ (?:s|min|h) +[\d.]+ [MG]B$", said, re.M)
    return {rule: (int(done), int(todo)) for rule, done, todo in rows}, said.splitlines()[-1]


@pytest.mark.slow
def test_a_new_folder_has_everything_to_run_and_its_data_are_made(fresh):
    rules, total = estimated(fresh)
    assert rules["train"] == (0, 13)
    assert (fresh.root / "results/digits/data.npz").is_file()
    assert "data" not in rules
    assert re.match(r"\d+ jobs to run: about [\d.]+ (s|min) on 2 cores; [\d.]+ MB of disk", total)


def test_a_finished_folder_has_nothing_to_run(finished):
    assert estimated(finished) == ({}, "0 jobs to run: about 0 s on 2 cores; 0.0 MB of disk")


@pytest.mark.slow
def test_a_changed_defense_runs_again_at_the_cost_of_those_like_it(scratch):
    config = scratch.config()
    config["defenses"]["mean"]["aggregate"] = {"use": "median"}
    scratch.configure(config)
    rules, _ = estimated(scratch)
    done, todo = rules["train"]
    assert (done, todo) == (10, 3)
    assert rules["table"] == (0, 1)
