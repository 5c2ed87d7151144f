"""Jobs that fail, and trainings that diverge, cost the other runs no table, curve or page."""

import copy
import re

import pandas as pd
import pytest

pytestmark = pytest.mark.slow

MARK = "\N{HORIZONTAL ELLIPSIS}"
MADE = [
    *(f"results/tables/demo.{kind}" for kind in ("csv", "md", "tex", "html", "txt")),
    "results/figures/demo/curves.png",
    "results/report/index.html",
]


def test_one_run_that_fails_and_one_that_diverges_cost_the_others_nothing(fresh):
    right = fresh.config()
    right["tasks"]["wild"] = copy.deepcopy(right["tasks"]["digits"])
    right["tasks"]["wild"]["local"]["lr"] = 1000000
    right["attacks"]["mine"] = {"use": "label_flip", "source": 3, "target": 2}
    right["grids"]["demo"] |= {
        "task": ["digits", "wild"],
        "attack": ["flip-3to2", "mine"],
        "defense": ["none", "fdsd"],
    }
    wrong = copy.deepcopy(right)
    wrong["attacks"]["mine"]["source"] = 12  # found by the job that poisons
    fresh.configure(wrong)
    code, output = fresh.snakemake("--cores", "2")
    assert code != 0
    assert "attacks/label_flip.py" in output
    assert "results/digits/iid-3/seed1/mine/ratio0.5/fdsd" in output
    assert "Tables, figures and page of the others are made" in output
    assert [path for path in MADE if not (fresh.root / path).exists()] == []
    text = (fresh.root / "results/tables/demo.txt").read_text(encoding="utf-8")
    assert text in output
    assert f"{MARK}: not all runs are finished" in text
    assert "!: training diverged" in text

    table = pd.read_csv(fresh.root / "results/tables/demo.csv")
    numbers = (
        table[table["metric"] == "accuracy"]
        .set_index(["task", "attack", "defense"])["mean"]
        .sort_index()
    )
    assert numbers["digits", "flip-3to2"].notna().all()
    assert numbers["digits", "mine"].isna().all()
    diverged = table[(table["metric"] == "diverged") & (table["task"] == "wild")]
    assert (diverged.set_index("defense")["mean"] > 0).to_dict() == {"none": True, "fdsd": True}
    page = (fresh.root / "results/report/index.html").read_text(encoding="utf-8")
    assert f'<span class="outside">{MARK}</span>' in page
    assert re.search('<span class="outside">!', page)

    fresh.configure(right)
    planned = fresh.planned()
    assert planned["poison"] == 2
    assert planned["train"] == 4  # those of the attack that failed, and no other
    assert planned["table"] == planned["page"] == 1
    fresh.run("--cores", "2")
    assert MARK not in (fresh.root / "results/tables/demo.txt").read_text(encoding="utf-8")
    assert fresh.planned() == {}
