"""Judging published values by files of claims, as ``python -m fedsieve judge`` does."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from fedsieve.__main__ import main
from fedsieve.errors import InputError
from fedsieve.tools.judge import judge

ROOT = Path(__file__).parents[1]
PAPERS = sorted((ROOT / "config/claims").glob("*.yaml"))
CLAIM = {"paper": "P", "where": "Table I", "says": "nine of ten are right", "grid": "one"}
BOUND = {"metric": "accuracy", "higher": True, "attack": ["a"], "ratio": [0.25], "defense": "d"}
CLAIM["reaches"] = BOUND | {"bound": 0.9}


def written(path, content):
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@pytest.fixture
def values(tmp_path):
    """Values of grid one: five runs of 95 %."""
    labels = {"task": "t", "partition": "p", "attack": "a", "ratio": 0.25, "defense": "d"}
    rows = [labels | {"seed": s, "metric": "accuracy", "value": 0.95} for s in range(5)]
    pd.DataFrame(rows).to_csv(tmp_path / "one-values.csv", index=False)
    return tmp_path / "one-values.csv"


def test_published_values_are_judged_without_running_anything(tmp_path, values, capsys):
    given = written(tmp_path / "claims.yaml", {"claims": {"c": CLAIM}})
    made = {"md": [tmp_path / "out.md"], "csv": [tmp_path / "out.csv"]}
    judge(claims=[given], values=[values], **made)
    assert pd.read_csv(tmp_path / "out.csv")["verdict"].tolist() == ["reproduced"]
    assert "nine of ten are right" in (tmp_path / "out.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out == "   1 reproduced\n"


def test_the_verdicts_are_those_of_the_workflow(tmp_path, values, stage):
    margins = {"accuracy": 0.02}
    made = {kind: tmp_path / f"ledger.{kind}" for kind in ("csv", "md", "html")}
    stage("ledger")(claims={"c": CLAIM}, margins=margins, values=[values], **made)
    given = written(tmp_path / "claims.yaml", {"claims": {"c": CLAIM}})
    judge(claims=[given], values=[values], csv=[tmp_path / "out.csv"], md=[tmp_path / "out.md"])
    assert (tmp_path / "out.csv").read_bytes() == made["csv"].read_bytes()
    assert (tmp_path / "out.md").read_bytes() == made["md"].read_bytes()


def test_other_sections_of_a_configuration_are_left_out(tmp_path, values):
    given = written(tmp_path / "a.yaml", {"claims": {"c": CLAIM}, "grids": 1})
    judge(claims=[given], values=[values])


def test_margins_of_one_file_hold_for_all(tmp_path, values):
    low = CLAIM | {"reaches": BOUND | {"bound": 0.99}}
    first = written(tmp_path / "a.yaml", {"claims": {"a": low}})
    second = written(tmp_path / "b.yaml", {"claims": {"b": low}, "margins": {"accuracy": 0.05}})
    judge(claims=[first, second], values=[values], csv=[tmp_path / "out.csv"])
    verdicts = pd.read_csv(tmp_path / "out.csv")["verdict"].tolist()
    assert verdicts == ["not reproduced", "not reproduced"]
    judge(claims=[first], values=[values], csv=[tmp_path / "out.csv"])
    assert pd.read_csv(tmp_path / "out.csv")["verdict"].tolist() == ["contradicted"]


def test_every_claim_of_the_papers_has_a_row_though_nothing_was_run(tmp_path):
    judge(claims=PAPERS, values=[], csv=[tmp_path / "out.csv"])
    rows = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    assert set(rows["verdict"]) == {"not tested"}
    assert rows["why"].astype(bool).all()
    named = [
        n for path in PAPERS for n in yaml.safe_load(path.read_text(encoding="utf-8"))["claims"]
    ]
    assert list(dict.fromkeys(rows["claim"])) == named


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"claims": {"c": CLAIM | {"reeches": {}}}}, "claims.c.reeches: unknown key"),
        ({"claims": {"c": CLAIM | {"untested": "no"}}}, "claims.c: needs one of"),
        ({"claims": {"c": CLAIM}, "margins": {"accuracy": 2}}, "margins.accuracy: must be"),
        ({"grids": {}}, "has no section claims"),
    ],
)
def test_a_file_with_faults_is_named_with_the_key(tmp_path, content, says):
    given = written(tmp_path / "faulty.yaml", content)
    with pytest.raises(InputError, match=r"faulty\.yaml") as caught:
        judge(claims=[given], values=[])
    assert says in str(caught.value)


def test_text_that_is_no_yaml_is_named(tmp_path):
    (tmp_path / "a.yaml").write_text("claims: [", encoding="utf-8")
    with pytest.raises(InputError, match="no YAML"):
        judge(claims=[tmp_path / "a.yaml"], values=[])


def test_one_label_with_two_meanings_is_refused(tmp_path):
    files = [
        written(tmp_path / name, {"claims": {"c": CLAIM | {"where": name}}}) for name in ("a", "b")
    ]
    with pytest.raises(InputError, match=r"b: claims\.c is another in a file before"):
        judge(claims=files, values=[])


def test_two_files_of_one_grid_are_refused(tmp_path, values):
    (tmp_path / "one.csv").write_bytes(values.read_bytes())
    given = written(tmp_path / "claims.yaml", {"claims": {"c": CLAIM}})
    with pytest.raises(InputError, match="holds grid one already"):
        judge(claims=[given], values=[values, tmp_path / "one.csv"])


def test_the_command_line_takes_several_files(tmp_path, values, capsys):
    given = written(tmp_path / "claims.yaml", {"claims": {"c": CLAIM}})
    line = ["judge", "--claims", str(given), "--values", str(values), "--md", str(tmp_path / "o")]
    assert main(line) == 0
    assert "reproduced" in capsys.readouterr().out
