from pathlib import Path

import pytest

from fedsieve import ancestry
from fedsieve.errors import InputError

COMMAND = (
    'python -m fedsieve train --data results/d.npz --keep  --task \'{"rounds": 10, "model": '
    '{"use": "cnn2"}}\' --seed 3 --code 7aad --model results/m --device auto --workers 1'
    " > results/train.log 2>&1"
)


def job(command, reason=""):
    return ancestry.Job("train", "results/m", reason, command)


def test_settings_are_what_is_neither_a_file_nor_the_machine():
    found = ancestry.settings(job(COMMAND))
    task = '{"rounds": 10, "model": {"use": "cnn2"}}'
    assert found == {"keep": "", "task": task, "seed": "3", "code": "7aad"}


def test_a_change_is_named_by_its_path_in_the_settings():
    before = ancestry.settings(job(COMMAND))
    now = ancestry.settings(job(COMMAND.replace("10", "11").replace('"cnn2"', '"mlp", "x": [1]')))
    assert ancestry.changes(before, now) == [
        "task.rounds: 10 -> 11",
        "task.model.use: cnn2 -> mlp",
        "task.model.x: nothing -> [1]",
    ]
    assert ancestry.changes(before, before) == []


def test_where_no_snakemake_ran_is_said(tmp_path):
    with pytest.raises(InputError, match="go where Snakemake ran"):
        ancestry.recorded(Path("results/x"), tmp_path)


def test_a_configuration_that_is_no_yaml_is_named_with_its_line(tmp_path):
    fine, broken = tmp_path / "fine.yaml", tmp_path / "broken.yaml"
    fine.write_text("run: [demo]\n", encoding="utf-8")
    broken.write_text("tasks:\n  mine:\n    rounds: 8\n   cohort: 4\n", encoding="utf-8")
    with pytest.raises(InputError, match=rf'no YAML(.|\n)*"{broken}", line 4, column'):
        ancestry.planned([], [fine, broken])


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """A folder where Snakemake ran, whose results lie on another disk; it is the current one."""
    folder, disk = tmp_path / "my runs", tmp_path / "disk"
    (folder / ".snakemake/metadata").mkdir(parents=True)
    (disk / "tables").mkdir(parents=True)
    (disk / "tables/demo.csv").touch()
    (folder / "results").symlink_to(disk)
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    "path",
    [
        "results/tables/demo.csv",
        "./results/../results/tables/demo.csv",
        "{0}/my runs/results/tables/demo.csv",
        "{0}/link/results/tables/demo.csv",
        "{0}/disk/tables/demo.csv",
        "../disk/tables/demo.csv",
    ],
)
def test_a_file_is_located_however_its_path_is_written(ran, path):
    folder, name = ancestry.located(Path(path.format(ran.parent)))
    assert folder.samefile(ran)
    assert name == Path("results/tables/demo.csv")


def test_a_folder_without_a_workflow_is_planned_by_that_of_the_clone(ran):
    assert str(ancestry.WORKFLOW) in ancestry.snakemake([], [])
    (ran / "Snakefile").touch()
    assert "--snakefile" not in ancestry.snakemake([], [])
    command = ancestry.snakemake([], [Path("config/mine.yaml")], folder=Path("elsewhere"))
    assert command[-2:] == ["--configfile", str(ran / "config/mine.yaml")]


def test_without_any_workflow_it_is_said_where_to_go(ran, monkeypatch):
    monkeypatch.setattr(ancestry, "WORKFLOW", ran / "none")
    with pytest.raises(InputError, match="my runs: no Snakefile; go where"):
        ancestry.snakemake([], [])
