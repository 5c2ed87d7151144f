"""Copies of the repository to run Snakemake in, one of them with the whole DAG done."""

import contextlib
import copy
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from fedsieve import blocks

REPOSITORY = Path(__file__).parents[2]
PARTS = ("Snakefile", "workflow", "config", "envs", "profiles", "src")
CONFIG = "config/derived.yaml"
ENVIRONMENT = ("FEDSIEVE_DATA", "FEDSIEVE_DEVICE", "PYTHONPATH", "SNAKEMAKE_PROFILE")
"""Variables that a developer's shell may have and no run here shall see."""

WHOLE_DAG = {"finished", "one_core"}
"""Fixtures that take minutes; what uses them should run in one process."""

# What a script starts in the background ignores Ctrl-C, and so does all that it starts in turn.
signal.signal(signal.SIGINT, signal.default_int_handler)

NO_UTF8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""Variables with which Python takes files, names and terminals for ASCII."""

PLAN = "plan.txt"
"""File of a workspace that holds the output of one of several dry runs."""

PATIENCE = 1800
"""Seconds after which a run counts as hanging; a busy machine takes a third of it for a grid."""

MEAN = '''"""Mean: every client of the cohort counts the same."""

import torch

from fedsieve.vectors import Aggregate


def init(n_clients, layout):
    return {}


def aggregate(updates, cohort, n_samples, state):
    weights = torch.full((len(updates),), 1 / len(updates), dtype=updates.dtype)
    return Aggregate(weights @ updates, weights), state
'''
"""A second aggregator, so that one can be edited without the other."""


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.workflow)
            # the first test runs the whole DAG in its setup, for minutes on a busy machine
            item.add_marker(pytest.mark.timeout(2 * PATIENCE))
            # those that need it run in one process, the others wherever there is time
            if WHOLE_DAG & {*item.fixturenames}:
                item.add_marker(pytest.mark.xdist_group("whole DAG"))
            elif not item.get_closest_marker("xdist_group"):
                item.add_marker(pytest.mark.xdist_group(item.nodeid))


def plain_python(folder):
    """This interpreter by a path of plain letters.

    Snakemake's plug-in for SLURM cannot start one whose path has spaces or parentheses, nor does
    Snakemake log one of foreign letters in ASCII without a traceback.
    """
    link = folder / "environment"
    link.symlink_to(sys.prefix)
    return str(link / "bin/python")


@dataclass(frozen=True)
class Workspace:
    """A copy of the repository with what Snakemake has made in it, and whose Snakemake."""

    root: Path
    python: str = sys.executable

    def start(
        self,
        *arguments,
        config=CONFIG,
        env=None,
        program=("-m", "snakemake"),
        output=subprocess.PIPE,
    ):
        """Start this interpreter's Snakemake in a process group of its own.

        Both streams go to the output, as a terminal shows them.
        """
        inherited = {k: v for k, v in os.environ.items() if k not in ENVIRONMENT}
        configured = ["--configfile", config] if config else []
        return subprocess.Popen(
            [self.python, *program, *arguments, *configured],
            cwd=self.root,
            env=inherited | (env or {}),
            stdout=output,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="backslashreplace",
            start_new_session=True,
        )

    def snakemake(self, *arguments, **options):
        """Exit code and terminal output of a run."""
        process = self.start(*arguments, **options)
        try:
            output, _ = process.communicate(timeout=PATIENCE)
        except BaseException:
            self.kill(process)
            raise
        return process.returncode, output

    @staticmethod
    def kill(process):
        """Kill Snakemake and all its jobs at once, as a power cut would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    def run(self, *arguments, **options):
        """Terminal output of a run that must succeed."""
        code, output = self.snakemake(*arguments, **options)
        if code:
            pytest.fail(f"snakemake {' '.join(arguments)} ended with {code}:\n{output[-4000:]}")
        return output

    def planned(self, *arguments, **options):
        """Number of jobs of each rule that a dry run lists."""
        return counted(self.run("--dry-run", *arguments, **options))

    def config(self, path=CONFIG):
        return yaml.safe_load((self.root / path).read_text(encoding="utf-8"))

    def configure(self, content, path=CONFIG):
        (self.root / path).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return path


def counted(listing):
    """Number of jobs of each rule in what a dry run prints, without the collecting rule all.

    A rule is one, whatever the block of clients that it is on.
    """
    stats = re.search(r"^Job stats:\njob +count\n[- ]+\n(.*?)\n\n", listing, re.M | re.S)
    if stats is None:
        assert "Nothing to be done" in listing
        return {}
    counts = Counter()
    for line in stats[1].splitlines():
        rule, n = line.split()
        counts[blocks.base(rule)] += int(n)
    return {rule: n for rule, n in counts.items() if rule not in ("all", "total")}


def dry_runs(workspaces):
    """What Snakemake says in a dry run of each, for the price of importing it once."""
    folders = [str(workspace.root) for workspace in workspaces]
    program = [str(Path(__file__).with_name("plans.py")), PLAN, str(os.cpu_count()), *folders, "--"]
    workspaces[0].run("--dry-run", program=program)
    return [(workspace.root / PLAN).read_text(encoding="utf-8") for workspace in workspaces]


def derived(demo):
    """The demo with one seed, three clients and three rounds, and a defense that uses MEAN."""
    config = copy.deepcopy(demo)
    config["tasks"]["digits"] |= {"rounds": 3, "cohort": 3}
    config["partitions"] = {"iid-3": {"use": "iid", "n_clients": 3}}
    config["defenses"]["mean"] = {"aggregate": {"use": "mean"}}
    config["grids"]["demo"] |= {
        "partition": ["iid-3"],
        "defense": ["none", "fdsd", "perfect", "mean"],
        "seed": [1],
    }
    return config


@pytest.fixture(scope="session")
def copies(tmp_path_factory):
    """Function that copies a workspace, or the repository with the derived configuration."""
    # a folder as users have it: with a space, brackets and a letter that not all encodings have
    base, numbers = tmp_path_factory.mktemp("workflow") / "my säch (1)", itertools.count()

    def make(source=None):
        root = base / str(next(numbers))
        if source is not None:
            return Workspace(shutil.copytree(source.root, root, symlinks=True))
        root.mkdir(parents=True)
        shutil.copy(REPOSITORY / PARTS[0], root)
        unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info")
        for part in PARTS[1:]:
            shutil.copytree(REPOSITORY / part, root / part, symlinks=True, ignore=unwanted)
        (root / "src/fedsieve/aggregators/mean.py").write_text(MEAN, encoding="utf-8")
        workspace = Workspace(root)
        workspace.configure(derived(workspace.config("config/demo.yaml")))
        return workspace

    return make


@pytest.fixture
def fresh(copies):
    """A workspace where nothing has run."""
    return copies()


@pytest.fixture(scope="session")
def finished(copies):
    """The workspace where everything has run, on two cores; not to be changed."""
    workspace = copies()
    data = workspace.root.parent / "my data"
    workspace.run("--cores", "2", env={"FEDSIEVE_DATA": str(data), **NO_UTF8})
    return workspace


@pytest.fixture
def scratch(copies, finished):
    """A copy of the finished workspace, elsewhere, to do with as a test likes."""
    return copies(finished)


@pytest.fixture(scope="session")
def small(copies):
    """Function that makes a workspace with one attack and two defenses; paths and content stay."""

    def make():
        workspace = copies()
        config = workspace.config()
        config["grids"]["demo"] |= {"attack": ["flip-3to2"], "defense": ["none", "fdsd"]}
        workspace.configure(config)
        return workspace

    return make


@pytest.fixture(scope="session")
def one_core(small):
    """The small grid, made by one job at a time; not to be changed."""
    workspace = small()
    workspace.run("--cores", "1")
    return workspace
