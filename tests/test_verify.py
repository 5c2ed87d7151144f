import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest
from crates import KRUM
from crates import crate as crate
from crates import results as results

from fedsieve.__main__ import main
from fedsieve.errors import InputError
from fedsieve.stages.crate import METADATA
from fedsieve.tools.verify import verify

CSV = "results/tables/small.csv"


@pytest.fixture
def verified(capsys):
    """Exit code of the tool, and what it prints."""

    def run(*arguments):
        code = main(["verify", *map(str, arguments)])
        return code, "".join(capsys.readouterr())

    return run


def edited(path, name, old, new):
    """A copy of a crate in which a file, or what the crate records, was changed."""
    target = path.with_name("edited.zip")
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w") as copy:
        for member in archive.namelist():
            content = archive.read(member)
            assert member != name or old in content
            if member != name or new is not None:
                copy.writestr(member, content.replace(old, new) if member == name else content)
    return target


def test_an_intact_crate_agrees(verified, crate, results):
    code, said = verified(crate(), "--results", results)
    assert code == 0
    # 4 runs x 1 defined metric of 3: accuracy, asr, floor; 7 statistics of 2 x 4 metrics
    assert f"{CSV}: 56 of 56 numbers agree" in said
    assert "everything that was checked agrees" in said


def test_an_unpacked_crate_agrees(verified, crate, tmp_path):
    with zipfile.ZipFile(crate()) as archive:
        archive.extractall(tmp_path / "unpacked")
    assert verified(tmp_path / "unpacked")[0] == 0


def test_without_the_results_large_files_are_said_to_be_unchecked(verified, crate):
    assert "not checked: 4 files" in verified(crate())[1]


def test_a_changed_digit_in_a_table_is_named_with_the_right_one(verified, crate):
    # krum: the mean of 0.875 and 0.9375
    code, said = verified(edited(crate(), CSV, b"0.90625", b"0.90635"))
    assert code == 1
    assert f"{CSV}: changed in the crate" in said
    place = f"{CSV}: digits, iid-4, flip, 0.5, krum, accuracy, mean"
    assert f"{place}: says 0.90635; the scores give 0.90625" in said
    assert f"{CSV}: 55 of 56 numbers agree" in said


@pytest.mark.parametrize("kind", ["md", "tex", "html", "txt"])
def test_a_changed_digit_in_a_shown_table_is_named(verified, crate, kind):
    name = f"results/tables/small.{kind}"
    code, said = verified(edited(crate(), name, b"90.6", b"90.7"))
    assert code == 1
    assert f"{name}: line " in said
    assert "90.7" in said


def test_changed_scores_are_named_with_the_numbers_that_rest_on_them(verified, crate):
    name = f"{KRUM}/metrics.json"
    code, said = verified(edited(crate(), name, b"0.875", b"0.975"))
    assert code == 1
    assert f"{name}: changed in the crate" in said
    assert "krum, accuracy, mean: says 0.90625; the scores give 0.95625" in said


def test_missing_scores_are_named(verified, crate):
    name = f"{KRUM}/metrics.json"
    code, said = verified(edited(crate(), name, b"", None))
    assert code == 1
    assert f"{name}: missing from the crate" in said
    assert "the tables cannot be made anew" in said


@pytest.mark.parametrize("change", ["changed", "missing"])
def test_a_model_that_is_not_as_recorded_is_named(verified, crate, results, change):
    path, model = crate(), Path(KRUM) / "model.safetensors"
    model.unlink() if change == "missing" else model.write_bytes(b"0000")
    code, said = verified(path, "--results", results)
    assert code == 1
    assert f"{model}: {change}" in said
    assert "1 differences" in said


def test_changed_scores_in_the_results_are_named(verified, crate, results):
    path, scores = crate(), Path(KRUM) / "metrics.json"
    scores.write_text(scores.read_text(encoding="utf-8").replace("0.875", "0.9"), encoding="utf-8")
    code, said = verified(path, "--results", results)
    assert code == 1
    assert f"{scores}: changed in {results}" in said


def test_a_published_copy_is_compared(verified, crate, tmp_path):
    path, copy = crate(), tmp_path / "copy.csv"
    copy.write_text(Path(CSV).read_text(encoding="utf-8"), encoding="utf-8")
    assert verified(path, "--published", copy)[0] == 0
    copy.write_text(
        Path(CSV).read_text(encoding="utf-8").replace("0.90625", "0.91"), encoding="utf-8"
    )
    code, said = verified(path, "--published", copy)
    assert code == 1
    assert f"{copy}: digits, iid-4, flip, 0.5, krum, accuracy, mean: says 0.91" in said


def test_the_last_bit_of_a_number_may_differ(verified, crate, tmp_path):
    path, copy = crate(), tmp_path / "copy.csv"
    copy.write_text(
        Path(CSV).read_text(encoding="utf-8").replace("0.90625", "0.90625000000001"),
        encoding="utf-8",
    )
    assert verified(path, "--published", copy)[0] == 0


def test_missing_and_additional_rows_of_a_published_table_are_named(verified, crate, tmp_path):
    path, copy = crate(), tmp_path / "copy.csv"
    copy.write_text(
        Path(CSV).read_text(encoding="utf-8").replace("krum,accuracy", "krum,luck"),
        encoding="utf-8",
    )
    said = verified(path, "--published", copy)[1]
    assert "krum, accuracy, mean: says nothing; the scores give 0.90625" in said
    assert "krum, luck, mean: says 0.90625; the scores give nothing" in said


@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_what_is_no_crate_is_refused_in_a_line(verified, tmp_path, content):
    if content is not None:
        (tmp_path / "x.zip").write_bytes(content)
    code, said = verified(tmp_path / "x.zip")
    assert code == 1
    assert "no crate can be read there" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("text", [b"{}", b"[]", b"not json", b'{"@graph": [{"sha256": 1}]}'])
def test_a_crate_of_another_kind_is_refused(tmp_path, text):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(METADATA, text)
    with pytest.raises(InputError, match="not FedSieve's"):
        verify(tmp_path / "x.zip")


def test_a_name_that_leads_out_of_the_folder_is_not_read(verified, crate, results):
    shutil.copy(f"{KRUM}/model.safetensors", results.parent / "secret")
    old = f'"name": "{KRUM}/model.safetensors"'.encode()
    path = edited(crate(), METADATA, old, b'"name": "results/../secret"')
    code, said = verified(path, "--results", results)
    assert code == 1
    assert "results/../secret: missing" in said


def test_labels_that_lead_out_of_the_folder_write_nothing(verified, crate, tmp_path):
    away = os.path.relpath(tmp_path / "away", "/")
    old, new = '\\"krum\\"', f'\\"{"../" * 20}{away}\\"'
    path = edited(crate(), METADATA, old.encode(), new.encode())
    assert verified(path)[0] == 1
    assert not (tmp_path / "away").exists()


def test_scores_follow_from_predictions(verified, results, stage, training, scenario):
    """A real training, scored by the workflow's own stages, and one score changed afterwards."""
    folder = results / "real"
    given = training(folder, rounds=1)
    stage("train")(**given)
    floor = {"accuracy_unattacked": 0.5, "asr_floor": 0.1, "asr_floor.flip": 0.1}
    (folder / "floor.json").write_text(json.dumps(floor), encoding="utf-8")
    for name in ("data", "clients", "poisoning"):
        shutil.copy(scenario / f"{name}.npz", folder)
    score(stage, folder, given["attack"])
    path = packed(stage, folder, given["attack"])
    arguments = ("--results", results, "--scores", "recomputed")
    assert verified(path, *arguments)[0] == 0
    scores = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    scores["accuracy"] += 0.125
    (folder / "metrics.json").unlink()  # a forger's file has no seal, or one of its own
    (folder / "metrics.json").write_text(json.dumps(scores), encoding="utf-8")
    code, said = verified(packed(stage, folder, given["attack"]), *arguments)
    assert code == 1
    assert f"results/real/metrics.json: accuracy: says {scores['accuracy']}" in said


def score(stage, folder, attack):
    names = ("data", "clients", "poisoning", "predictions", "kept", "screened")
    files = {name: folder / f"{name}.npz" for name in names}
    files |= {"clients_log": folder / "clients.csv", "floor": folder / "floor.json"}
    made = {"rounds": folder / "rounds.csv", "metrics_file": folder / "metrics.json"}
    stage("evaluate")(**files, **made, attack=attack, last_rounds=1)


def packed(stage, folder, attack):
    """The crate of a grid of one run, whose files lie in one folder."""
    one = {"task": ["t"], "partition": ["p"], "attack": ["a"], "ratio": [0.4]}
    grid = one | {"defense": ["none"], "seed": [1]}
    files = [f"results/real/{path.name}" for path in sorted(folder.iterdir()) if path.is_file()]
    tables = {k: Path(f"results/tables/real.{k}") for k in ("csv", "md", "tex", "html", "txt")}
    told = {"grid": grid, "order": ["none", "a"], "marks": {}}
    stage("table")(**told, files="results/real/metrics.json", **tables)
    config = {"tasks": {"t": {}}, "attacks": {"a": attack}}
    target = folder.with_name("real.zip")
    stage("crate")(
        **told,
        name="real",
        files=[name for name in files if not name.endswith(".lock")],
        tables=list(tables.values()),
        config=config,
        agent="",
        results=Path("results"),
        crate=target,
    )
    return target


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--scores", "all"], "neither 'given' nor"), (["--scores", "recomputed"], "--results")],
)
def test_a_wrong_request_is_refused_in_a_line(verified, crate, arguments, message):
    code, said = verified(crate(), *arguments)
    assert code == 1
    assert message in said


def test_help_lists_the_tool(capsys):
    assert main(["--help"]) == 0
    assert "  verify " in capsys.readouterr().out
