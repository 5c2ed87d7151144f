"""A method of one's own: one file, and a name in a configuration."""

import shutil

import pandas as pd


def test_krum_again_under_another_name_is_in_the_tables_by_naming_it(scratch):
    plugins = scratch.root / "src/fedsieve/aggregators"
    shutil.copy(plugins / "krum.py", plugins / "nearest.py")
    config = scratch.config()
    for name, file in (("krum", "krum"), ("mine", "nearest")):
        config["defenses"][name] = {"aggregate": {"use": file, "n_malicious": 1}}
    config["grids"]["demo"] |= {"attack": ["flip-3to2"], "defense": ["none", "krum", "mine"]}
    path = scratch.configure(config, "config/mine.yaml")
    target = "results/tables/demo.csv"
    assert scratch.planned(target, config=path) == {"train": 2, "evaluate": 2, "table": 1}
    scratch.run("--cores", "2", target, config=path)
    rows = pd.read_csv(scratch.root / target).set_index(["defense", "metric"])["mean"]
    krum = rows["krum"].drop("outside_domain")
    assert krum["accuracy"] > 0.3
    pd.testing.assert_series_equal(rows["mine"].reindex(krum.index), krum, check_names=False)
    text = (scratch.root / "results/tables/demo.md").read_text()
    assert "| mine f = 1" in text
