"""Leases on a machine that pretends to have four cards; no test needs a real one."""

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from unittest import mock

import pytest

from fedsieve import leases
from fedsieve.errors import InputError

SOURCE = Path(leases.__file__).parents[1]
CARDS = [f"GPU-{letter * 8}-0000" for letter in "abcd"]
TAKE = "import os, sys, time; from fedsieve import leases; card = leases.take();"
WAIT = "print(os.getpid(), flush=True); time.sleep(60)"
LISTING = """GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5c89852c-d268)
  MIG 3g.20gb     Device  0: (UUID: MIG-aa22)
  MIG 3g.20gb     Device  1: (UUID: MIG-ab33)
GPU 1: Tesla V100 (PCI) (UUID: GPU-dae76d0e-3414)
"""


@pytest.fixture(autouse=True)
def pretended(tmp_path):
    """Environment with an nvidia-smi that lists four cards, and a folder of its own for locks."""
    smi = tmp_path / "nvidia-smi"
    lines = (f"echo 'GPU {i}: Pretended (UUID: {card})'" for i, card in enumerate(CARDS))
    smi.write_text("\n".join(["#!/bin/sh", *lines]), encoding="utf-8")
    smi.chmod(0o755)
    unwanted = {leases.HELD, leases.SHARES, *leases.GRANTS, "SLURM_JOB_ID"}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    changed = {"PATH": path, "PYTHONPATH": str(SOURCE), leases.FOLDER: str(tmp_path / "locks")}
    with mock.patch.dict(os.environ, kept | changed, clear=True):
        yield tmp_path


@pytest.fixture
def job():
    """Start Python code as a process, which is killed after the test."""
    started = []

    def start(code, **environment):
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        environment = os.environ | environment
        command = [sys.executable, "-S", "-c", code]
        started.append(subprocess.Popen(command, encoding="utf-8", env=environment, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def output(process):
    """What a process says until it ends, which must be well."""
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out


CROWD = """
import os, signal, time
from fedsieve import leases
gate, start = os.pipe()
children = []
for number in range(50):
    if not (child := os.fork()):
        os.read(gate, 1)
        card, begun = leases.take(), time.monotonic_ns()
        time.sleep(0.03)
        os.write(1, f"held {card} {begun} {time.monotonic_ns()}\\n".encode())
        os.kill(os.getpid(), signal.SIGKILL) if number % 5 == 0 else os._exit(0)
    children.append(child)
os.write(start, bytes(50))
for child in children:
    os.waitpid(child, 0)
"""


def test_fifty_jobs_at_once_some_of_them_killed_never_share_one_of_four_cards(job):
    held = re.findall(r"held (\S+) (\d+) (\d+)\n", output(job(CROWD)))
    assert len(held) == 50
    assert {card for card, _, _ in held} == set(CARDS)
    for card in CARDS:
        times = sorted((int(a), int(b)) for name, a, b in held if name == card)
        assert all(end < begun for (_, end), (begun, _) in pairwise(times)), card


HOLDERS = {
    "a process": TAKE + WAIT,
    "another program after exec": TAKE + "print(os.getpid(), flush=True);"
    "os.execvp('sleep', ['sleep', '60'])",
    "a child that outlives its parent": TAKE + "os.fork() and os._exit(0);" + WAIT,
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_card_stays_leased_until_its_holder_is_killed(job, holder):
    environment = {leases.VISIBLE: "2"}
    first = job(HOLDERS[holder], **environment)
    assert first.stdout.readline() == f"leased GPU {CARDS[2]}\n"
    pid = int(first.stdout.readline())
    second = job(TAKE, **environment)
    assert second.stdout.readline().startswith("waiting for a GPU: 1 of 1 leases")
    os.kill(pid, 9)
    assert second.stdout.readline() == f"leased GPU {CARDS[2]}\n"


def test_waiting_is_told_once(job):
    first = job(TAKE + WAIT, **{leases.VISIBLE: "0"})
    first.stdout.readline()
    second = job(
        "from fedsieve import leases; leases.PAUSE = (0, 0);" + TAKE, CUDA_VISIBLE_DEVICES="0"
    )
    second.stdout.readline()
    first.kill()
    assert output(second) == f"leased GPU {CARDS[0]}\n"


def test_who_holds_a_card_takes_no_second_and_shares_it_with_its_children(job):
    child = "from fedsieve import leases; print(leases.take())"
    again = f"import subprocess; subprocess.run([sys.executable, '-S', '-c', {child!r}])"
    said = output(job(TAKE + "print(leases.take(), flush=True);" + again))
    assert said == f"leased GPU {CARDS[0]}\n" + 2 * f"{CARDS[0]}\n"


def test_a_child_started_by_subprocess_does_not_keep_the_card(job):
    spawn = "import subprocess; null = subprocess.DEVNULL;"
    spawn += "print(subprocess.Popen(['sleep', '60'], stdout=null, stderr=null).pid)"
    child = int(output(job(TAKE + spawn, **{leases.VISIBLE: "1"})).splitlines()[-1])
    assert output(job(TAKE, **{leases.VISIBLE: "1"})) == f"leased GPU {CARDS[1]}\n"
    os.kill(child, 9)


def test_cuda_is_shown_the_leased_card_alone(job):
    code = TAKE + "print(os.environ['CUDA_VISIBLE_DEVICES'])"
    assert output(job(code)).splitlines()[-1] == CARDS[0]


def test_jobs_that_share_cards_fill_every_card_once_first(job):
    environment = {leases.VISIBLE: "0,1", leases.SHARES: "2"}
    found = [job(TAKE + WAIT, **environment).stdout.readline() for _ in range(5)]
    assert found[:4] == [f"leased GPU {CARDS[i]}\n" for i in (0, 1, 0, 1)]
    assert found[4].startswith("waiting for a GPU: 4 of 4 leases")


@pytest.mark.parametrize("number", ["0", "two", "-1", ""])
def test_a_wrong_number_of_jobs_per_card_is_an_error(monkeypatch, number):
    monkeypatch.setenv(leases.SHARES, number)
    with pytest.raises(InputError, match=f"^{leases.SHARES}: .* is no whole number of at least 1"):
        leases.take()


VISIBLE = {
    "0": [0],
    "2,0": [2, 0],
    " 1 , 3": [1, 3],
    "": [],
    "-1": [],
    "NoDevFiles": [],
    "4": [],
    "1,-1,2": [1],
    "1,9,2": [1],
    "1,1": [],
    "GPU-b": [1],
    "GPU-cccccccc-0000,0": [2, 0],
    "GPU-": [],
    "GPU-x,0": [],
    "0,GPU-a": [],
}


@pytest.mark.parametrize("visible", VISIBLE)
def test_visible_cards_are_those_that_cuda_would_see(visible):
    found = leases.allowed({leases.VISIBLE: visible}, CARDS)
    assert found == [CARDS[index] for index in VISIBLE[visible]]


def test_all_cards_may_be_used_where_nothing_is_said():
    assert leases.allowed({}, CARDS) == CARDS


def test_cards_that_nothing_lists_go_by_the_names_that_the_user_gives():
    assert leases.allowed({leases.VISIBLE: "1,GPU-x,none,2"}, []) == ["1", "GPU-x"]
    assert leases.allowed({}, []) == []


def test_divided_cards_are_listed_with_their_instances(pretended):
    (pretended / "nvidia-smi").write_text(f"#!/bin/sh\ncat <<'E'\n{LISTING}E\n", encoding="utf-8")
    found = leases.listed()
    assert found == ["GPU-5c89852c-d268", "MIG-aa22", "MIG-ab33", "GPU-dae76d0e-3414"]
    assert leases.allowed({}, found) == [found[0], found[3]]
    assert leases.allowed({leases.VISIBLE: "MIG-ab,1,MIG-a"}, found) == [found[2], found[3]]


@pytest.mark.parametrize("script", ["echo No devices were found; exit 6", "exit 9"])
def test_no_card_is_listed_where_nvidia_smi_fails(pretended, script):
    (pretended / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    assert leases.listed() == []
    assert leases.take() is None


def test_no_card_is_listed_without_nvidia_smi(pretended):
    with mock.patch.dict(os.environ, PATH=str(pretended / "nothing")):
        assert leases.listed() == []


@pytest.mark.parametrize("granted", ["3", "GPU-dddd", "MIG-x"])
def test_the_only_card_that_slurm_grants_needs_no_lease(monkeypatch, granted, pretended):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv(leases.VISIBLE, granted)
    assert leases.take() == os.environ[leases.VISIBLE] == granted
    assert not (pretended / "locks").exists()


def test_several_cards_that_slurm_grants_are_leased_one_by_one(job):
    environment = {"SLURM_JOB_ID": "7", leases.VISIBLE: "1,3", "SLURM_JOB_GPUS": "1,3"}
    holders = [job(TAKE + WAIT, **environment) for _ in range(2)]
    found = {holder.stdout.readline() for holder in holders}
    assert found == {f"leased GPU {CARDS[i]}\n" for i in (1, 3)}


def test_a_slurm_job_takes_no_card_that_it_was_not_granted(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert leases.take() is None
    assert os.environ[leases.VISIBLE] == ""


def test_the_default_folder_is_closed_to_others(monkeypatch, tmp_path):
    monkeypatch.delenv(leases.FOLDER)
    monkeypatch.setattr(leases.tempfile, "gettempdir", lambda: str(tmp_path))
    found = leases.folder()
    assert found == tmp_path / f"fedsieve-leases-{os.getuid()}"
    assert found.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("trap", ["folder of another user", "link"])
def test_a_default_folder_that_another_user_has_made_is_refused(monkeypatch, tmp_path, trap):
    monkeypatch.delenv(leases.FOLDER)
    monkeypatch.setattr(leases.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = tmp_path / f"fedsieve-leases-{os.getuid()}"
    if trap == "link":
        folder.symlink_to(tmp_path)
    else:
        other = os.getuid() + 1
        folder.with_name(f"fedsieve-leases-{other}").mkdir()
        monkeypatch.setattr(leases.os, "getuid", lambda: other)
    with pytest.raises(InputError, match=r"not this user's folder; set FEDSIEVE_LEASES"):
        leases.folder()


def test_a_folder_that_cannot_be_written_to_is_an_error_with_the_remedy(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv(leases.FOLDER, str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot lock .*/file.*; set FEDSIEVE_LEASES to a folder"):
        leases.take()
