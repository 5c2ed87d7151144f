"""A published number names the commit that made it; who looks for that commit must find it."""

import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from needed import absent

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/**/*.md"))]
HASH = re.compile(
    r"(?<![-\w/])(?:(?<=commit )|(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f]))[0-9a-f]{7,40}(?![-\w])"
)
"""Seven digits or more of which some are letters, but after the word commit; a UUID's part has a
hyphen beside it."""


def named(path):
    """Commits that a page names, or a published CSV in its column."""
    if path.suffix == ".md":
        return sorted(set(HASH.findall(path.read_text(encoding="utf-8"))))
    return sorted(set(pd.read_csv(path, usecols=["commit"], dtype=str)["commit"].dropna()))


@pytest.fixture(scope="module", autouse=True)
def history():
    """The repository with its history, without which nothing can be said."""
    shallow = ["git", "-C", str(ROOT), "rev-parse", "--is-shallow-repository"]
    found = subprocess.run(shallow, capture_output=True, encoding="utf-8", check=False)
    if found.stdout.strip() != "false":
        absent("the whole history of the repository (git clone without --depth)")


def test_a_hash_is_told_from_words_numbers_and_parts_of_other_names():
    text = "at a6f30cd, `5e50868`; 1234567, defaced, GPU-5c89852c-..., 12ab, 1e-09, commit 8914731"
    assert HASH.findall(text) == ["a6f30cd", "5e50868", "8914731"]


@pytest.mark.parametrize(
    "path",
    [p for p in PAGES if HASH.search(p.read_text(encoding="utf-8"))]
    + sorted(ROOT.glob("docs/reproduction/values/*.csv")),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_every_commit_that_is_named_exists(path):
    for commit in named(path):
        seen = ["git", "-C", str(ROOT), "cat-file", "-e", f"{commit}^{{commit}}"]
        done = subprocess.run(seen, capture_output=True, check=False)
        assert done.returncode == 0, f"{path.name} names {commit}, which is no commit here"
