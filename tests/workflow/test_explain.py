"""``explain`` says what made a file, and why it would be made anew."""

import os
import subprocess
import sys

import pytest

TABLE = "results/tables/demo.csv"


def explained(workspace, artifact, code=0, cwd=None):
    """What the tool prints about an artifact of a workspace."""
    configured = ["--configfile", str(workspace.root / "config/derived.yaml")]
    done = subprocess.run(
        [sys.executable, "-m", "fedsieve", "explain", artifact, *configured],
        cwd=cwd or workspace.root,
        env=os.environ | {"PYTHONPATH": str(workspace.root / "src")},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_a_finished_file_names_rule_inputs_and_settings(finished):
    said = explained(finished, TABLE)
    assert "made by   rule table, 2" in said
    assert "results/digits/iid-3/seed1/flip-3to2/ratio0.5/fdsd/metrics.json" in said
    assert '"ratio": [0.5]' in said
    assert "It is up to date" in said


@pytest.mark.slow
def test_a_file_is_known_by_its_path_from_anywhere(finished, tmp_path):
    (tmp_path / "link").symlink_to(finished.root)
    for path, cwd in ((finished.root / TABLE, None), (tmp_path / "link" / TABLE, tmp_path)):
        said = explained(finished, str(path), cwd=cwd)
        assert "made by   rule table, 2" in said
        assert "It is up to date" in said


def test_a_changed_setting_is_named_with_both_values_and_what_follows_from_it(scratch):
    config = scratch.config()
    config["tasks"]["digits"]["rounds"] = 4
    scratch.configure(config)
    said = explained(scratch, TABLE)
    # 3 attacks x 4 defenses and the unattacked run; see test_reruns
    assert "13 x train: task.rounds: 3 -> 4" in said
    assert "12 x evaluate: input files updated by another job" in said
    assert said.index("x train") < said.index("x evaluate")


@pytest.mark.slow
def test_changed_source_code_is_named_as_the_reason(scratch):
    with (scratch.root / "src/fedsieve/tables.py").open("a", encoding="utf-8") as file:
        file.write("\nCHANGED = True\n")
    assert "1 x table: the source code that it runs has changed" in explained(scratch, TABLE)


@pytest.mark.slow
def test_what_snakemake_did_not_make_is_refused(scratch):
    said = explained(scratch, "results/tables/dmeo.csv", code=1)
    assert "fedsieve explain: error: results/tables/dmeo.csv: Snakemake has no record" in said
