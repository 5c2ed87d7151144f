"""Devices, with pretended cards; tests named after a card need a real one (docs/gpu.md)."""

import json
import os
import re
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
import torch

from fedsieve import cards, device, leases
from fedsieve.errors import InputError

CARD = "GPU-dae76d0e-3414"
on_a_card = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of which is told what nvidia-smi lists and whether PyTorch can use a GPU."""
    unwanted = {leases.HELD, leases.SHARES, *leases.GRANTS, "SLURM_JOB_ID"}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}

    def pretend(listed, usable=lambda: False):
        monkeypatch.setattr(leases, "listed", lambda: list(listed))
        monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
        monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
        monkeypatch.setattr(torch.cuda, "is_available", usable)

    with (
        mock.patch.dict(os.environ, kept | {leases.FOLDER: str(tmp_path / "locks")}, clear=True),
        torch.backends.cudnn.flags(),
    ):
        yield pretend


def chosen(wanted):
    """The device that a stage computes on after the command line has made a card ready."""
    cards.make_ready(wanted)
    return device.choose(wanted)


@pytest.mark.parametrize("wanted", ["auto", "cuda"])
def test_cuda_is_asked_once_a_card_is_leased_and_no_sooner(machine, wanted):
    seen = []
    machine([CARD], usable=lambda: not seen.append(os.environ.get(leases.VISIBLE)))
    assert chosen(wanted) == torch.device("cuda")
    assert seen == [CARD, CARD]  # to make it ready, and to choose it


def test_a_second_choice_in_a_process_keeps_its_card(machine, capsys):
    machine([CARD], usable=lambda: True)
    assert chosen("auto") == chosen("auto") == torch.device("cuda")
    assert capsys.readouterr().out == f"leased GPU {CARD}\n"


def test_convolutions_on_a_card_are_deterministic(machine):
    machine([CARD], usable=lambda: True)
    chosen("auto")
    cudnn = torch.backends.cudnn
    assert (cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32) == (True, False, False)


def test_the_cpu_needs_no_lease_and_one_thread(machine, monkeypatch):
    machine([CARD], usable=lambda: True)
    threads = mock.Mock()
    monkeypatch.setattr(torch, "set_num_threads", threads)
    assert chosen("cpu") == torch.device("cpu")
    threads.assert_called_once_with(1)
    assert leases.HELD not in os.environ


def test_auto_is_the_cpu_where_there_is_no_card(machine, capsys):
    machine([])
    assert chosen("auto") == torch.device("cpu")
    assert capsys.readouterr().out == ""


def test_auto_says_why_it_is_the_cpu_on_a_machine_with_cards(machine, capsys):
    machine([CARD])
    assert chosen("auto") == torch.device("cpu")
    assert f"on the CPU, since PyTorch cannot use {CARD}" in capsys.readouterr().out


def test_a_card_that_nothing_lists_is_used_and_said_to_be_shared(machine, capsys):
    machine([], usable=lambda: True)
    assert chosen("auto") == torch.device("cuda")
    assert "not leased" in capsys.readouterr().out


WITHOUT = {
    "no card": ([], {}, "nvidia-smi lists none: install NVIDIA's driver"),
    "hidden": ([CARD], {leases.VISIBLE: ""}, "CUDA_VISIBLE_DEVICES='' leaves none of the 1 listed"),
    "unknown": ([CARD], {leases.VISIBLE: "1"}, "CUDA_VISIBLE_DEVICES='1' leaves none of the 1"),
    "not granted": ([CARD], {"SLURM_JOB_ID": "7"}, "SLURM granted this job none: ask for one"),
    "no file": (
        [CARD],
        {"SLURM_JOB_ID": "7", leases.VISIBLE: "NoDevFiles"},
        "SLURM granted this job none: ask for one",
    ),
    "unusable": ([CARD], {}, f"PyTorch cannot use {CARD}: compare its CUDA"),
}


@pytest.mark.parametrize("case", WITHOUT)
def test_cuda_without_a_usable_card_is_an_error_that_says_why(machine, monkeypatch, case):
    listed, environment, reason = WITHOUT[case]
    machine(listed)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError) as caught:
        chosen("cuda")
    assert str(caught.value).startswith(f"device: cuda, but {reason}")
    assert str(caught.value).endswith("; or set device: auto or cpu")


def test_cuda_on_a_pytorch_without_it_is_an_error_that_says_so(machine, monkeypatch):
    machine([CARD])
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    with pytest.raises(InputError, match=r"^device: cuda, but this PyTorch is built without CUDA"):
        chosen("cuda")
    assert leases.HELD not in os.environ


def own_process(*arguments):
    """What Python says, run in a process of its own, whose lease ends with it."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout


@on_a_card
def test_pytorch_sees_the_leased_card_alone():
    code = "import torch; from fedsieve import cards; cards.make_ready('cuda');"
    code += "print(torch.cuda.device_count(), torch.cuda.get_device_properties(0).uuid)"
    said = own_process("-c", code)
    leased, count, uuid = re.search(r"leased GPU (\S+)\n(\d+) (\S+)\n", said).groups()
    assert count == "1"
    assert leased.endswith(uuid)


@pytest.fixture(scope="session")
def trained(tmp_path_factory, training, flags):
    """Train on a device by command; the folder written to."""

    def train(where):
        folder = tmp_path_factory.mktemp("trained")
        own_process("-m", "fedsieve", "train", *flags(training(folder, device=where)))
        return folder

    return train


@on_a_card
def test_training_on_a_card_repeats_byte_for_byte(trained, written_bytes):
    assert written_bytes(trained("cuda")) == written_bytes(trained("cuda"))


@on_a_card
def test_training_on_a_card_ends_near_training_on_the_cpu(trained):
    with (
        np.load(trained("cuda") / "predictions.npz") as one,
        np.load(trained("cpu") / "predictions.npz") as other,
    ):
        assert (one["test"] == other["test"]).mean() > 0.9


@on_a_card
def test_the_record_of_training_names_the_card(trained):
    record = json.loads((trained("cuda") / "run.json").read_text(encoding="utf-8"))
    assert record["device"] == torch.cuda.get_device_name(0)
