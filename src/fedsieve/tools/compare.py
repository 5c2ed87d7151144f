"""Compare two defenses over all scenarios that both have run, paired by seed."""

from pathlib import Path

import pandas as pd

from fedsieve import duels
from fedsieve.inference import FEWEST, FEWEST_BIMODAL
from fedsieve.rendering import to_markdown
from fedsieve.statistics import ENOUGH, SCENARIO
from fedsieve.wording import say_rate, say_share

_SAID = {"undecided": "undecided", "few": "too few seeds"}


def compare(
    first: str, second: str, *, results: Path = Path("results"), metric: str = "accuracy"
) -> None:
    """Print first, second and their difference in each scenario, as a table in Markdown.

    A difference is shown with its least and greatest over seeds, from eight seeds on with the 95 %
    t-interval; p is that of the exact sign-flip test, both ways, adjusted by Holm over scenarios.
    Five seeds give a p of .0625 at best, six .031, so that ask for as many as you can run.

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
            first: found["first"].map(say_rate),
            second: found["second"].map(say_rate),
            "difference": [_difference(row) for _, row in found.iterrows()],
            "seeds": found["n"].astype(str),
            "p": [f"{p:.2g}" for p in found["p"]],
            f"{first} is": found["verdict"].replace(_SAID),
        }
    ).set_index(pd.MultiIndex.from_frame(found[SCENARIO]))
    note = (
        f"{metric} in per cent; difference: {first} - {second}, mean (least to greatest over "
        f"seeds), from {ENOUGH} seeds on mean [95 % t-interval]; p: exact sign-flip "
        f"test, paired by seed, both ways, Holm over the {len(found)} scenarios. Fewer than "
        f"{FEWEST} seeds decide nothing, nor fewer than {FEWEST_BIMODAL} where two differences lie "
        "more than 20 points apart."
    )
    print(to_markdown(shown.rename(index=say_share, level="ratio"), note))
    count = duels.tally(found)
    print(
        f"Scenarios, of {len(found)}, where {first} is above {second}: {count['above']}; below: "
        f"{count['below']}; undecided: {count['undecided']}; with too few seeds: {count['few']}."
    )


def _difference(row: pd.Series) -> str:
    if row["n"] < ENOUGH:
        return f"{say_rate(row['mean'])} ({say_rate(row['least'])} to {say_rate(row['greatest'])})"
    return f"{say_rate(row['mean'])} [{say_rate(row['low'])}, {say_rate(row['high'])}]"
