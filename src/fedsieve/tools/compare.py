"""Compare two defenses over all scenarios that both have run, paired by seed."""

from pathlib import Path

import pandas as pd

from fedsieve import duels
from fedsieve.rendering import to_markdown
from fedsieve.statistics import SCENARIO, n_seeds, percent
from fedsieve.tables import cell


def compare(
    first: str, second: str, *, results: Path = Path("results"), metric: str = "accuracy"
) -> None:
    """Print first, second and their difference in each scenario, as a table in Markdown.

    Args:
        first, second: Labels of defenses, as the configuration has them; ``none`` is one.
        results: The folder that the workflow writes.
        metric: A key of the scenarios' metrics.json, a rate: accuracy, asr, accuracy_lost,
            asr_excess, sanitization.recall, ...
    """
    pairs = duels.read(results, first, second, metric)
    found = duels.differences(pairs)
    shown = pd.DataFrame(
        {
            first: [cell(100 * mean, float("nan")) for mean in found["first"]],
            second: [cell(100 * mean, float("nan")) for mean in found["second"]],
            "difference": [
                cell(100 * row["mean"], 100 * (row["high"] - row["mean"]))
                for _, row in found.iterrows()
            ],
            "seeds": found["n"].astype(str),
        }
    ).set_index(pd.MultiIndex.from_frame(found[SCENARIO]))
    note = (
        f"{metric} in per cent; difference: {first} - {second}, mean ± half-width of the 95 % "
        f"t-interval of the differences of each seed, {n_seeds(found['n'])}."
    )
    print(to_markdown(shown.rename(index=percent, level="ratio"), note))
    count = duels.tally(found)
    print(
        f"Scenarios, of {len(found)}, where {first} is above {second}: {count['above']}; below: "
        f"{count['below']}; where the interval holds 0: {count['undecided']}; where a single seed "
        f"decides nothing: {count['lone']}."
    )
