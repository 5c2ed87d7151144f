"""Give a process one of the machine's GPUs, by lock file, until it ends.

Snakemake counts GPUs, but never says which one a job has. Standard library only.
"""

import fcntl
import os
import random
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from fedsieve import locks
from fedsieve.errors import InputError, check_count
from fedsieve.paths import expanded

VISIBLE = "CUDA_VISIBLE_DEVICES"
HELD = "FEDSIEVE_GPU"
FOLDER = "FEDSIEVE_LEASES"
SHARES = "FEDSIEVE_JOBS_PER_GPU"
GRANTS = ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS", VISIBLE)
"""Of a SLURM job that was granted a GPU, at least one of these is in the environment."""
PAUSE = (0.1, 0.3)
"""Seconds between two looks for a free card, drawn anew each time, so that none is always first."""


def take() -> str | None:
    """Lease a free card and make it the only one that CUDA sees; wait while all are leased.

    Call it before anything asks CUDA. Its driver reads CUDA_VISIBLE_DEVICES once, when the first
    ``torch.cuda.is_available()`` or CUDA tensor starts it, and no later change counts. For the
    same reason cards are not counted by PyTorch, which asks CUDA where it cannot ask NVML.

    The lease is an ``flock`` on the card's file. No code ends it: the kernel does so once the
    last process with the descriptor has ended, however it ended. The descriptor survives exec,
    and children made by fork have it, too. Descendants use the card without a lease of their
    own; one that ``subprocess`` starts has no descriptor and must not outlive this process.

    Returns:
        The card, or None where there is none to lease: because this process may use none, or
        because nothing lists the cards and CUDA_VISIBLE_DEVICES names none.

    Raises:
        InputError: if lock files cannot be made or locked.
    """
    if "SLURM_JOB_ID" in os.environ and not any(name in os.environ for name in GRANTS):
        os.environ[VISIBLE] = ""
    if given := _given(os.environ):
        return given
    if not (cards := allowed(os.environ, listed())):
        return None
    card = _lease(cards)
    print(f"leased GPU {card}", flush=True)
    os.environ[VISIBLE] = os.environ[HELD] = card
    return card


def listed() -> list[str]:
    """Names (UUIDs) of the cards, in nvidia-smi's order, and of the instances on divided ones."""
    command = ["nvidia-smi", "-L"]
    try:
        found = subprocess.run(
            command, capture_output=True, encoding="utf-8", timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return re.findall(r"UUID: ((?:GPU|MIG)-[^)\s]+)", found.stdout)


def allowed(environment: Mapping[str, str], cards: Sequence[str]) -> list[str]:
    """Those of the listed cards that CUDA_VISIBLE_DEVICES leaves; all whole ones if it is unset.

    Read as CUDA's documentation says: a number counts whole cards in nvidia-smi's order, a name
    may be cut short while it fits one card alone, an unknown card hides those after it, and a
    card named twice hides all. Where no cards are listed, names and numbers stand for themselves.
    """
    if VISIBLE not in environment:
        return _whole(cards)
    found: list[str] = []
    for name in environment[VISIBLE].split(","):
        if (card := _named(name.strip(), cards)) is None:
            break
        if card in found:
            return []
        found.append(card)
    return found


def why_none(environment: Mapping[str, str], cards: Sequence[str]) -> str:
    """Say why a process has no card, and what to do."""
    visible = environment.get(VISIBLE)
    if "SLURM_JOB_ID" in environment:
        return "SLURM granted this job none: ask for one, as `snakemake --profile profiles/slurm`"
    if visible is not None:
        return f"{VISIBLE}={visible!r} leaves none of the {len(_whole(cards))} listed: unset it"
    return "nvidia-smi lists none: install NVIDIA's driver, or look why `nvidia-smi -L` fails"


def folder() -> Path:
    """Folder of the lock files: FEDSIEVE_LEASES, else one of this user in the temporary folder.

    Raises:
        InputError: if another user has made the latter.
    """
    if chosen := os.environ.get(FOLDER):
        path = expanded(chosen)
        path.mkdir(parents=True, exist_ok=True)
        return path
    path = Path(tempfile.gettempdir(), f"fedsieve-leases-{os.getuid()}")
    path.mkdir(mode=0o700, exist_ok=True)
    if path.is_symlink() or path.stat().st_uid != os.getuid():
        raise InputError(f"{path}: not this user's folder; set {FOLDER} to another one")
    return path


def _given(environment: Mapping[str, str]) -> str | None:
    """The card that this process has already: leased by it or an ancestor, or alone from SLURM."""
    if (leased := environment.get(HELD)) and leased == environment.get(VISIBLE):
        return leased
    granted = allowed(environment, ()) if "SLURM_JOB_ID" in environment else ()
    return granted[0] if len(granted) == 1 else None


def _whole(cards: Sequence[str]) -> list[str]:
    return [card for card in cards if card.startswith("GPU-")]


def _named(name: str, cards: Sequence[str]) -> str | None:
    """The card that an entry of CUDA_VISIBLE_DEVICES means, None if it means none."""
    if not cards:
        return name if re.match(r"\d+$|GPU-|MIG-", name) else None
    if name.isdecimal():
        return dict(enumerate(_whole(cards))).get(int(name))
    fitting = [card for card in cards if name and card.startswith(name)]
    return fitting[0] if len(fitting) == 1 else None


def _lease(cards: Sequence[str]) -> str:
    """Lock the first free card, with the fewest jobs if several may share one; wait for it."""
    try:
        at = folder()
        files = [
            (card, at / f"{card.replace('/', '_')}.{share}")
            for share in range(_jobs_per_gpu())
            for card in cards
        ]
        if card := _first_free(files):
            return card
        print(
            f"waiting for a GPU: {len(files)} of {len(files)} leases are taken (files in {at}; "
            f"snakemake --resources gpu={len(files)} starts no more jobs than that)",
            flush=True,
        )
        while not (card := _first_free(files)):
            time.sleep(random.uniform(*PAUSE))
        return card
    except OSError as error:
        raise InputError(
            f"cannot lock a GPU's file: {error}; set {FOLDER} to a folder on a local disk "
            "that you may write to"
        ) from error


def _first_free(files: Sequence[tuple[str, Path]]) -> str | None:
    return next((card for card, path in files if _locked(path)), None)


def _locked(path: Path) -> bool:
    """Lock a file until this process ends, if nobody has."""
    descriptor = locks.opened(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    os.set_inheritable(descriptor, True)
    return True


def _jobs_per_gpu() -> int:
    text = os.environ.get(SHARES, "1")
    number = int(text) if text.isdecimal() else text
    check_count(SHARES, number, 1)
    return int(number)
