"""Draw what every layer makes of a clean image and of its twin with the trigger, and how alike."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from fedsieve import device, look, maps
from fedsieve.artifacts import read_data
from fedsieve.engine.models import trained_model
from fedsieve.poisonings import probes
from fedsieve.responses import correlations, responses
from fedsieve.wording import say_share

MAX_IMAGES = 500
"""Test images that correlations are taken over, spread evenly over those that the probe has."""


def feature_maps(
    *,
    data: Path,
    weights: Path,
    unattacked: Path,
    attack: dict[str, Any],
    model: dict[str, Any],
    scenario: dict[str, Any],
    figures: list[Path],
) -> None:
    """Write the responses of an undefended model that was trained on poisoned data.

    The pair shown is the median one by the correlation of the outputs, neither the best nor the
    worst. Runs on the CPU, so that the figure is the same everywhere.

    Args:
        data: The data set.
        weights: Of the model.
        unattacked: Weights of the same model trained without the attack, for comparison.
        attack: Backdoor and its parameters (config ``attacks``).
        model: Plug-in and parameters (config ``tasks.*.model``).
        scenario: Labels of what the model was trained on.
        figures: Written: the same figure in each format that the endings name.

    Source: FDSD, figure 1.
    ASSUME: the paper says neither which image it shows nor how alike the maps are; here the median
    image, and the correlation of a layer's whole response, all channels together.
    """
    train, test = read_data(data)
    probe = probes(attack, test)["backdoor"]
    n = len(probe.samples)
    if not n:
        reason = "Every test image is of the target class, so that none can show the trigger."
        look.save(look.blank(reason), *figures)
        return
    chosen = np.linspace(0, n - 1, min(n, MAX_IMAGES)).astype(int)
    clean = torch.from_numpy(test.images[probe.samples[chosen]])
    patched = torch.from_numpy(probe.images[chosen])
    where = device.choose("cpu")
    poisoned, spared = (trained_model(w, model, train, where) for w in (weights, unattacked))
    found = [correlations(network, clean, patched).numpy() for network in (poisoned, spared)]
    shown = int(found[0][:, -1].argsort()[len(chosen) // 2])
    pair = responses(poisoned, torch.stack([clean[shown], patched[shown]]))

    def drawing() -> Figure:
        return maps.feature_maps(
            {layer: values.numpy() for layer, values in pair.items()},
            dict(zip(pair, found[0][shown].tolist(), strict=True)),
            _table(found, list(pair)),
            test.classes,
            f"{_name(scenario)}, test image {probe.samples[chosen[shown]]}; "
            f"bars: mean and sd over {len(chosen)}",
        )

    look.draw(drawing, *figures)


def _table(found: list[np.ndarray], layers: list[str]) -> pd.DataFrame:
    """Mean and standard deviation over images of each model's correlations in each layer."""
    parts = [
        pd.DataFrame({"layer": layers, "model": model, "mean": r.mean(axis=0), "sd": r.std(axis=0)})
        for model, r in zip(maps.MODELS, found, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def _name(scenario: dict[str, Any]) -> str:
    """Name a scenario in a title."""
    labels = [scenario[axis] for axis in ("task", "partition", "attack")]
    ratio = say_share(float(scenario["ratio"]))
    return ", ".join([*labels, f"{ratio} malicious", f"seed {scenario['seed']}"])
