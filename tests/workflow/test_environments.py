"""Other people's homes, locales and interpreters."""

import json
import shutil

import numpy as np
import pytest
from conftest import NO_UTF8, Workspace, plain_python
from test_mistakes import archive, refused

pytestmark = pytest.mark.slow

SOURCE = "results/digits/source.json"

DEAL = '''"""Deal: one sample to each client in turn, as the laboratory's own tools say."""

import labtools
import numpy as np


def assign(labels, n_clients, rng):
    return np.arange(len(labels)) % n_clients + labtools.FIRST
'''

PRETENDED = """
import sys
{}
from snakemake.cli import main
sys.exit(main(sys.argv[1:]))
"""

WITHOUT_TORCH = """
import importlib.metadata
known = importlib.metadata.version
def version(name):
    if name in ("torch", "numpy"):
        raise importlib.metadata.PackageNotFoundError(name)
    return known(name)
importlib.metadata.version = version
"""


@pytest.fixture
def laboratory(fresh, tmp_path):
    """A workspace, and the variables of somebody whose data, plug-ins and tools lie at home."""
    home = tmp_path / "my home"
    for folder in ("däta 1", "plug ins ü/partitions", "tools"):
        (home / folder).mkdir(parents=True)
    archive(home / "däta 1/säch 1.npz")
    (home / "plug ins ü/partitions/deal.py").write_text(DEAL, encoding="utf-8")
    (home / "tools/labtools.py").write_text("FIRST = 0\n", encoding="utf-8")
    config = fresh.config()
    config["tasks"]["digits"]["dataset"] = {"use": "npz", "file": "$SET 1.npz"}
    config["partitions"]["iid-3"] = {"use": "deal", "n_clients": 3}
    fresh.configure(config | {"data_root": "~/däta 1", "plugins": ["~/plug ins ü"]})
    tools = {"PYTHONPATH": str(home / "tools"), "SET": "säch"}
    return fresh, {"HOME": str(home), **tools}


def test_data_plugins_and_tools_are_found_at_home(laboratory):
    workspace, env = laboratory
    clients = "results/digits/iid-3/seed1/clients.npz"
    workspace.run("--cores", "1", clients, env=env)
    with np.load(workspace.root / clients) as dealt:
        assert dealt["client"].tolist() == [0, 1, 2] * 6 + [0, 1]
    assert not (workspace.root / "~").exists()
    # nothing of a result names the machine, so that another home reruns nothing
    receipt = json.loads((workspace.root / SOURCE).read_text(encoding="utf-8"))
    assert list(receipt["files"]) == ["säch 1.npz"]
    assert workspace.planned(clients, env=env) == {}


@pytest.fixture
def ascii_only(laboratory, tmp_path):
    """The same in a folder and a locale of ASCII alone."""
    workspace, env = laboratory
    root = shutil.copytree(workspace.root, tmp_path / "plain")
    return Workspace(root, plain_python(tmp_path)), env | NO_UTF8


def test_a_log_is_shown_where_the_locale_lacks_its_letters(ascii_only):
    workspace, env = ascii_only
    said = refused(workspace, ["not available"], SOURCE, env=env | {"SET": "missing"})
    assert "not a text file" not in said


def test_an_archive_that_the_locale_cannot_name_is_found_and_is_the_same_in_another(ascii_only):
    workspace, env = ascii_only
    workspace.run("--cores", "1", SOURCE, env=env)
    assert workspace.planned(SOURCE, env=env) == {}
    assert workspace.planned(SOURCE, env=env | {"PYTHONUTF8": "1"}) == {}


def test_an_interpreter_that_lacks_packages_is_named_before_the_first_job(fresh):
    program = ("-c", PRETENDED.format(WITHOUT_TORCH))
    words = ["python", "lacks numpy, torch", ".venv/bin/snakemake", "--sdm conda"]
    said = refused(fresh, words, program=program)
    assert "Job stats" not in said


@pytest.mark.parametrize(("version", "works"), [("9.18.2", False), ("9.19.0", True)])
def test_a_snakemake_that_is_too_old_is_told_from_one_that_is_not(fresh, version, works):
    pretended = f"import snakemake.common; snakemake.common.__version__ = {version!r}"
    program = ("-c", PRETENDED.format(pretended))
    code, said = fresh.snakemake("--dry-run", program=program)
    assert (code == 0) is works, said
    assert works or ("9.19 or higher" in said and version in said)
