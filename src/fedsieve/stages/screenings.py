"""Score and tabulate what detectors find by saved models, in all screenings of a grid."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fedsieve import clients, rendering
from fedsieve.artifacts import read_arrays, read_partition, read_poisoning, write_text
from fedsieve.grids import screenings as listed
from fedsieve.poisonings import poisoners

ANY = "any"
"""In place of a model and a round, where neither matters."""


def screenings(
    *,
    grid: dict[str, Any],
    files: str,
    poisonings: str,
    partitions: str,
    order: list[str],
    csv: Path,
    md: Path,
    html: Path,
) -> None:
    """Write how well clients were told apart, for each detector and each part of its rule.

    Those to find are the malicious clients that poisoned something.

    Args:
        grid: Lists of labels (config ``grids``).
        files: Path of a screening, with a field in braces for each axis and ``trained``,
            ``detection`` and ``after_round``.
        poisonings, partitions: The same, of what was poisoned and who holds it.
        order: Attacks and defenses in the order of rows.
        csv: Written: every score of every screening, tidy.
        md, html: Written: F1, or false positives where nobody is malicious, over seeds.
    """
    rows = []
    for labels in listed(grid):
        truth = read_poisoning(Path(poisonings.format(**labels)))
        held = read_partition(Path(partitions.format(**labels)))
        found = read_arrays(Path(files.format(**labels)), None, finite=False)
        rows += [{**labels, **row} for row in clients.scores(found, poisoners(truth, held))]
    screen = {"models": [ANY], "detections": [clients.YARDSTICK], "after_rounds": [ANY]}
    for labels in listed(grid | {"screen": screen}):
        truth = read_poisoning(Path(poisonings.format(**labels)))
        held = read_partition(Path(partitions.format(**labels)))
        poisoned = np.bincount(held.client[truth.samples], minlength=held.n_clients)
        bad = poisoners(truth, held)
        rows += [{**labels, **row} for row in clients.yardstick(bad, poisoned)]
    frame = pd.DataFrame(rows).astype({"ratio": float, "value": float})
    write_text(csv, frame.to_csv(index=False))
    table, note = clients.table(frame, order), clients.note(frame)
    for path, render in ((md, rendering.to_markdown), (html, rendering.to_html)):
        write_text(path, render(table, note))
