"""One HTML page of all grids of a run, which needs nothing but itself."""

import base64
import functools
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import vl_convert
from PIL import Image

from fedsieve import charts, look, overview
from fedsieve.statistics import LABELS, SCENARIO, alone, n_seeds, spread
from fedsieve.wording import say_rate

TEMPLATES = Path(__file__).parent / "templates"

MOST_ROUNDS = 60
"""Rounds that a curve of the page shows at most; every k-th of more."""

CURVES = {
    "accuracy": "test accuracy (%)",
    "asr": "attack success rate (%)",
    "detection_f1": "F1 of flags (%)",
}
"""Rates over the rounds that have a chart, with the title of its axis; no name has a dot, which
Vega takes for a path."""

VERDICTS = {
    "reproduced": "✓",
    "direction only": "≈",
    "inconclusive": "?",
    "not reproduced": "✗",
    "contradicted": "‼",
    "not tested": "\N{EN DASH}",
}
"""Sign of each verdict of the ledger, so that it does not stand out by color alone."""


def render(**content: Any) -> str:
    """Fill the page's template; the same content gives the same bytes."""
    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"slug": slug, "json": script_json, "rate": say_rate}
    return environment.get_template("page.html").render(
        **content,
        css=(TEMPLATES / "page.css").read_text(encoding="utf-8"),
        script=(TEMPLATES / "page.js").read_text(encoding="utf-8"),
        vega=vega() if content["charts"] else "",
    )


@functools.cache
def vega() -> str:
    """Vega, Vega-Lite and Vega-Embed in one script, which may stand inside a page."""
    version = ".".join(charts.VEGA_LITE.removeprefix("v").split(".")[:2])
    script = "window.vegaEmbed = vegaEmbed;"
    return vl_convert.javascript_bundle(script, vl_version=version).replace(
        "</script", r"<\/script"
    )


def slug(*parts: object) -> str:
    """An identifier for an element of the page."""
    return re.sub(r"[^\w.]+", "-", "-".join(map(str, parts))).strip("-")


def script_json(content: Any) -> str:
    """JSON that may stand inside a script element."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return text.replace("<", r"\u003c")


def picture(path: Path) -> dict[str, Any]:
    """Source, width and height of an image: the same pixels as WebP, less than half as long."""
    packed = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(packed, "WEBP", lossless=True)
        width, height = image.size
    source = "data:image/webp;base64," + base64.b64encode(packed.getvalue()).decode()
    return {"source": source, "width": width, "height": height}


def chart_data(
    summary: pd.DataFrame, values: pd.DataFrame, curves: pd.DataFrame, order: Sequence[str]
) -> dict[str, Any]:
    """Everything that the charts of a grid need: data as CSV, specifications, names of panels.

    Args:
        summary: Every metric over seeds.
        values: Every metric of every run.
        curves: Rates after each round, over seeds.
    """
    names = {k: ", ".join(v) for k, v in look.names(look.scenarios(summary, order)).items()}
    defenses = list(dict.fromkeys(key[-1] for key in overview.ranked(summary, order)))
    drawn = {k: v for k, v in charts.style([*order, *defenses]).items() if k in defenses}
    ends, runs = ends_of(summary, names), runs_of(values, names)
    rounds = rounds_of(curves, names)
    return {
        "scenarios": list(names.values()),
        "first": first(ends),
        "defenses": drawn,
        "data": {"ends": _csv(ends), "runs": _csv(runs), "rounds": _csv(rounds)},
        "specs": _specs(drawn, ends, runs, rounds),
    }


def first(ends: pd.DataFrame) -> str:
    """The panel to show first: where an attack succeeds most, if there is one."""
    worst = ends.sort_values("asr", ascending=False, kind="stable") if "asr" in ends else ends
    return str(worst["scenario"].iloc[0])


def ends_of(summary: pd.DataFrame, names: Mapping[tuple, str]) -> pd.DataFrame:
    """Accuracy and attack success at the end, in per cent, a row per scenario and defense."""
    wanted = ["accuracy", "asr", "accuracy_unattacked", "asr_floor"]
    wide = _wide(summary[summary["metric"].isin(wanted)], LABELS, names)
    unused = [f"{m}{end}" for m in wanted[2:] for end in ("_low", "_high")]
    return wide.drop(columns=unused, errors="ignore")


def runs_of(values: pd.DataFrame, names: Mapping[tuple, str]) -> pd.DataFrame:
    """Accuracy and attack success, in per cent, of each run that is drawn by itself."""
    shown = _named(values[values["metric"].isin(["accuracy", "asr"])], names)
    index = ["scenario", "defense", "seed"]
    wide = shown.pivot(index=index, columns="metric", values="value")
    runs = wide.reindex(columns=["accuracy", "asr"]).dropna()
    cells = runs.groupby(["scenario", "defense"])
    kept = alone(cells["accuracy"]) | alone(cells["asr"])
    return (100 * runs[kept]).reset_index().drop(columns="seed")


def rounds_of(curves: pd.DataFrame, names: Mapping[tuple, str]) -> pd.DataFrame:
    """Rates over the rounds, in per cent, at most MOST_ROUNDS of each run, the last among them."""
    numbers = sorted(curves["round"].unique())
    step = -(-len(numbers) // MOST_ROUNDS)
    curves = curves.assign(metric=curves["metric"].str.replace(".", "_"))
    kept = curves[curves["round"].isin(numbers[::-1][::step]) & curves["metric"].isin(CURVES)]
    return _wide(kept, [*LABELS, "round"], names)


def verdict_counts(claims: pd.DataFrame) -> list[tuple[str, str, int]]:
    """Each verdict with its sign and how often it was given."""
    given = claims["verdict"].value_counts()
    return [(verdict, sign, int(given.get(verdict, 0))) for verdict, sign in VERDICTS.items()]


def facts(runs: pd.DataFrame) -> list[tuple[str, str]]:
    """What ran, and on what, in a few words each."""
    once = runs.drop_duplicates([*LABELS, "seed"])
    seeds = once.groupby(LABELS)["seed"].nunique()
    versions = [f"{label} {_all(once[name])}" for name, label in _MADE_WITH.items()]
    hours = once["seconds"].sum() / 3600
    time = f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.0f} min"
    return [
        (
            "Runs",
            f"{len(once):,} trainings: {len(seeds):,} scenarios under a defense, "
            f"{n_seeds(seeds)} each",
        ),
        ("Tasks", _all(once["task"])),
        ("Partitions", _all(once["partition"])),
        ("Attacks", _all(once["attack"])),
        ("Device", f"{_all(once['device'])}; {time} of training in all"),
        ("Made with", ", ".join(versions)),
    ]


_MADE_WITH = {"fedsieve": "FedSieve", "python": "Python", "torch": "PyTorch", "numpy": "NumPy"}


def _all(values: pd.Series) -> str:
    """List the values that there are, in their order."""
    return ", ".join(map(str, dict.fromkeys(values)))


def _wide(rows: pd.DataFrame, keys: list[str], names: Mapping[tuple, str]) -> pd.DataFrame:
    """A row per key, columns ``metric``, ``metric_low`` and ``metric_high``, in per cent."""
    named = _named(rows, names)
    named[["low", "high"]] = spread(named)
    index = ["scenario", *keys[4:]]
    tables = [
        (100 * named.pivot(index=index, columns="metric", values=column)).add_suffix(end)
        for column, end in (("mean", ""), ("low", "_low"), ("high", "_high"))
    ]
    seeds = named.groupby(index)["n"].max().rename("seeds")
    return pd.concat([*tables, seeds], axis=1).reset_index()


def _named(rows: pd.DataFrame, names: Mapping[tuple, str]) -> pd.DataFrame:
    """The rows with the name of their scenario."""
    return rows.assign(scenario=[names[s] for s in rows[SCENARIO].itertuples(False, None)])


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, float_format="%.2f")


def _specs(
    drawn: charts.Style, ends: pd.DataFrame, runs: pd.DataFrame, rounds: pd.DataFrame
) -> dict[str, Any]:
    """Specifications of the charts of what is defined, by their titles."""
    made = {}
    if "asr" in ends and ends["asr"].notna().any():
        made["Accuracy against attack success, at the end"] = charts.trade_off(
            drawn, _least(ends["accuracy"], ends["accuracy_low"], runs["accuracy"])
        )
    for measure, title in CURVES.items():
        if measure in rounds:
            rates = rounds[measure], rounds[f"{measure}_low"]
            least = _least(*rates) if measure == "accuracy" else 0
            made[f"{title.removesuffix(' (%)').capitalize()}, over the rounds"] = charts.curve(
                drawn,
                measure,
                title,
                least,
                [int(rounds["round"].min()), int(rounds["round"].max())],
            )
    return made


def _least(*rates: pd.Series) -> float:
    """Where an axis begins: the least rate of all, down to the next ten."""
    return float(10 * (pd.concat(rates).min() // 10))
