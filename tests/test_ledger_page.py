import runpy
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
LEDGER = runpy.run_path(str(ROOT / "docs/ledger.py"))


@pytest.fixture(scope="module")
def rows():
    return LEDGER["judge_files"](LEDGER["CLAIMS"], LEDGER["VALUES"])


def test_the_ledger_is_what_the_published_values_give(rows):
    text = LEDGER["PAGE"].read_text(encoding="utf-8")
    assert LEDGER["page"](text, rows) == text, "make ledger"


def test_the_whole_ledger_is_what_the_published_values_give(rows):
    published = pd.read_csv(LEDGER["TABLE"], dtype=str, keep_default_na=False)
    pd.testing.assert_frame_equal(published, rows.astype(str), check_dtype=False)


def test_every_statement_is_in_the_table_of_what_was_measured_or_of_what_was_not(rows):
    text = LEDGER["PAGE"].read_text(encoding="utf-8")
    missing = [says for says in rows["says"].unique() if says.replace("|", "/") not in text]
    assert missing == []
