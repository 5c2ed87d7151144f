"""Intervals in tables that cannot be: what tests look for wherever tables are written."""

import pandas as pd

from fedsieve.statistics import ENOUGH, limits


def outside(path):
    """What is wrong with a table of statistics over seeds: intervals of few, and beyond bounds."""
    table = pd.read_csv(path)
    bounds = [limits(metric) for metric in table["metric"]]
    least, most = (pd.Series(ends, table.index) for ends in zip(*bounds, strict=True))
    few = table["n"].lt(ENOUGH) & (table["low"].notna() | table["high"].notna())
    beyond = table["low"].lt(least) | table["high"].gt(most)
    return [
        f"{path.name}: {number} of {len(table)} rows have intervals that {what}"
        for what, number in (
            (f"are of fewer than {ENOUGH} seeds", int(few.sum())),
            ("leave the range of their quantity", int(beyond.sum())),
        )
        if number
    ]
