"""How time and memory grow with clients and data, and what clustering and files cost.

Usage: python -m benchmarks.scaling CLIENTS SAMPLES ROUNDS

measures one size in a process of its own, for its peak memory, and prints JSON.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from benchmarks import engine
from benchmarks.jobs import ROOT
from benchmarks.ratios import Ratio, in_turns, ratio, seconds
from sklearn.cluster import KMeans

from fedsieve import rounds
from fedsieve.artifacts import read_arrays, write_arrays
from fedsieve.clustering import local_clusters
from fedsieve.features import scores
from fedsieve.records import keeping

FASHION = 60_000
CHEST = 78_468
COMMAND = (sys.executable, "-m", "benchmarks.scaling")
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def measured(clients: int, samples: int, n: int) -> dict[str, float]:
    """Seconds of ``n`` rounds and of a pass over all data, and the peak memory in MB."""
    fed = engine.random_federation(engine.NETS["fashion"], clients, samples // clients, 1)
    state = rounds.start(fed, keeping(np.ones(len(fed.data.labels), bool)))
    state, _ = rounds.federated_round(fed, state)
    begun = time.perf_counter()
    for _ in range(n):
        state, _ = rounds.federated_round(fed, state)
    trained = time.perf_counter()
    scores(fed.model, fed.data.images)
    passed = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rounds": trained - begun, "pass": passed - trained, "memory": peak}


def of_size(clients: int, samples: int, n: int = 3) -> dict[str, float]:
    """The same in another process."""
    asked = [*COMMAND, str(clients), str(samples), str(n)]
    done = subprocess.run(asked, cwd=ROOT, env=ENVIRONMENT, check=True, capture_output=True)
    return json.loads(done.stdout)


def growth() -> list[Ratio]:
    """Rounds of ten clients out of more and more, and passes over more and more data."""
    base, few = of_size(10, FASHION), of_size(100, FASHION // 10)
    found = []
    for clients in (100, 1000):
        many = of_size(clients, FASHION)
        note = f"{many['rounds'] / 3:.2f} s; {many['memory']:.0f} MB"
        values = [many["rounds"] / base["rounds"]]
        found.append(ratio(f"a round, {clients} clients / 10 clients", values, note=note))
    for samples in (FASHION, CHEST):
        more = of_size(100, samples)
        note = f"{more['pass']:.2f} s; {more['memory']:.0f} MB"
        values = [more["pass"] / few["pass"] * (FASHION // 10) / samples]
        title = f"a pass, per image: {samples} images / {FASHION // 10}"
        found.append(ratio(title, values, note=note))
    return found


def side_by_side(turns: int) -> Ratio:
    """Two jobs of one worker at once over one alone."""

    def run(jobs: int) -> None:
        asked = [*COMMAND, "10", "6000", "8"]
        started = [
            subprocess.Popen(asked, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
            for _ in range(jobs)
        ]
        if any(process.wait() for process in started):
            raise SystemExit(f"failed: {' '.join(asked)}")

    one, two = in_turns(turns, lambda: seconds(run, 1), lambda: seconds(run, 2))
    note = f"{np.median(two):.1f} s and {np.median(one):.1f} s"
    ratios = [b / a for a, b in zip(one, two, strict=True)]
    return ratio("two jobs side by side / one", ratios, "<= 1.15", note)


def clustering(turns: int) -> list[Ratio]:
    """A client's clustering over scikit-learn's k-means on the same features."""
    found = []
    for columns, clusters in ((64, 10), (784, 10)):
        rng = np.random.default_rng(0)
        rows = rng.normal(size=(6000, columns)) + 3 * rng.normal(size=(10, columns)).repeat(600, 0)
        features = np.maximum(rows, 0).astype(np.float32)

        def own(x: np.ndarray = features, k: int = clusters) -> float:
            rng = np.random.default_rng(1)
            return seconds(lambda: local_clusters(x, k, restarts=3, rng=rng))

        def plain(x: np.ndarray = features, k: int = clusters) -> float:
            return seconds(KMeans(k, n_init=3, random_state=1).fit, x)

        a, b = in_turns(turns, own, plain)
        title = f"clustering 6,000 x {columns} features / scikit-learn's k-means"
        note = f"{1e3 * np.median(a):.0f} ms and {1e3 * np.median(b):.0f} ms"
        found.append(ratio(title, [x / y for x, y in zip(a, b, strict=True)], note=note))
    return found


def files(turns: int) -> list[Ratio]:
    """Writing and reading artifacts over numpy's own ``savez`` and ``load``."""
    rng = np.random.default_rng(0)
    sizes = {
        "data": {"images": rng.integers(0, 256, (FASHION, 1, 28, 28), np.uint8)},
        "features": {"features": rng.normal(size=(6000, 64)).astype(np.float32)},
        "verdict": {"keep": rng.random(6000) < 0.5},
    }
    found = []
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder) / "ours.npz", Path(folder) / "theirs.npz"
        for name, arrays in sizes.items():
            write = (
                lambda a=arrays: seconds(lambda: write_arrays(ours, a)),
                lambda a=arrays: seconds(lambda: np.savez(theirs, **a)),
            )
            read = (
                lambda: seconds(lambda: read_arrays(ours, None)),
                lambda: seconds(lambda: dict(np.load(theirs))),
            )
            for verb, pair in (("writing", write), ("reading", read)):
                a, b = in_turns(turns, *pair)
                note = f"{1e3 * np.median(a):.1f} ms and {1e3 * np.median(b):.1f} ms"
                ratios = [x / y for x, y in zip(a, b, strict=True)]
                found.append(ratio(f"{verb} {name} / numpy alone", ratios, note=note))
    return found


if __name__ == "__main__":
    print(json.dumps(measured(*map(int, sys.argv[1:]))))
