"""Paths as users write them, in every key and variable."""

import copy
import os

import pytest
from test_settings import SCHEMA, VALID

from fedsieve import leases, paths, registry, settings
from fedsieve.__main__ import parser
from fedsieve.datasets import npz
from fedsieve.errors import InputError
from fedsieve.settings import check, complete


@pytest.fixture(autouse=True)
def _places(tmp_path, monkeypatch):
    """A home and a working directory with letters and spaces, and variables that name folders."""
    for name in ("my home", "wörk (1)"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "my home"))
    monkeypatch.setenv("SCRATCH", str(tmp_path / "my home"))
    monkeypatch.delenv("FEDSIEVE_DATA", raising=False)
    monkeypatch.setenv(registry.ELSEWHERE, "")
    monkeypatch.chdir(tmp_path / "wörk (1)")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("~/a b", "my home/a b"),
        ("$SCRATCH/ä", "my home/ä"),
        ("${SCRATCH}/ä", "my home/ä"),
        ("a b/(1)", "wörk (1)/a b/(1)"),
        ("../x", "x"),
    ],
)
def test_a_path_is_filled_in_as_a_shell_does(tmp_path, text, found):
    assert paths.expanded(text).resolve() == tmp_path / found
    absolute = str(tmp_path / "set" / found)
    assert paths.expanded(absolute, tmp_path / "other") == tmp_path / "set" / found


@pytest.mark.parametrize(
    "text", ["$NO_SUCH/x", "${NO_SUCH}/x", "a/$NO_SUCH", "~nobody-of-that-name/x"]
)
def test_an_unknown_variable_or_user_is_refused_by_name(text):
    with pytest.raises(InputError, match=r"there is no variable or user .*(NO_SUCH|~nobody)"):
        paths.expanded(text)


@pytest.mark.parametrize("name", ["$NO_SUCH", "~no-such-user"])
def test_a_file_that_is_called_so_is_found(name, tmp_path):
    (tmp_path / "wörk (1)" / name).touch()
    assert paths.expanded(name).is_file()


def configuration(**changes):
    found = copy.deepcopy(VALID)
    found["tasks"]["small"]["dataset"] = {"use": "npz", "file": "s.npz"}
    return complete(found | changes)


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("data_root", {"data_root": "$NO_SUCH/data"}),
        ("plugins", {"plugins": ["$NO_SUCH/mine"]}),
        ("tasks.small.dataset.file", {}),
    ],
)
def test_an_unknown_variable_is_refused_with_its_key(key, changes):
    config = configuration(**changes)
    if not changes:
        config["tasks"]["small"]["dataset"]["file"] = "$NO_SUCH/s.npz"
    with pytest.raises(InputError, match=rf"{key}: .*NO_SUCH"):
        check(config, SCHEMA)


def test_folders_of_plugins_may_lie_at_home_or_behind_a_link(tmp_path, plugin_source, monkeypatch):
    (tmp_path / "my home/plug ins/aggregators").mkdir(parents=True)
    (tmp_path / "my home/plug ins/aggregators/mine.py").write_text(plugin_source, encoding="utf-8")
    (tmp_path / "link ü").symlink_to(tmp_path / "my home/plug ins")
    for folder in ("~/plug ins", "$SCRATCH/plug ins", "../link ü", str(tmp_path / "link ü")):
        monkeypatch.setenv(registry.ELSEWHERE, "")
        config = configuration(plugins=[folder])
        registry.look_in(settings.plugin_folders(config))
        assert not list(settings._folders(config))
        assert os.environ[registry.ELSEWHERE] == str(tmp_path / "my home/plug ins")
        monkeypatch.setenv(registry.ELSEWHERE, folder)
        assert "mine" in registry.available("aggregators")


@pytest.fixture
def plugin_source():
    return (
        "def init(n_clients, layout): ...\ndef aggregate(updates, cohort, n_samples, state): ...\n"
    )


def test_a_folder_of_plugins_that_no_list_can_hold_is_refused(tmp_path):
    (tmp_path / "a:b/aggregators").mkdir(parents=True)
    with pytest.raises(InputError, match=r"plugins\[0\]: : in .*rename it"):
        check(configuration(plugins=[str(tmp_path / "a:b")]), SCHEMA)


def test_an_own_archive_is_found_however_its_path_is_written(tmp_path):
    path = tmp_path / "my home/säch 1.npz"
    path.write_bytes(b"content")
    (tmp_path / "link.npz").symlink_to(path)
    (digest,) = npz.fetch(path.parent, file=path.name).values()
    for root, file in (
        (tmp_path, "~/säch 1.npz"),
        (tmp_path, "$SCRATCH/säch 1.npz"),
        (tmp_path, "my home/säch 1.npz"),
        (tmp_path, "link.npz"),
        (tmp_path / "wörk (1)", "../link.npz"),
        (tmp_path / "wörk (1)", str(path)),
    ):
        ((name, found),) = npz.fetch(root, file=file).items()
        assert found == digest
        # no name tells the machine
        assert not name.startswith(("/", "~", "$"))
        assert settings.own_archive(root, file).samefile(path)


def test_a_variable_says_where_cards_are_leased(tmp_path, monkeypatch):
    monkeypatch.setenv(leases.FOLDER, "~/my leases")
    assert leases.folder() == tmp_path / "my home/my leases"


def test_a_command_fills_in_the_home_that_a_shell_leaves(tmp_path):
    from fedsieve.tools.compare import compare

    asked = parser(compare).parse_args(["a", "b", "--results=~/my results"])
    assert asked.results == tmp_path / "my home/my results"


def test_a_name_in_a_file_is_utf8_whatever_the_locale(monkeypatch):
    assert paths.written("ä/b") == "ä/b"
    monkeypatch.setattr(os, "fsdecode", lambda name: name.decode("latin-1"))
    assert paths.written("ä").encode("latin-1") == "ä".encode()
