import json
from pathlib import Path

import pandas as pd

GRID = {"task": ["t"], "partition": ["p"], "attack": ["a"], "ratio": [0.5], "defense": ["d"]}
RUN = "{task}/{seed}"


def test_each_defined_metric_of_each_run_has_a_row_with_its_commit(stage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sources = {1: {"commit": "ab" * 20, "modified": False}, 2: {"commit": "cd" * 20}, 3: None}
    sources[2]["modified"] = True
    for seed, source in sources.items():
        folder = tmp_path / f"t/{seed}"
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text(
            json.dumps({"accuracy": seed / 4, "asr": None}), encoding="utf-8"
        )
        (folder / "run.json").write_text(
            json.dumps({"environment": {"source": source}}), encoding="utf-8"
        )
    files = {"metrics": f"{RUN}/metrics.json", "records": f"{RUN}/run.json"}
    stage("values")(grid=GRID | {"seed": [1, 2, 3]}, **files, csv=Path("values.csv"))
    found = pd.read_csv("values.csv", keep_default_na=False)
    assert found["metric"].tolist() == ["accuracy"] * 3
    assert found["value"].tolist() == [0.25, 0.5, 0.75]
    assert found["commit"].tolist() == ["ababababab", "cdcdcdcdcd+", ""]
