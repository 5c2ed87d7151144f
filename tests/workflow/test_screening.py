"""Detectors in the workflow: in training, and afterwards by saved models."""

import pandas as pd
import pytest

pytestmark = pytest.mark.slow

CONFIG = "config/screening.yaml"
DETECTIONS = {"plain": {"use": "mcdfl"}, "updates": {"use": "tolpegin_pca", "first_round": 1}}


def configure(workspace):
    """Six clients of whom two flip a class, under two detectors, judged again by two."""
    config = workspace.config()
    config["tasks"]["digits"] |= {"snapshots": [3], "tested_every": 3, "local_accuracy": True}
    config["partitions"] = {"iid-6": {"use": "iid", "n_clients": 6}}
    config["detections"] = DETECTIONS
    for name, detect in DETECTIONS.items():
        screened = {**detect, "before_rounds": [3, 4]}
        config["defenses"][name] = {"detect": screened, "aggregate": {"use": "fedavg"}}
    config["grids"] = {
        "screened": {
            "task": ["digits"],
            "partition": ["iid-6"],
            "attack": ["flip-3to2"],
            "ratio": [0.34],
            "defense": ["none", *DETECTIONS],
            "seed": [1],
            "screen": {
                "models": ["plain", "clean-model"],
                "detections": [*DETECTIONS],
                "after_rounds": [3],
            },
        }
    }
    return workspace.configure(config, CONFIG)


def test_detectors_screen_in_training_and_afterwards_and_are_scored_and_drawn(fresh):
    path = configure(fresh)
    fresh.run("--cores", "2", config=path)
    results = fresh.root / "results"
    table = pd.read_csv(results / "tables/screened-screenings.csv")
    assert {*zip(table["trained"], table["detection"], strict=True)} == {
        ("plain", "plain"),
        ("plain", "updates"),
        ("clean-model", "plain"),
        ("clean-model", "updates"),
        ("any", "yardstick"),
    }
    summary = pd.read_csv(results / "tables/screened.csv")
    scored = summary[summary["metric"] == "screening.false_positive_rate"]
    assert set(scored["defense"]) == {"plain", "updates"}
    drawn = {path.stem for path in (results / "figures/screened").glob("*.png")}
    assert {"local", "detection", "quality-plain", "updates-updates"} <= drawn
    assert fresh.planned(config=path) == {}

    edited = fresh.root / "src/fedsieve/two_means.py"
    edited.write_text(edited.read_text(encoding="utf-8") + "\n\nLOWEST = 0\n", encoding="utf-8")
    assert fresh.planned(config=path)["train"] == 1  # what mcdfl cuts by, and no one else
    config = fresh.config(path)
    config["detections"]["plain"]["malicious"] = "smaller"
    fresh.configure(config, path)
    planned = fresh.planned("results/tables/screened-screenings.md", config=path)
    assert planned["screen"] >= 2
