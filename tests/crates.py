"""A finished grid of one task, two defenses and two seeds, small enough to calculate by hand."""

import json
from pathlib import Path

import numpy as np
import pytest

GRID = {
    "task": ["digits"],
    "partition": ["iid-4"],
    "attack": ["flip"],
    "ratio": [0.5],
    "defense": ["none", "krum"],
    "seed": [1, 2],
}
ACCURACY = {("none", 1): 0.5, ("none", 2): 0.75, ("krum", 1): 0.875, ("krum", 2): 0.9375}
SCENARIO = "results/{task}/{partition}/seed{seed}/{attack}/ratio{ratio}/{defense}"
FILES = [f"{SCENARIO}/metrics.json", f"{SCENARIO}/run.json", f"{SCENARIO}/model.safetensors"]
FILES.append("results/{task}/source.json")
CONFIG = {"grids": {"small": GRID}, "run": ["small"]}
TABLES = [Path(f"results/tables/small.{kind}") for kind in ("csv", "md", "tex", "html", "txt")]
KRUM = "results/digits/iid-4/seed1/flip/ratio0.5/krum"


def record(seed):
    """What a training wrote in run.json, as far as a crate needs it."""
    return {
        "environment": {
            "python": "3.11.7",
            "packages": {"torch": "2.14.1"},
            "source": {"commit": "c0ffee", "modified": seed == 2},
        },
        "started": f"2026-01-0{seed}T10:00:00+00:00",
        "ended": f"2026-01-0{seed}T11:00:00+00:00",
    }


def finished(folder, stage):
    """Make the results of a finished workflow in a folder, which is the current one."""
    for (defense, seed), accuracy in ACCURACY.items():
        run = Path(KRUM.replace("seed1", f"seed{seed}")).with_name(defense)
        run.mkdir(parents=True)
        scores = {"accuracy": accuracy, "asr": 1 - accuracy, "asr_floor": 0.0, "asr.flip": None}
        (run / "metrics.json").write_text(json.dumps(scores), encoding="utf-8")
        (run / "run.json").write_text(json.dumps(record(seed)), encoding="utf-8")
        (run / "model.safetensors").write_bytes(np.float32([accuracy]).tobytes())
    receipt = {"dataset": "mnist", "files": {"MNIST/raw/images": "ab" * 32}}
    Path("results/digits/source.json").write_text(json.dumps(receipt), encoding="utf-8")
    written = {path.suffix[1:]: path for path in TABLES}
    told = {"grid": GRID, "order": ["none", "krum", "flip"], "marks": {"krum": "f = 1"}}
    stage("table")(**told, files=FILES[0], **written)
    return folder / "results"


def maker(results, stage):
    """Function that makes the crate of that grid, some of its arguments changed."""

    def make(name="small.zip", **changed):
        given = {"name": "small", "grid": GRID, "files": FILES, "tables": TABLES}
        given |= {"order": ["none", "krum", "flip"], "marks": {"krum": "f = 1"}}
        given |= {"config": CONFIG, "agent": "", "results": Path("results")}
        stage("crate")(**given | changed, crate=results / name)
        return results / name

    return make


@pytest.fixture
def results(tmp_path, monkeypatch, stage):
    """The results of a finished workflow, beside which the test runs."""
    monkeypatch.chdir(tmp_path)
    return finished(tmp_path, stage)


@pytest.fixture
def crate(results, stage):
    """Makes the crate: ``crate(name, agent=...)``."""
    return maker(results, stage)
