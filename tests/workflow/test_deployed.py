"""Deployed from git, as the Snakemake workflow catalog says: a module in an empty folder."""

import functools
import http.server
import json
import shutil
import subprocess
import threading

import pytest
import yaml
from conftest import Workspace
from needed import absent

pytestmark = pytest.mark.slow

ADDRESS = "https://github.com/someone/fedsieve"
HOSTED = 'github("someone/fedsieve", path="workflow/Snakefile", tag="v1")'
TABLE = "results/tables/tiny.csv"
TINY = {
    "common": True,
    "tasks": {
        "digits": {
            "dataset": {"use": "digits"},
            "max_samples": 60,
            "model": {"use": "cnn2", "padding": 1, "hidden": 8, "channels": [4, 4]},
            "rounds": 1,
            "cohort": 2,
            "sampling": "uniform",
            "local": {
                "epochs": 1,
                "batch_size": 16,
                "lr": 0.1,
                "momentum": 0.0,
                "weight_decay": 0.0,
            },
            "warmup": {"rounds": 1, "steps": 5},
        }
    },
    "partitions": {"iid-2": {"use": "iid", "n_clients": 2}},
    "attacks": {"flip": {"use": "label_flip", "source": 3, "target": 2}},
    "grids": {
        "tiny": {
            "task": ["digits"],
            "partition": ["iid-2"],
            "attack": ["flip"],
            "ratio": [0.5],
            "defense": ["none", "median"],  # of config/common.yaml, which lies in git
            "seed": [1],
        }
    },
}


def git(*arguments):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    done = subprocess.run(
        ["git", *identity, *map(str, arguments)], capture_output=True, encoding="utf-8", check=True
    )
    return done.stdout.strip()


@pytest.fixture
def origin(fresh):
    """The repository in git, with a work tree and the tag v1."""
    if not shutil.which("git"):
        absent("git")
    git("init", "--quiet", "--initial-branch", "main", fresh.root)
    git("-C", fresh.root, "add", "--all")
    git("-C", fresh.root, "commit", "--quiet", "--message", "as it is")
    git("-C", fresh.root, "tag", "v1")
    return fresh.root


@pytest.fixture
def hosted(origin, tmp_path):
    """Environment in which a bare repository answers for one at github.com, without a network."""
    bare = tmp_path / "hosted.git"
    git("clone", "--quiet", "--bare", origin, bare)
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{bare}.insteadOf",
        "GIT_CONFIG_VALUE_0": ADDRESS,
        "GITHUB_TOKEN": "",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }


def deployed(folder, snakefile, more="", names=""):
    """An empty folder but for a configuration, and a Snakefile that takes all rules from git."""
    (folder / "config").mkdir(parents=True)
    (folder / "config/config.yaml").write_text(yaml.safe_dump(TINY), encoding="utf-8")
    (folder / "Snakefile").write_text(
        f"""configfile: "config/config.yaml"

module fedsieve:
    snakefile: {snakefile}
    config: config
    {more}

use rule * from fedsieve {names}
""",
        encoding="utf-8",
    )
    return Workspace(folder)


def local(origin, reference='ref="main"'):
    return f'gitfile("{origin}", path="workflow/Snakefile", {reference})'


def test_a_grid_runs_in_an_empty_folder_from_a_bare_repository(hosted, origin, tmp_path):
    workspace = deployed(tmp_path / "my säch (1)", HOSTED, 'prefix: "there is"')
    workspace.run("--cores", "2", f"there is/{TABLE}", config=None, env=hosted)
    made = workspace.root / "there is/results"
    record = next(made.glob("*/*/*/flip/*/none/run.json"))
    # what was run is known by its commit
    source = json.loads(record.read_text(encoding="utf-8"))["environment"]["source"]
    assert source == {"commit": git("-C", origin, "rev-parse", "HEAD"), "modified": False}
    assert "accuracy" in (made / "tables/tiny.csv").read_text(encoding="utf-8")
    assert not (workspace.root / "results/tables").exists()
    assert workspace.planned(f"there is/{TABLE}", config=None, env=hosted) == {}


@pytest.mark.parametrize(
    ("more", "names", "prefix"),
    [("", "", ""), ("", "as fedsieve_*", ""), ('prefix: "below/here"', "", "below/here/")],
)
def test_a_page_is_planned_from_a_local_clone(origin, tmp_path, more, names, prefix):
    workspace = deployed(tmp_path / "empty", local(origin), more, names)
    said = workspace.run("--dry-run", "--printshellcmds", config=None)
    # paths of the rules, and those that a job fills in itself
    assert f"--md {shown(prefix + 'results/tables/tiny.md')}" in said
    assert f"--summaries {shown(prefix + 'results/tables/{grid}.csv')}" in said
    asked = "page" if not names else "fedsieve_page"
    assert f"rule {asked}:" in said
    if prefix:
        assert " results/" not in said


def shown(path):
    return f"'{path}'" if "{" in path else path


def test_another_commit_is_another_clone(origin, tmp_path):
    old = git("-C", origin, "rev-parse", "HEAD")
    (origin / "src/fedsieve/blocks.py").write_text("broken", encoding="utf-8")
    git("-C", origin, "commit", "--quiet", "--all", "--message", "broken")
    workspace = deployed(tmp_path / "empty", local(origin, f'commit="{old}"'))
    assert workspace.planned(config=None)["train"] == 3
    assert [p.name for p in (workspace.root / ".snakemake/fedsieve").iterdir()] == [old]


@pytest.fixture
def served(origin):
    """Address of the repository's files on a server of files."""
    served = functools.partial(http.server.SimpleHTTPRequestHandler, directory=origin)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), served) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_address_of_one_file_is_refused_with_what_to_name(served, tmp_path):
    workspace = deployed(tmp_path / "empty", f'"{served}/workflow/Snakefile"')
    code, said = workspace.snakemake("--dry-run", config=None)
    assert code != 0
    assert "gitfile()" in said
