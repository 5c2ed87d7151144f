"""Make one HTML page of all grids of a run: claims, tables, charts, figures, settings."""

from pathlib import Path
from typing import Any

import pandas as pd

from fedsieve import captions as texts
from fedsieve import clients, details, overview, rendering
from fedsieve import page as pages
from fedsieve.artifacts import write_text
from fedsieve.tidy import read_table


def page(
    *,
    config: dict[str, Any],
    marks: dict[str, Any],
    summaries: str,
    values: str,
    runs: str,
    curves: str,
    screenings: str,
    claims: list[Path],
    figures: list[Path],
    captions: Path,
    folder: str,
    html: Path,
) -> None:
    """Write the page.

    Args:
        config: ``run``, ``grids``, and the sections that their labels belong to.
        marks: For each grid, what a defense knows or assumes, beside its name.
        summaries, values, runs, curves, screenings: Paths of a grid's tables, with ``{grid}`` for
            its label; the last is read for grids that ask for screenings.
        claims: The ledger as CSV, if there is one.
        figures: PNG files, each in a folder with the name of its grid.
        captions: Folder of their captions.
        folder: Path of a scenario's files, with a field in braces for each axis of a grid.
        html: Written.
    """
    grids, ran = [], []
    for name in config["run"]:
        summary, each, over = (
            read_table(Path(path.format(grid=name))) for path in (summaries, values, curves)
        )
        own = details.read_runs(Path(runs.format(grid=name)))
        shown = [figure for figure in figures if figure.parent.name == name]
        grids.append(
            _grid(name, config, marks[name], summary, own, folder)
            | {
                "charts": pages.chart_data(summary, each, over, _order(config["grids"][name])),
                "screenings": _screenings(config["grids"][name], screenings.format(grid=name)),
                "figures": _figures(shown, captions, config),
            }
        )
        ran.append(own)
    ledger = read_table(claims[0], keep_default_na=False) if claims else pd.DataFrame()
    text = pages.render(
        facts=pages.facts(pd.concat(ran)),
        claims=ledger.to_dict("records"),
        verdicts=pages.verdict_counts(ledger) if claims else [],
        grids=grids,
        charts={grid["name"]: grid.pop("charts") for grid in grids},
        legend=rendering.legend(list(rendering.FACTS), "".join(rendering.EVENTS)),
        how=texts.text(captions / "workflow.rst", config, {}),
    )
    write_text(html, text)


def _grid(
    name: str,
    config: dict[str, Any],
    marks: dict[str, str],
    summary: pd.DataFrame,
    runs: pd.DataFrame,
    folder: str,
) -> dict[str, Any]:
    """All that the page shows of a grid as text."""
    order = _order(config["grids"][name])
    return {
        "name": name,
        "marks": marks,
        "headline": overview.headline(summary, order, marks),
        "results": overview.results(summary, order, marks),
        "scenarios": details.scenarios(summary, runs, order, config, folder),
    }


def _screenings(grid: dict[str, Any], path: str) -> dict[str, Any] | None:
    """The table of what detectors find by saved models, if the grid asks for it."""
    if "screen" not in grid:
        return None
    frame = read_table(Path(path))
    table = clients.table(frame, _order(grid)).reset_index()
    rows = table.astype(str).to_numpy().tolist()
    return {"columns": list(map(str, table)), "rows": rows, "note": clients.note(frame)}


def _figures(paths: list[Path], captions: Path, config: dict[str, Any]) -> list[dict[str, Any]]:
    """Figures of a grid with their titles and captions, in the order of the page."""
    return [
        {
            "picture": pages.picture(path),
            "title": texts.title(path),
            "caption": texts.caption(captions, path, config),
        }
        for path in sorted(paths, key=texts.rank)
    ]


def _order(grid: dict[str, Any]) -> list[str]:
    """Defenses and attacks of a grid in the order of tables and figures."""
    return [*grid["defense"], *grid["attack"]]
