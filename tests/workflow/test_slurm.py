"""The SLURM profile on a real SLURM, which the test brings up; three runs side by side."""

import contextlib
import itertools
import re
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest
import slurm
import yaml
from conftest import Workspace, plain_python
from digests import differing, digests
from needed import absent

REPOSITORY = Path(__file__).parents[2]
PROFILE = yaml.safe_load((REPOSITORY / "profiles/slurm/profile.yaml").read_text(encoding="utf-8"))
ATTEMPTS = 1 + PROFILE["retries"]
PARTITION = "results/digits/iid-3/seed1/clients.npz"
TRAINING = "results/digits/iid-3/seed1/flip-3to2/ratio0.5/mean"
ASKED = {
    "data": (None, "00:30:00", "8000M", 1),
    # partition, then the poisonings of two scenarios
    "poisoning": (None, "00:20:00", "4000M", 2),
    # a warm-up of 60 minutes, then 30, on the same card
    "features": ("gres:gpu:1", "01:30:00", "4000M", 1),
    # the clients for 15 minutes, the server 10, the clients 5, all together 10
    "sanitizing": (None, "00:40:00", "2000M", 1),
    "train": ("gres:gpu:1", "04:00:00", "4000M", 1),
    "floors": ("gres:gpu:1", "00:10:00", "2000M", 1),
    "evaluation": (None, "00:05:00", "4000M", 2),
    "table": (None, "00:10:00", "2000M", 1),
}
"""Cards, time, memory and cores that each kind of job asks for, in one SLURM job."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A SLURM; only outside continuous integration may it be missing."""
    if reason := slurm.why_not():
        absent(reason)
    with slurm.running(tmp_path_factory.mktemp("slurm")):
        yield


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Function that copies a workspace into a folder with a plain name, the only kind tried."""
    base, numbers = tmp_path_factory.mktemp("plain"), itertools.count()
    python = plain_python(base)
    return lambda found: Workspace(
        shutil.copytree(found.root, base / str(next(numbers)), symlinks=True), python
    )


@pytest.fixture(scope="module")
def whole(plain, small):
    """The small grid, where nothing has run."""
    return plain(small())


@pytest.fixture(scope="module")
def broken(plain, one_core):
    """A workspace whose partition fails."""
    workspace = plain(one_core)
    with (workspace.root / "src/fedsieve/stages/partition.py").open("a", encoding="utf-8") as stage:
        stage.write('\n\nraise RuntimeError("broken on purpose")\n')
    return workspace


@pytest.fixture(scope="module")
def slow(plain, one_core):
    """A workspace whose training takes minutes, and has a checkpoint after each round."""
    workspace = plain(one_core)
    seconds = "checkpoint_seconds: float = "
    edit(workspace, "stages/train.py", f"{seconds}10.0", f"{seconds}0.0")
    edit(workspace, "aggregators/mean.py", "import torch\n", "import time\n\nimport torch\n")
    edit(workspace, "aggregators/mean.py", "    weights =", "    time.sleep(0.5)\n    weights =")
    config = workspace.config()
    config["tasks"]["digits"]["rounds"] = 1000
    config["grids"]["demo"]["defense"] = ["none", "mean"]
    workspace.configure(config)
    return workspace


def edit(workspace, name, old, new):
    path = workspace.root / "src/fedsieve" / name
    source = path.read_text(encoding="utf-8")
    assert source.count(old) == 1
    path.write_text(source.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="module")
def runs(cluster, whole, broken, slow):
    """Snakemake in each of the workspaces, all at a time."""
    targets = {whole: "results/tables/demo.csv", broken: PARTITION}
    targets |= {slow: f"{TRAINING}/model.safetensors"}
    program = [str(Path(__file__).with_name("impatient.py"))]
    with contextlib.ExitStack() as stack:
        processes = {}
        for workspace, target in targets.items():
            output = stack.enter_context(
                (workspace.root / "output.txt").open("w", encoding="utf-8")
            )
            arguments = ["--profile", "profiles/slurm", target]
            process = workspace.start(*arguments, program=program, output=output)
            stack.callback(workspace.kill, process)
            processes[workspace] = process
        yield processes


def ended(workspace, process):
    """Exit code and terminal output of a run that is to end by itself."""
    return process.wait(600), (workspace.root / "output.txt").read_text(encoding="utf-8")


def rounds(workspace):
    """First and last round in the log of a training; none yet where there is no log."""
    log = workspace.root / TRAINING / "train.log"
    found = re.findall(
        r"^round (\d+)/", log.read_text(encoding="utf-8") if log.exists() else "", re.M
    )
    return (int(found[0]), int(found[-1])) if found else (0, 0)


def interrupted(workspace, process, how):
    """Interrupt the training in this way, after two more rounds, and wait until it goes on."""
    begun, at = rounds(workspace)
    slurm.until(lambda: rounds(workspace)[1] >= at + 2, process=process)
    how(slurm.jobs(workspace)[-1])
    slurm.until(lambda: rounds(workspace)[0] > max(begun, 1), process=process)


def test_every_rule_that_the_profile_names_exists():
    sources = (
        path.read_text(encoding="utf-8") for path in (REPOSITORY / "workflow/rules").glob("*.smk")
    )
    defined = r"^rule (\w+):|on_block\(\"(\w+)\""
    rules = {one or other for text in sources for one, other in re.findall(defined, text, re.M)}
    assert {*PROFILE["groups"], *PROFILE["set-resources"]} - rules == set()
    assert PROFILE["group-components"].keys() <= {*PROFILE["groups"].values()}


@pytest.mark.slow
def test_a_training_goes_on_from_its_checkpoint_after_preemption_and_after_its_time(runs, slow):
    interrupted(slow, runs[slow], slurm.preempt)
    (job,) = slurm.jobs(slow)
    assert job.said["Restarts"] == "1"
    interrupted(slow, runs[slow], slurm.time_out)
    assert [job.state for job in slurm.jobs(slow)] == ["TIMEOUT", "RUNNING"]
    runs[slow].send_signal(signal.SIGINT)
    runs[slow].wait(60)
    slurm.until(lambda: [job.state for job in slurm.jobs(slow)] == ["TIMEOUT", "CANCELLED"])


@pytest.mark.slow
def test_a_job_that_fails_is_tried_as_often_as_the_profile_says(runs, broken):
    code, output = ended(broken, runs[broken])
    assert code == 1
    assert "broken on purpose" in output
    assert [job.state for job in slurm.jobs(broken)] == ["FAILED"] * ATTEMPTS


@pytest.mark.slow
def test_slurm_and_one_core_make_the_same_bytes(runs, whole, one_core):
    code, output = ended(whole, runs[whole])
    assert code == 0, output[-4000:]
    found, expected = digests(whole), digests(one_core)
    assert differing(found, {name: expected.get(name) for name in found}) == []
    # all but figures and report, and with them some tables, for which nobody asked
    assert {name for name in expected if name.startswith("results/digits/")} <= found.keys()
    assert "results/tables/demo.csv" in found


@pytest.mark.slow
def test_jobs_ask_for_what_they_need_and_small_ones_together(runs, whole):
    ended(whole, runs[whole])
    jobs = slurm.jobs(whole)
    # 18 jobs; fetch is none of SLURM's
    assert Counter(job.rule for job in jobs) == dict.fromkeys(ASKED, 1) | {"train": 3}
    for job in jobs:
        said = (job.said.get(key) for key in ("TresPerJob", "TimeLimit", "MinMemoryNode"))
        assert (*said, int(job.said["NumCPUs"])) == ASKED[job.rule]
