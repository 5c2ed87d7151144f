"""Save and resume a training job between rounds; lies outside the job's declared outputs."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fedsieve.artifacts import replacing
from fedsieve.checksums import hash_file
from fedsieve.record_keys import put_under, take_under
from fedsieve.records import Verdict
from fedsieve.rounds import ServerState


@dataclass(frozen=True)
class Progress:
    """A run so far: its state, and what has been recorded of each round."""

    state: ServerState
    predictions: dict[str, Tensor]
    """For the test set and each probe, the predictions of every round: [rounds, samples, ...]."""
    notes: list[dict[str, Any]]
    """Plain data of every round."""
    judged: dict[str, Tensor] = field(default_factory=dict)
    """What is recorded of the sanitizer's judgements."""
    screened: dict[str, Tensor] = field(default_factory=dict)
    """What is recorded of the detector's screenings."""
    snapshots: dict[str, Tensor] = field(default_factory=dict)
    """The server's state after some rounds."""


def key(settings: Sequence[object], inputs: Sequence[Path]) -> str:
    """Identify a run by its settings and the content of its inputs.

    A checkpoint of another run, of older code or of other data is not resumed.
    """
    made = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for path in inputs:
        made.update(hash_file(path).encode())
    return made.hexdigest()


def save(path: Path, run: str, progress: Progress) -> None:
    """Write a checkpoint."""
    state = progress.state
    tensors = {
        "values": state.values,
        "keep": torch.from_numpy(state.verdict.keep),
        "repaired": torch.from_numpy(state.verdict.repaired),
        "benign": torch.from_numpy(state.benign),
        **put_under("aggregator", state.aggregator),
        **put_under("detector", state.detector),
        **put_under("predictions", progress.predictions),
        **put_under("judged", progress.judged),
        **put_under("screened", progress.screened),
        **put_under("snapshots", progress.snapshots),
    }
    own = {name: t.contiguous().clone() for name, t in tensors.items()}
    metadata = {
        "tensors": _digest(own),
        "run": run,
        "round": str(state.round),
        "notes": json.dumps(progress.notes),
    }
    with replacing(path) as partial:
        save_file(own, partial, metadata)


def load(path: Path, run: str, device: torch.device) -> Progress | None:
    """Read the checkpoint of this run; None where there is none, of this run, or a broken one."""
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt", device=str(device)) as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if metadata["tensors"] != _digest(tensors):
                raise ValueError("its content does not match its checksum")
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        print(f"{path}: unreadable checkpoint ({error}): starting from round one")
        return None
    if metadata["run"] != run:
        print(f"{path}: checkpoint of other settings, code or data: starting from round one")
        return None
    state = ServerState(
        round=int(metadata["round"]),
        values=tensors["values"],
        verdict=Verdict(*(np.asarray(tensors[name].cpu()) for name in ("keep", "repaired"))),
        benign=np.asarray(tensors["benign"].cpu()),
        aggregator=take_under("aggregator", tensors),
        detector=take_under("detector", tensors),
    )
    records = {
        part: {name: tensor.cpu() for name, tensor in take_under(part, tensors).items()}
        for part in ("predictions", "judged", "screened", "snapshots")
    }
    return Progress(state=state, notes=json.loads(metadata["notes"]), **records)


def _digest(tensors: dict[str, Tensor]) -> str:
    made = hashlib.sha256()
    for name in sorted(tensors):
        made.update(name.encode() + tensors[name].cpu().numpy().tobytes())
    return made.hexdigest()
