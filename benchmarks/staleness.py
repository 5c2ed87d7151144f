"""How often commits make a plain FedAvg training stale, by the digest's rule before and now.

Usage: python -m benchmarks.staleness [--commits N] [--until COMMIT]

Needs a clone with its history. The rule before hashed each module with its name and its imports as
they are written; the one now puts the hash of what is imported for its name. The third count leaves
out the modules that a training has ceased to import besides: what shares cards, records the run,
lists scenarios and checks configurations (docs/decisions/0022-digest-without-names.md).
"""

import argparse
import ast
import hashlib
import io
import itertools
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tabulate import tabulate

from fedsieve import provenance

TRAINING = ("fedsieve.stages.train", "fedsieve.aggregators.fedavg", "fedsieve.models.cnn2")
"""What a plain training runs, besides what these import."""

APART = {f"fedsieve.{name}" for name in ("leases", "provenance", "grids", "paths", "registry")}
"""Modules that trainings imported once, and of which they import now what binds plug-ins alone."""


def main() -> None:
    """Print for each commit whether it made the training stale, and how many did."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--commits", type=int, default=120)
    parser.add_argument("--until", default="HEAD")
    asked = parser.parse_args()
    listed = git("rev-list", "--first-parent", f"-{asked.commits + 1}", asked.until)
    commits = listed.decode().split()[::-1]
    found = [digests(commit) for commit in commits]
    stale = [
        [new != old for new, old in zip(after, before, strict=True)]
        for before, after in itertools.pairwise(found)
    ]
    named = zip(commits[1:], stale, strict=True)
    rows = [[commit[:10], *("stale" if s else "" for s in each)] for commit, each in named]
    counts = [sum(column) for column in zip(*stale, strict=True)]
    rules = ["names and imports as written", "hashes of imports", "and what is apart left out"]
    print(tabulate([row for row in rows if any(row[1:])], ["commit", *rules]))
    print(f"stale after {counts} of {len(stale)} commits")


def git(*arguments: str) -> bytes:
    """What git prints, of the clone that this file lies in."""
    command = ["git", "-C", str(Path(__file__).parents[1]), *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


def digests(commit: str) -> tuple[str, ...]:
    """The training's digest at a commit, by each rule."""
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(git("archive", commit, "src/fedsieve"))) as tar:
            tar.extractall(folder, filter="data")
        provenance.ROOT = next(Path(folder).rglob("fedsieve")).parent
        provenance.forget()
        reached = provenance.closure(TRAINING)
        return (
            joined(f"{module} {written(module)}" for module in reached),
            provenance.digest(*TRAINING),
            joined(provenance._alone(module) for module in reached - APART),
        )


def written(module: str) -> str:
    """A module's code by the rule before: its tree without docstrings."""
    tree = ast.parse(provenance._path(module).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [part for part in body if not is_text(part)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def is_text(node: ast.AST) -> bool:
    """Whether a statement is a bare string."""
    constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return constant and isinstance(node.value.value, str)  # type: ignore[attr-defined]


def joined(lines: Iterable[str]) -> str:
    """Hash of lines in any order."""
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


if __name__ == "__main__":
    main()
