"""Mistakes that users make: what the terminal says, and that the run goes on once they are undone.

A message names the file or key, and the remedy; it is no traceback.
"""

import os

import numpy as np
import pytest
from conftest import CONFIG

DATA = "results/digits/data.npz"
POISONING = "results/digits/iid-3/seed1/flip-3to2/ratio0.5/poisoning.npz"
SOURCE = "results/mnist/source.json"
MNIST = "config/mnist-quick.yaml"
NO_NETWORK = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
"""A proxy that refuses every connection."""


def refused(workspace, words, *arguments, **options):
    """Run into a mistake: Snakemake fails, and its output holds these words and no traceback."""
    code, output = workspace.snakemake("--cores", "1", *arguments, **options)
    assert code != 0
    assert [word for word in words if word not in output] == [], output
    assert "Traceback" not in output
    return output


def attack(**changes):
    return lambda config: config["attacks"]["flip-3to2"].update(changes)


def grid(**changes):
    return lambda config: config["grids"]["demo"].update(changes)


def task(**changes):
    return lambda config: config["tasks"]["digits"].update(changes)


MISTAKES = {
    "unknown-attack": (
        attack(use="label_flipp"),
        ["attacks.flip-3to2.use", "label_flipp", "did you mean 'label_flip'"],
    ),
    "unknown-parameter": (
        attack(sorce=3),
        ["attacks.flip-3to2.sorce", "did you mean 'source'"],
    ),
    "everybody-malicious": (
        grid(ratio=[1.0]),
        ["grids.demo.ratio[0]", "must be a number >= 0 and < 1, not 1.0"],
    ),
    # 0.9 x 3 = 2.7 is 3 of 3 clients; below 2.5 / 3 = 0.833 it is 2
    "nobody-benign": (
        grid(ratio=[0.9]),
        ["grids.demo.ratio", "0 benign clients", "use a ratio below 0.83"],
    ),
    # 0.1 x 3 = 0.3 is no client; 0.5 / 3 = 0.167 is one
    "nobody-malicious": (
        grid(ratio=[0.1]),
        ["grids.demo.ratio", "0 malicious clients", "at least 0.16"],
    ),
    "unknown-defense": (
        grid(defense=["none", "fdds"]),
        ["grids.demo.defense", "'fdds'", "did you mean 'fdsd'"],
    ),
    "cohort-too-large": (
        task(cohort=4),
        ["tasks.digits.cohort", "partitions.iid-3.n_clients", "at most 3"],
    ),
}


@pytest.mark.parametrize(
    "mistake",
    ["unknown-attack", *(pytest.param(name, marks=pytest.mark.slow) for name in [*MISTAKES][1:])],
)
def test_a_wrong_configuration_stops_before_any_job(fresh, mistake):
    change, words = MISTAKES[mistake]
    config = fresh.config()
    change(config)
    path = fresh.configure(config, "config/mistake.yaml")
    output = refused(fresh, ["WorkflowError", *words], config=path)
    assert "Job stats" not in output
    assert not (fresh.root / "results").exists()


@pytest.mark.slow
def test_a_label_that_stands_twice_stops_before_any_job(fresh):
    path = fresh.root / "config/derived.yaml"
    text = path.read_text(encoding="utf-8")
    twice = text.replace("defenses:\n", "defenses:\n  mean: {aggregate: {use: median}}\n", 1)
    path.write_text(twice, encoding="utf-8")
    lines = [n for n, line in enumerate(twice.splitlines(), 1) if line.startswith("  mean:")]
    refused(
        fresh, ["config/derived.yaml: defenses.mean", f"lines {lines[0]} and {lines[1]}"], "all"
    )
    assert not (fresh.root / "results").exists()


@pytest.mark.slow
def test_numbers_that_snakemake_made_text_are_told_to_go_into_a_file(fresh):
    asked = ["--config", 'grids={"demo": {"ratio": [0.5], "seed": [1]}}', "run=[demo]"]
    words = ["grids.demo.ratio[0]", "not '0.5'", "Write grids into a file", "--configfile"]
    refused(fresh, words, *asked)
    demo = fresh.config()["grids"]["demo"]
    fresh.configure({"grids": {"demo": demo | {"ratio": [0.5], "seed": [1]}}}, "config/last.yaml")
    assert fresh.planned("--configfile", CONFIG, "config/last.yaml", config=None)["train"] == 13


@pytest.mark.slow
def test_a_configuration_set_right_redoes_nothing(scratch):
    config = scratch.config()
    config["attacks"]["flip-3to2"]["use"] = "label_flipp"
    refused(scratch, ["label_flipp"], config=scratch.configure(config, "config/mistake.yaml"))
    assert scratch.planned() == {}


@pytest.mark.slow
def test_a_class_that_the_data_set_lacks_stops_before_training(fresh):
    right = fresh.config()
    wrong = fresh.config()
    wrong["attacks"]["flip-3to2"]["source"] = 12
    fresh.configure(wrong)
    output = refused(
        fresh,
        ["fedsieve poison: error: attacks/label_flip.py: probe: source: 12", "choose of 0 (0), 1"],
        POISONING,
    )
    assert "Tables, figures" not in output  # nobody asked for any
    assert not list(fresh.root.glob("results/**/*.safetensors"))
    fresh.configure(right)
    assert fresh.planned(POISONING) == {"poison": 1}
    fresh.run("--cores", "1", POISONING)


def archive(path, **changes):
    """Write a tiny npz data set of 20 training and 10 test images of two classes."""
    arrays = {}
    for split, n in (("train", 20), ("test", 10)):
        arrays[f"{split}_images"] = np.zeros((n, 8, 8), np.uint8)
        arrays[f"{split}_labels"] = np.arange(n)[:, None] % 2
    np.savez(path, **arrays | changes)


@pytest.fixture
def own_data(fresh, tmp_path):
    """Workspace whose data are the archive mine.npz, and how to tell it where that lies."""
    config = fresh.config()
    config["tasks"]["digits"]["dataset"] = {"use": "npz", "file": "mine.npz"}
    fresh.configure(config)
    return fresh, {"env": {"FEDSIEVE_DATA": str(tmp_path)}}


@pytest.mark.slow
def test_an_archive_replaced_by_another_of_an_older_date_remakes_the_data(own_data, tmp_path):
    workspace, where = own_data
    # above 1 MB, of which Snakemake compares dates alone
    images, tests = np.zeros((20, 300, 300), np.uint8), np.zeros((10, 300, 300), np.uint8)
    archive(tmp_path / "mine.npz", train_images=images, test_images=tests)
    workspace.run("--cores", "1", DATA, **where)
    os.utime(tmp_path / "mine.npz")
    assert workspace.planned(DATA, **where) == {}  # a date alone is no change
    archive(tmp_path / "mine.npz", train_images=images + 1, test_images=tests)
    os.utime(tmp_path / "mine.npz", (0, 0))
    assert workspace.planned(DATA, **where) == {"fetch": 1, "data": 1}
    workspace.run("--cores", "1", DATA, **where)
    with np.load(workspace.root / DATA) as data:
        assert data["train_images"].max() == 1


@pytest.mark.slow
def test_an_archive_of_floats_names_file_and_key(own_data, tmp_path):
    workspace, where = own_data
    archive(tmp_path / "mine.npz", train_images=np.zeros((20, 8, 8)))
    found = f"{tmp_path}/mine.npz: train_images: found float64 [20, 8, 8], wanted uint8"
    refused(workspace, [f"fedsieve data: error: {found}"], DATA, **where)
    archive(tmp_path / "mine.npz")
    workspace.run("--cores", "1", DATA, **where)


@pytest.mark.slow
def test_an_archive_of_the_wrong_shape_names_file_and_key(own_data, tmp_path):
    workspace, where = own_data
    archive(tmp_path / "mine.npz", train_images=np.zeros((20, 8, 8, 2), np.uint8))
    found = f"{tmp_path}/mine.npz: train_images: found uint8 [20, 8, 8, 2], wanted uint8"
    refused(workspace, [f"fedsieve data: error: {found}"], DATA, **where)


@pytest.mark.slow
def test_a_missing_archive_is_named(own_data, tmp_path):
    workspace, where = own_data
    words = ["not available", "FEDSIEVE_DATA", f"{tmp_path}/mine.npz"]
    refused(workspace, words, DATA, **where)


def truncated(content):
    return content[:-1]


def flipped(content):
    return content[:100] + bytes([content[100] ^ 1]) + content[101:]


@pytest.fixture
def damaged(mirror, tmp_path):
    """Function that damages one of MNIST's files in a data root; its path and good content."""
    raw, name = tmp_path / "MNIST/raw", "t10k-labels-idx1-ubyte"
    raw.mkdir(parents=True)
    for file in (mirror / "MNIST/raw").glob("*-ubyte"):
        if file.name != name:
            (raw / file.name).symlink_to(file)
    good = (mirror / "MNIST/raw" / name).read_bytes()

    def write(damage):
        (raw / name).write_bytes(damage(good))
        return raw / name, good

    return write


@pytest.mark.slow
@pytest.mark.parametrize("damage", [truncated, flipped])
def test_a_damaged_file_is_refused_until_it_is_whole(damaged, fresh, tmp_path, damage):
    env = {"FEDSIEVE_DATA": str(tmp_path)}
    path, good = damaged(damage)
    words = [f"{path}: corrupt, truncated", "sha256 is", "put a good copy in its place"]
    refused(fresh, words, SOURCE, config=MNIST, env=env)
    assert not (fresh.root / SOURCE).exists()
    path.write_bytes(good)
    fresh.run("--cores", "1", SOURCE, config=MNIST, env=env)


@pytest.mark.slow
def test_a_missing_file_without_network_names_file_url_and_remedy(fresh, tmp_path):
    words = [
        f"{tmp_path}/MNIST/raw/train-images-idx3-ubyte.gz: not available",
        "https://",
        "FEDSIEVE_DATA",
    ]
    refused(fresh, words, SOURCE, config=MNIST, env={"FEDSIEVE_DATA": str(tmp_path), **NO_NETWORK})
