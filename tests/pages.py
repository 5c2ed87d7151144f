"""A small page to test: two grids, a ledger, a figure; every number is made up here."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fedsieve.statistics import LABELS, summarize

DEFENSES = ["none", "krum", "sieve", "perfect"]
MARKS = {"krum": "f = 1", "perfect": "†"}
FLIP, PATCH = ("digits", "iid", "flip", 0.25), ("digits", "iid", "patch", 0.5)
PEACE = ("digits", "iid", "unattacked", 0.0)
PARTS = {"summaries": "", "values": "-values", "runs": "-runs", "curves": "-curves"}
ENDS = {
    # accuracy and attack success
    (*FLIP, "none"): (0.98, 0.40),
    (*FLIP, "krum"): (0.90, 0.02),
    (*FLIP, "sieve"): (0.97, 0.01),
    (*FLIP, "perfect"): (0.99, 0.00),
    (*PATCH, "none"): (0.97, 0.90),
    (*PATCH, "krum"): (0.92, 0.60),
    (*PATCH, "sieve"): (0.95, 0.6004),  # looks like krum's with one decimal of a per cent
    (*PATCH, "perfect"): (0.98, 0.00),
}


def metrics(ends, seeds=(1, 2)):
    """Tidy metrics whose mean over two seeds is as given, 0.01 apart."""
    rows = []
    for key, (accuracy, asr) in ends.items():
        values = {"accuracy": accuracy, "asr": asr, "accuracy_unattacked": 0.99, "asr_floor": 0.0}
        if key[4] in ("sieve", "perfect"):
            values["sanitization.recall"] = 0.9
        rows += [
            {**dict(zip(LABELS, key, strict=True)), "seed": seed, "metric": metric}
            | {"value": value + side * 0.005}
            for metric, value in values.items()
            for seed, side in zip(seeds, (-1, 1), strict=True)
        ]
    return pd.DataFrame(rows)


def curves_of(ends, n_rounds=3):
    """Curves that rise to the numbers at the end."""
    rows = [
        {**dict(zip(LABELS, key, strict=True)), "round": number, "metric": metric, "n": 2}
        | {"mean": end * number / n_rounds, "sd": 0.01}
        for key, values in ends.items()
        for metric, end in zip(("accuracy", "asr"), values, strict=True)
        if not np.isnan(end)
        for number in range(1, n_rounds + 1)
    ]
    frame = pd.DataFrame(rows).assign(low=np.nan, high=np.nan)
    return frame.assign(least=frame["mean"] - 0.02, greatest=frame["mean"] + 0.02)


def runs_of(ends):
    """Two runs of each scenario and defense."""
    cost = {"seconds": 10.0, "peak_memory_mb": 500.0, "device": "cpu", "code": "abc"}
    versions = {"python": "3.11", "fedsieve": "0.1", "torch": "2", "numpy": "2"}
    counts = {"poisoned_kept": 1, "poisoned_removed": 9, "clean_kept": 80, "clean_removed": 10}
    return pd.DataFrame(
        [
            {**dict(zip(LABELS, key, strict=True)), "seed": seed, "malicious": "1 2"}
            | {"mistrusted": "2" if key[4] == "krum" else ""}
            | cost
            | versions
            | (counts if key[4] in ("sieve", "perfect") else dict.fromkeys(counts))
            for key in ends
            for seed in (1, 2)
        ]
    )


def config_of(**grids):
    """A configuration of these grids, each given by its attacks and defenses."""
    attacks = {"flip": {"use": "label_flip"}, "patch": {"use": "backdoor"}, "unattacked": {}}
    fedavg = {"aggregate": {"use": "fedavg"}}
    return {
        "run": list(grids),
        "grids": {
            name: {"task": ["digits"], "partition": ["iid"], "ratio": [0.25], "seed": [1, 2]}
            | {"attack": wanted, "defense": DEFENSES}
            for name, wanted in grids.items()
        },
        "tasks": {"digits": {"rounds": 3}},
        "partitions": {"iid": {"use": "iid"}},
        "attacks": attacks,
        "sanitizers": {"sieve": {"use": "sieve"}, "perfect": {"oracle": "perfect"}},
        "defenses": {
            "none": fedavg,
            "krum": {"aggregate": {"use": "krum"}},
            "sieve": {"sanitize": "sieve", **fedavg},
            "perfect": {"sanitize": "perfect", **fedavg},
        },
    }


def write(folder, grid, ends):
    """Write the tables and a figure of a grid."""
    tables = folder / "tables"
    tables.mkdir(parents=True, exist_ok=True)
    summarize(metrics(ends)).to_csv(tables / f"{grid}.csv", index=False)
    metrics(ends).dropna().to_csv(tables / f"{grid}-values.csv", index=False)
    runs_of(ends).to_csv(tables / f"{grid}-runs.csv", index=False)
    curves_of(ends).to_csv(tables / f"{grid}-curves.csv", index=False)
    (folder / "figures" / grid).mkdir(parents=True, exist_ok=True)
    Figure((3, 2)).savefig(folder / "figures" / grid / "success.png")


def arguments(folder, captions):
    """Arguments of the stage that makes the page of two grids."""
    peace = {(*PEACE, defense): (0.99, np.nan) for defense in ("none", "krum")}
    write(folder, "attacked", ENDS)
    write(folder, "peace", peace)
    claim = {
        "claim": "c",
        "paper": "FDSD",
        "where": "Table I",
        "says": "a < b",
        "here": "in 0 of 3",
    }
    rows = [claim | {"verdict": v} for v in ("reproduced", "not reproduced", "not reproduced")]
    read = {"reading": "all of them", "supported": "silent", "settings": "4 of 9", "seeds": ""}
    read |= {"best": "reproduced", "readings": "2 of 3 run"}
    frame = pd.DataFrame(rows).assign(n=5, rule="beats", why="", grid="attacked", **read)
    frame.to_csv(folder / "claims.csv", index=False)
    paths = {name: f"{folder}/tables/{{grid}}{part}.csv" for name, part in PARTS.items()}
    return paths | {
        "config": config_of(attacked=["flip", "patch"], peace=["unattacked"]),
        "marks": {"attacked": MARKS, "peace": MARKS},
        "screenings": "",
        "claims": [folder / "claims.csv"],
        "figures": sorted(folder.glob("figures/*/*.png")),
        "captions": captions,
        "folder": "results/{task}/{partition}/seed{seed}/{attack}/ratio{ratio}/{defense}",
        "html": folder / "index.html",
    }
