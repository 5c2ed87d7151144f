import importlib.util

import pytest
import yaml

from fedsieve import registry
from fedsieve.errors import InputError
from fedsieve.tools.new import EXAMPLES, RUN, new


@pytest.mark.parametrize("kind", registry.CONTRACTS)
def test_each_kind_starts_from_a_working_example_that_the_configuration_can_name(
    kind, tmp_path, capsys, monkeypatch
):
    new(kind.removesuffix("s"), "mine", folder=tmp_path)
    path = tmp_path / kind / "mine.py"
    monkeypatch.setenv(registry.ELSEWHERE, str(tmp_path))
    spec = importlib.util.spec_from_file_location(f"fedsieve.{kind}.mine", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert {*vars(module)} & {*registry.CONTRACTS[kind]}
    said = capsys.readouterr().out
    shown = yaml.safe_load(said.split("\n\n", 1)[1].split("\ntest it")[0])
    assert "use: mine" in yaml.safe_dump(shown)
    assert shown["plugins"] == [str(tmp_path)]
    assert f"FEDSIEVE_PLUGINS={tmp_path} " in said
    assert f"tests/contracts/test_{kind}.py -k '[mine] or -mine]'" in said


def test_an_example_of_an_aggregator_does_what_its_contract_asks(tmp_path, monkeypatch):
    new("aggregator", "mine", folder=tmp_path)
    monkeypatch.setenv(registry.ELSEWHERE, str(tmp_path))
    registry.check("aggregators", {"use": "mine", "momentum": 0.5})
    with pytest.raises(InputError, match="unknown parameter 'momentun'"):
        registry.check("aggregators", {"use": "mine", "momentun": 0.5})


def test_labels_have_hyphens_and_files_have_underscores(tmp_path, capsys):
    new("attack", "my_negative", folder=tmp_path)
    shown = yaml.safe_load(capsys.readouterr().out.split("\n\n", 1)[1].split("\ntest it")[0])
    assert shown["attacks"] == {"my-negative": {"use": "my_negative", "target": 0}}
    assert shown["grids"]["mine"]["attack"] == ["my-negative"]


def test_the_command_printed_is_the_one_documented():
    assert f"```sh\n{RUN}\n```" in EXAMPLES.read_text(encoding="utf-8")


def test_a_defense_is_said_to_be_made_of_three_kinds(tmp_path):
    with pytest.raises(InputError, match="made of a sanitizer, a detector and an aggregator"):
        new("defense", "mine", folder=tmp_path)


def test_nothing_is_overwritten(tmp_path):
    new("attack", "mine", folder=tmp_path)
    with pytest.raises(InputError, match=f"{tmp_path}/attacks/mine.py is a plug-in of this name"):
        new("attack", "mine", folder=tmp_path)
    taken = "src/fedsieve/aggregators/krum.py is a plug-in of this name"
    with pytest.raises(InputError, match=taken):
        new("aggregator", "krum", folder=tmp_path)


@pytest.mark.parametrize("name", ["my-defense", "Mine", "2fast", "../x", ""])
def test_a_name_must_be_that_of_a_module(name, tmp_path):
    with pytest.raises(InputError, match="no name of a Python module"):
        new("attack", name, folder=tmp_path)


def test_an_unknown_kind_names_the_nearest(tmp_path):
    with pytest.raises(InputError, match=r"did you mean 'aggregator'\?"):
        new("agregator", "mine", folder=tmp_path)
