"""Compare what two runs have made, byte by byte."""

import hashlib


def digests(workspace, folder="results"):
    """SHA-256 of each artifact; logs, run.json, benchmarks and times tell of the run."""
    told = ("*.log", "run.json", "*.benchmark.tsv", "batch_times.*", "*-batch-times.csv", ".*")
    told += ("*-runs.csv", "report/index.html")
    return {
        str(path.relative_to(workspace.root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (workspace.root / folder).rglob("*")
        if path.is_file() and not any(path.match(pattern) for pattern in told)
    }


def differing(found, expected):
    """Files that are in one alone or have other bytes."""
    return sorted(name for name, _ in found.items() ^ expected.items())
