"""A grid whose attack poisons nothing, on classes of odd names: what the user sees, and when."""

import csv
import re

import numpy as np
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("no attack")]

NAMES = ["a$b$c", "50 % of_{x}^2", "<script>alert(1)</script>"]


@pytest.fixture(scope="module")
def ran(copies, tmp_path_factory):
    """Workspace and terminal output; class 0 has one sample, which a benign client holds."""
    data = tmp_path_factory.mktemp("own")
    labels = np.array([0] + [1, 2] * 30)
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 8, 8), np.uint8)
    splits = {f"{split}_images": images for split in ("train", "test")}
    np.savez(data / "own.npz", **splits, train_labels=labels, test_labels=labels)
    workspace = copies()
    config = workspace.config()
    config["tasks"]["digits"] |= {
        "dataset": {"use": "npz", "file": "own.npz", "class_names": NAMES},
        "rounds": 1,
    }
    config["attacks"]["flip-3to2"] = {"use": "label_flip", "source": 0, "target": 1}
    config["grids"]["demo"] |= {
        "attack": ["flip-3to2", "patch"],
        "ratio": [0.4],
        "defense": ["none", "perfect"],
        "seed": [2],
    }
    workspace.configure(config)
    output = workspace.run("--cores", "1", env={"FEDSIEVE_DATA": str(data)})
    return workspace, output


def test_that_nothing_is_poisoned_is_said_before_the_first_training_and_at_the_end(ran):
    _, output = ran
    place = "results/digits/iid-3/seed2/flip-3to2/ratio0.4"
    said = [match.start() for match in re.finditer(f"warning: {place}: nothing is pois", output)]
    assert len(said) == 2
    assert said[0] < output.index("rule train:")
    assert said[1] > output.index("test accuracy / attack success rate in %")


def test_every_form_of_the_table_has_the_mark_and_what_it_means(ran):
    workspace, output = ran
    tables = workspace.root / "results/tables"
    for text in (
        output,
        *((tables / f"demo.{e}").read_text(encoding="utf-8") for e in ("txt", "md", "html")),
    ):
        assert "\N{EN DASH}\N{EMPTY SET}" in text
        assert "\N{EMPTY SET}: " in text.replace("</b>", "")
    assert r"--$\emptyset$" in (tables / "demo.tex").read_text(encoding="utf-8")
    with (tables / "demo.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["attack"] == "flip-3to2"]
    found = {(row["defense"], row["metric"]): (row["n"], row["mean"]) for row in rows}
    for defense in ("none", "perfect"):
        assert found[defense, "asr"] == ("0", "")
        assert found[defense, "no_attack"] == ("1", "1.0")
    page = (workspace.root / "results/report/index.html").read_text(encoding="utf-8")
    assert '\N{EN DASH}<span class="outside">\N{EMPTY SET}</span>' in page
    assert NAMES[2] not in page


def test_all_figures_are_there_whatever_the_classes_are_called(ran):
    workspace, _ = ran
    figures = sorted((workspace.root / "results/figures/demo").glob("*.png"))
    assert "feature_maps.png" in [path.name for path in figures]
    logs = [path.with_suffix(".log").read_text(encoding="utf-8") for path in figures]
    assert not [text for text in logs if "Traceback" in text]
