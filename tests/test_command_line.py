import argparse
import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fedsieve.__main__ import main, overview, parser, summaries
from fedsieve.errors import InputError


def example(
    *, some_path: Path, many: list[Path], spec: dict[str, Any], ratio: float, seed: int = 3
) -> None:
    """Do nothing with 100 % of it."""


def parsed(line):
    return vars(parser(example).parse_args(line.split()))


def refused(line, capsys, *words):
    with pytest.raises(SystemExit) as caught:
        parsed(line)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert all(word in said for word in words)


def test_flags_are_derived_from_the_signature():
    line = '--some-path a/b --many c d --spec {"x":[1]} --ratio 0.5'
    wanted = {"some_path": Path("a/b"), "many": [Path("c"), Path("d")], "spec": {"x": [1]}}
    assert parsed(line) == wanted | {"ratio": 0.5, "seed": 3}
    assert parsed(line + " --seed 9")["seed"] == 9


def test_a_list_may_be_empty():
    assert parsed("--some-path a --many --spec {} --ratio 1")["many"] == []


def test_what_has_no_default_is_required(capsys):
    refused("--some-path a --spec {} --ratio 1", capsys, "--many")


@pytest.mark.parametrize("text", ["[1]", "1", "null", '"x"', "{", ""])
def test_what_is_no_json_object_is_refused(text, capsys):
    with pytest.raises(SystemExit) as caught:
        parser(example).parse_args(["--some-path", "a", "--many", "--ratio", "1", "--spec", text])
    assert caught.value.code == 2
    assert "--spec" in capsys.readouterr().err


def test_flags_are_never_abbreviated_and_numbers_are_numbers(capsys):
    refused("--some a --many --spec {} --ratio 1", capsys, "--some-path")
    refused("--some-path a --many --spec {} --ratio x", capsys, "--ratio", "invalid float")


def test_what_is_not_keyword_only_stands_alone():
    def duel(first: str, second: str, *, seed: int = 3) -> None:
        """Do nothing to first and second, by seed."""

    found = vars(parser(duel).parse_args(["a", "b", "--seed", "4"]))
    assert found == {"first": "a", "second": "b", "seed": 4}
    with pytest.raises(SystemExit):
        parser(duel).parse_args(["a"])


@pytest.mark.parametrize("name", summaries("stages"))
def test_every_stage_explains_its_flags(name):
    stage = getattr(importlib.import_module(f"fedsieve.stages.{name}"), name)
    made = parser(stage)
    text = made.format_help()
    arguments = inspect.signature(stage).parameters.values()
    assert all(argument.kind is argument.KEYWORD_ONLY for argument in arguments)
    flags = {flag for action in made._actions for flag in action.option_strings}
    assert flags == {"-h", "--help"} | {"--" + a.name.replace("_", "-") for a in arguments}
    for argument in arguments:
        assert argument.name in inspect.getdoc(stage), f"{name} does not document {argument.name}"
    assert isinstance(made, argparse.ArgumentParser)
    assert text.startswith(f"usage: python -m fedsieve {name}")


@pytest.mark.parametrize("folder", ["stages", "tools"])
def test_every_stage_and_tool_is_a_file_with_a_summary(folder):
    for name, summary in summaries(folder).items():
        assert summary.endswith(".")
        assert f"  {name} " in overview()


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_the_stages(arguments, capsys):
    assert main(arguments) == 0
    assert "train" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["trian", "__init__", "../rng", ""])
def test_an_unknown_stage_exits_with_2(name, capsys):
    assert main([name, "--seed", "1"]) == 2
    said = capsys.readouterr().err
    assert f"no stage or tool named {name!r}" in said
    assert "train" in said


def test_help_of_a_stage_exits_with_0():
    command = [sys.executable, "-m", "fedsieve", "keep", "--help"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    assert "--masks" in done.stdout
    assert done.stderr == ""


def test_bad_input_exits_with_1_and_one_line_and_no_traceback(tmp_path):
    flags = ["--clients", str(tmp_path / "none.npz"), "--masks"]
    flags += ["--server", str(tmp_path / "none.npz"), "--keep", str(tmp_path / "keep")]
    command = [sys.executable, "-m", "fedsieve", "keep", *flags]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith(f"fedsieve keep: error: {tmp_path / 'none.npz'}: not a usable artifact")


def test_a_file_that_another_run_has_just_deleted_is_named(monkeypatch, tmp_path, capsys):
    keep = importlib.import_module("fedsieve.stages.keep")

    def bereft(*, x: int = 1) -> None:
        (tmp_path / "gone.png").read_bytes()

    monkeypatch.setattr(keep, "keep", bereft)
    assert main(["keep"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"fedsieve keep: error: {tmp_path}/gone.png is missing; ")


def test_a_bug_keeps_its_traceback(monkeypatch):
    keep = importlib.import_module("fedsieve.stages.keep")

    def broken(*, x: int = 1) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(keep, "keep", broken)
    with pytest.raises(ValueError, match="a bug") as caught:
        main(["keep"])
    assert not isinstance(caught.value, InputError)


def test_what_stands_without_a_flag_is_shown_by_its_name():
    new = importlib.import_module("fedsieve.tools.new").new
    assert "[--folder PATH] KIND NAME" in " ".join(parser(new).format_usage().split())
