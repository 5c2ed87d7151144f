"""Every stage that draws draws something of names and data that nobody would choose.

Names hold what mathtext, HTML and LaTeX take for theirs, and more than fits; data are empty, of one
value, or no finite numbers. A figure of which there is nothing to see says so in its place.
"""

import inspect
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.torch import save_file
from small import MODEL

from fedsieve import bars, look
from fedsieve.__main__ import summaries
from fedsieve.artifacts import write_arrays, write_data, write_partition, write_poisoning
from fedsieve.engine.models import copy_weights, initial_model
from fedsieve.errors import InputError
from fedsieve.records import Dataset, Partition, Poisoning
from fedsieve.statistics import LABELS

NAMES = [
    "a$b$c",
    "$\\frac{1}{$ 50 % of_{x}^2",
    "<script>alert('1')</script>&amp;|",
    "\N{GRINNING FACE} \N{CJK UNIFIED IDEOGRAPH-6F22}",
    "long " * 40,
]
CASES = ["names", "nothing", "unknown", "single"]
"""Odd names; nothing to show; values that are no finite numbers; a single value."""

N_CLASSES, N_CLIENTS = len(NAMES), 3


def label(case):
    return NAMES[0] if case == "names" else "x"


def labels_of(case, n):
    return [NAMES[i % len(NAMES)] if case == "names" else f"x{i}" for i in range(n)]


def grid_of(case):
    n = {"single": 1, "names": len(NAMES)}.get(case, 2)
    grid = {axis: [label(case)] for axis in ("task", "partition")}
    grid |= {axis: labels_of(case, n) for axis in ("attack", "defense")}
    return grid | {"ratio": [0.25] if case in ("single", "names") else [0.25, 0.5], "seed": [1]}


def values_of(case, metrics):
    """Values of every run, none of them of these metrics where there is nothing to show."""
    grid = grid_of(case)
    place = grid["task"] + grid["partition"]
    rows = [
        dict(zip(LABELS, (*place, attack, ratio, defense), strict=True))
        | {"seed": 1, "metric": metric, "value": np.nan if case == "unknown" else 0.5}
        for attack in grid["attack"]
        for ratio in grid["ratio"]
        for defense in grid["defense"]
        for metric in (["other"] if case == "nothing" else metrics)
    ]
    return pd.DataFrame(rows)


def values(folder, case, *metrics):
    values_of(case, metrics).to_csv(folder / "values.csv", index=False)
    grid = grid_of(case)
    return {"values": folder / "values.csv", "order": [*grid["defense"], *grid["attack"]]}


def success_bars(folder, case):
    return values(folder, case, "accuracy", "asr", "accuracy_unattacked", "asr_floor")


def sanitization_bars(folder, case):
    return values(folder, case, "sanitization.recall", "sanitization.clean_lost")


def boundary(folder, case):
    shares = {name: (i + 1) / 5 for i, name in enumerate(grid_of(case)["attack"])}
    return values(folder, case, "asr", "asr_floor") | {"shares": shares, "n_clients": 8}


def curves(folder, case):
    rates = {"nothing": "", "unknown": np.nan}.get(case, 0.5)
    columns = ["accuracy", "asr", f"asr.{label(case)}"]
    frame = pd.DataFrame({"round": [1] if case == "single" else [1, 2, 3]})
    frame.assign(**dict.fromkeys(columns, rates)).to_csv(folder / "rounds.csv", index=False)
    grid = grid_of(case)
    return {
        "grid": grid,
        "files": str(folder / "rounds.csv"),
        "order": grid["defense"],
        "columns": columns,
    }


def log(folder, case):
    """A log of clients that trained on nothing, whom nobody screened, or with no finite score."""
    score = {"unknown": np.inf, "nothing": np.nan}.get(case, 0.5)
    frame = pd.DataFrame({"client": range(1 if case == "single" else N_CLIENTS)})
    frame = frame.assign(
        round=1, n_samples=0 if case == "nothing" else 20, screened=case != "nothing"
    )
    frame = frame.assign(score=score, benign=True)
    if case == "unknown":
        frame.loc[0, "score"] = np.nan
    frame.to_csv(folder / "clients.csv", index=False)
    return str(folder / "clients.csv")


def batch_times(folder, case):
    spent = {"single": 0.0}.get(case, 1.0)
    record = {"settings": {"task": {"local": {"epochs": 1, "batch_size": 8}}}}
    parts = ["train", "judge", "screen", "aggregate", "learn"]
    record["seconds_of_parts"] = [dict.fromkeys(parts, spent)]
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    return {
        "grid": grid_of(case),
        "clients_logs": log(folder, case),
        "records": str(folder / "run.json"),
        "order": grid_of(case)["defense"],
        "table": folder / "times.csv",
    }


def dataset(case, split=0):
    """Small images; of a single pixel in two channels where there is a single one."""
    n = 1 if case == "single" else 12
    shape = (n, 2, 1, 1) if case == "single" else (n, 1, 8, 8)
    images = np.random.default_rng(split).integers(0, 256, shape, np.uint8)
    labels = np.arange(n, dtype=np.int64) % N_CLASSES
    return Dataset(images, labels, tuple(labels_of(case, N_CLASSES)))


def truth(folder, case):
    """What was poisoned: nothing where there is nothing to show."""
    data = dataset(case)
    samples = np.arange(0 if case == "nothing" else 1)
    poisoning = Poisoning(
        malicious=np.arange(0 if case == "nothing" else 1),
        samples=samples,
        kind=np.full(len(samples), label(case)),
        labels_before=data.labels[samples],
        labels_after=(data.labels[samples] + 1) % N_CLASSES,
        images=data.images[samples],
    )
    write_poisoning(folder / "poisoning.npz", poisoning)
    write_partition(folder / "clients.npz", Partition(np.arange(len(data.labels)) % 3, 3))
    write_data(folder / "data.npz", data, dataset(case, 1))
    return folder / "poisoning.npz"


def quality(folder, case):
    return {
        "grid": grid_of(case) | {"defense": [label(case)]},
        "logs": log(folder, case),
        "poisonings": str(truth(folder, case)),
        "order": grid_of(case)["attack"],
        "score": label(case),
    }


def updates(folder, case):
    n = 1 if case == "single" else 5
    points = np.full((n, 2), np.nan if case == "unknown" else 1.0, np.float32)
    found = {"round1.points": points, "round1.clients": np.arange(n)}
    write_arrays(folder / "screened.npz", {} if case == "nothing" else found)
    return {
        "grid": grid_of(case) | {"defense": [label(case)]},
        "files": str(folder / "screened.npz"),
        "poisonings": str(truth(folder, case)),
    }


def flags(folder, case):
    n = 1 if case == "single" else N_CLIENTS
    excess = np.zeros((n, N_CLASSES, N_CLASSES)) if case == "nothing" else np.ones((n, 2, 2))
    layer = NAMES[0] if case == "names" else "conv2"
    write_arrays(folder / "kept.npz", {f"round1.server.{layer}:excess": excess})
    return {
        "grid": grid_of(case),
        "kept": str(folder / "kept.npz"),
        "poisonings": str(truth(folder, case)),
        "sanitizer": label(case),
        "table": folder / "flags.csv",
    }


def caught(folder, case):
    poisonings = truth(folder, case)
    n = len(dataset(case).labels)
    write_arrays(folder / "kept.npz", {"keep": np.full(n, case == "nothing")})
    grid = grid_of(case)
    return {
        "grid": grid | {"attack": [] if case == "unknown" else grid["attack"]},
        "data": folder / "data.npz",
        "kept": str(folder / "kept.npz"),
        "poisonings": str(poisonings),
    }


def feature_space(folder, case):
    poisonings = truth(folder, case)
    data = dataset(case)
    write_arrays(
        folder / "keep.npz",
        {"keep": np.ones(len(data.labels), bool), "repaired": np.full(len(data.labels), -1)},
    )
    own = np.flatnonzero(np.arange(len(data.labels)) % 3 == 0)
    features = np.ones((len(own), 1 if case == "single" else 4), np.float32)
    view = {"features": features, "labels": data.labels[own], "n_classes": np.array(N_CLASSES)}
    write_arrays(folder / "view.npz", view)
    return {
        "attacks": [label(case)],
        "poisonings": [poisonings],
        "clients": [folder / "clients.npz"],
        "keeps": [folder / "keep.npz"],
        "views": [folder / "view.npz"] * 3,
    }


def feature_maps(folder, case):
    data = dataset("names" if case == "names" else "unknown")
    test = dataset("names" if case == "names" else "unknown", 1)
    if case == "nothing":
        test = Dataset(test.images, np.zeros_like(test.labels), test.classes)
    if case == "single":
        test = Dataset(test.images[:2], test.labels[:2], test.classes)
    write_data(folder / "data.npz", data, test)
    weights = copy_weights(initial_model(MODEL, data, 0))
    if case == "unknown":
        weights = {name: tensor * np.nan for name, tensor in weights.items()}
    save_file(weights, folder / "model.safetensors")
    scenario = dict.fromkeys(("task", "partition", "attack"), label(case))
    return {
        "data": folder / "data.npz",
        "weights": folder / "model.safetensors",
        "unattacked": folder / "model.safetensors",
        "attack": {"use": "backdoor", "target": 0},
        "model": MODEL,
        "scenario": scenario | {"ratio": "0.25", "seed": 1},
    }


STAGES = {
    made.__name__: made
    for made in (
        success_bars,
        sanitization_bars,
        boundary,
        curves,
        batch_times,
        quality,
        updates,
        flags,
        caught,
        feature_space,
        feature_maps,
    )
}


def test_every_stage_that_draws_is_tried(stage):
    drawing = {
        name
        for name in summaries("stages")
        if "figures" in inspect.signature(stage(name)).parameters
    }
    assert drawing - {"page"} == set(STAGES)


@pytest.fixture
def blanks(monkeypatch):
    """Reasons that blank pictures were made for."""
    given, blank = [], look.blank
    monkeypatch.setattr(look, "blank", lambda reason: given.append(reason) or blank(reason))
    return given


@pytest.mark.parametrize(
    "case", [*CASES[:2], *(pytest.param(case, marks=pytest.mark.slow) for case in CASES[2:])]
)
@pytest.mark.parametrize("name", STAGES)
def test_a_picture_is_drawn_of_whatever_there_is(stage, tmp_path, blanks, name, case):
    figures = [tmp_path / f"figure.{ending}" for ending in ("png", "pdf")]
    stage(name)(**STAGES[name](tmp_path, case), figures=figures)
    with Image.open(figures[0]) as image:
        assert min(image.size) > 100
        assert max(image.size) <= look.MOST_PIXELS
        assert len(image.convert("L").getcolors()) > 1  # not a white sheet
    assert figures[1].read_bytes().startswith(b"%PDF-")
    assert not [reason for reason in blanks if "cannot be drawn" in reason]
    if case in ("names", "single"):
        assert not blanks


def test_dollars_are_no_formulas(tmp_path):
    axes = look.blank("$x_1$ costs 5 $").findobj(lambda artist: hasattr(artist, "get_parse_math"))
    assert not any(text.get_parse_math() for text in axes)


def test_a_figure_that_cannot_be_drawn_says_why_in_its_place(
    stage, tmp_path, monkeypatch, capsys, blanks
):
    def fails(runs, order):
        raise ValueError("no such $luck$")

    monkeypatch.setattr(bars, "success_bars", fails)
    figures = [tmp_path / f"figure.{ending}" for ending in ("png", "pdf")]
    stage("success_bars")(**success_bars(tmp_path, "single"), figures=figures)
    assert blanks == ["This figure cannot be drawn: ValueError: no such $luck$"]
    assert all(path.stat().st_size > 1000 for path in figures)
    assert "Traceback" in capsys.readouterr().err


def test_a_broken_file_is_still_an_error(stage, tmp_path):
    (tmp_path / "values.csv").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match=r"values\.csv"):
        stage("success_bars")(
            values=tmp_path / "values.csv", order=[], figures=[tmp_path / "figure.png"]
        )


@pytest.mark.slow
def test_a_figure_of_hundreds_of_attacks_fits_a_page(tmp_path):
    one = values_of("single", ["accuracy", "asr"])
    many = pd.concat([one.assign(attack=f"a{i}") for i in range(80)], ignore_index=True)
    many.to_csv(tmp_path / "values.csv", index=False)
    look.draw(lambda: bars.success_bars(many, []), tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as image:
        assert max(image.size) <= look.MOST_PIXELS
