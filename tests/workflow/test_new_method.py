"""A method of one's own: one file, and a name in a configuration."""

import shutil

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.slow


def test_krum_again_under_another_name_is_in_the_tables_by_naming_it(scratch):
    plugins, outside = scratch.root / "src/fedsieve/aggregators", scratch.root / "own/aggregators"
    outside.mkdir(parents=True)
    shutil.copy(plugins / "krum.py", plugins / "nearest.py")
    shutil.copy(plugins / "krum.py", outside / "outside.py")
    config = scratch.config() | {"plugins": ["own"]}
    for name, file in (("krum", "krum"), ("mine", "nearest"), ("elsewhere", "outside")):
        config["defenses"][name] = {"aggregate": {"use": file, "n_malicious": 1}}
    defenses = ["none", "krum", "mine", "elsewhere"]
    config["grids"]["demo"] |= {"attack": ["flip-3to2"], "defense": defenses}
    path = scratch.configure(config, "config/mine.yaml")
    target = "results/tables/demo.csv"
    assert scratch.planned(target, config=path) == {"train": 3, "evaluate": 3, "table": 1}
    scratch.run("--cores", "2", target, config=path)
    rows = pd.read_csv(scratch.root / target).set_index(["defense", "metric"])["mean"]
    krum = rows["krum"].drop("outside_domain")
    assert krum["accuracy"] > 0.3
    for name in ("mine", "elsewhere"):
        pd.testing.assert_series_equal(rows[name].reindex(krum.index), krum, check_names=False)
    text = (scratch.root / "results/tables/demo.md").read_text(encoding="utf-8")
    assert "| mine f = 1" in text
    assert "| elsewhere f = 1" in text


def test_a_part_of_a_hybrid_is_poisoned_anew_when_its_file_changes(fresh):
    shared, outside = fresh.root / "src/fedsieve/attacks", fresh.root / "own/attacks"
    outside.mkdir(parents=True)
    shutil.copy(shared / "random_flip.py", outside / "mine.py")
    config = fresh.config() | {"plugins": ["own"]}
    parts = [{"use": "backdoor", "size": 2}, {"use": "mine"}]
    config["attacks"]["both"] = {"use": "hybrid", "parts": parts}
    config["grids"]["demo"] |= {"attack": ["both"], "seed": [1]}
    path = fresh.configure(config, "config/mine.yaml")
    target = "results/digits/iid-3/seed1/both/ratio0.5/poisoning.npz"
    fresh.run("--cores", "1", target, config=path)
    with np.load(fresh.root / target) as found:
        assert set(found["kind"]) == {"backdoor", "flip"}
    assert fresh.planned(target, config=path) == {}
    edited = outside / "mine.py"
    edited.write_text(edited.read_text(encoding="utf-8") + "\n\nMORE = 0\n", encoding="utf-8")
    assert fresh.planned(target, config=path) == {"poison": 1}
