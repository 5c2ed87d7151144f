"""A whole scenario of an own archive, stage by stage as the workflow runs them."""

import json

import numpy as np
from small import MODEL

SGD = {"epochs": 1, "batch_size": 8, "lr": 0.05}
FEDAVG = {"aggregate": {"use": "fedavg"}}


def archive(path, train, test=None, side=8, **changed):
    """Write an archive of noise with these labels; a class's brightness is its own."""
    labels = {"train": np.asarray(train), "test": np.asarray(train if test is None else test)}
    arrays = {f"{split}_labels": found for split, found in labels.items()}
    for split, found in labels.items():
        rng = np.random.default_rng(0)
        arrays[f"{split}_images"] = rng.integers(0, 256, (len(found), side, side), np.uint8)
    np.savez(path, **arrays | changed)
    return path


def run(stage, folder, path, attack, *, ratio=0.5, n_clients=4, defense=FEDAVG, **changed):
    """Run a scenario on an archive; returns its metrics.

    ``changed`` are further keys of the task, of the partition (``partition``), or of the data
    (``max_samples``).
    """
    folder.mkdir(parents=True, exist_ok=True)
    at = {name: folder / f"{name}.npz" for name in ("data", "clients", "poisoning", "kept")}
    dataset = {"use": "npz", "file": str(path)}
    source = {"dataset": dataset, "root": folder, "receipt": folder / "source.json"}
    partition = changed.pop("partition", {"use": "iid"})
    stage("fetch")(**source)
    stage("data")(**source, data=at["data"], max_samples=changed.pop("max_samples", 0))
    held = {"data": at["data"], "clients": at["clients"]}
    stage("partition")(**held, partition=partition, n_clients=n_clients, seed=1)
    stage("poison")(**held, attack=attack, ratio=ratio, seed=1, poisoning=at["poisoning"])
    task = {"model": MODEL, "rounds": 2, "cohort": n_clients, "sampling": "uniform", "local": SGD}
    task |= changed
    files = {"predictions": "npz", "screened": "npz", "kept": "npz", "clients_log": "csv"}
    written = {name: folder / f"{name}.{ending}" for name, ending in files.items()}
    stage("train")(
        **held,
        **written,
        poisoning=at["poisoning"],
        keep=[],
        task=task,
        attack=attack,
        defense=defense,
        sanitizer={},
        ratio=ratio,
        seed=1,
        code="digest",
        model=folder / "model.safetensors",
        snapshots=folder / "snapshots.safetensors",
        record=folder / "run.json",
        device="cpu",
    )
    stage("floor")(
        data=at["data"],
        weights=folder / "model.safetensors",
        predictions=written["predictions"],
        last_rounds=1,
        attack=attack,
        model=MODEL,
        floor=folder / "floor.json",
        device="cpu",
    )
    stage("evaluate")(
        **held,
        **written,
        poisoning=at["poisoning"],
        floor=folder / "floor.json",
        attack=attack,
        last_rounds=1,
        rounds=folder / "rounds.csv",
        metrics_file=folder / "metrics.json",
    )
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
