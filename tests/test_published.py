"""Numbers in the documentation: tables that are published as files."""

from pathlib import Path

import pandas as pd
import pytest
from intervals import outside

PUBLISHED = sorted((Path(__file__).parents[1] / "docs/reproduction").rglob("*.csv"))
OVER_SEEDS = [
    p for p in PUBLISHED if {"metric", "n", "low", "high"} <= set(pd.read_csv(p, nrows=0))
]


def test_there_are_published_tables():
    assert PUBLISHED


def test_no_published_interval_is_of_few_seeds_or_leaves_the_range_of_its_quantity():
    assert [found for path in OVER_SEEDS for found in outside(path)] == []


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ("accuracy,8,0.9,0.8,1.0", 0),
        ("accuracy,8,0.9,0.8,1.01", 1),
        ("asr.flip,8,0.1,-0.01,0.2", 1),
        ("asr_excess,8,0.0,-0.01,0.2", 0),
        ("asr_excess.flip,8,0.0,-1.1,0.2", 1),
        ("sanitization.megabytes,8,3,2,400", 0),
        ("sanitization.vanished,8,0.5,-0.1,1", 1),
        ("accuracy,7,0.9,0.8,1.0", 1),
        ("accuracy,7,0.9,0.8,1.1", 2),
        ("accuracy,7,0.9,,", 0),
    ],
)
def test_an_interval_that_cannot_be_is_found(tmp_path, row, wrong):
    (tmp_path / "table.csv").write_text(f"metric,n,mean,low,high\n{row}\n", encoding="utf-8")
    assert len(outside(tmp_path / "table.csv")) == wrong
