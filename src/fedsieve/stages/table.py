"""Tabulate a grid: mean, interval or range over seeds; CSV, Markdown, LaTeX, HTML, plain text."""

from pathlib import Path
from typing import Any

from fedsieve import rendering, tables
from fedsieve.artifacts import write_text
from fedsieve.statistics import summarize
from fedsieve.tidy import read_metrics


def table(
    *,
    grid: dict[str, Any],
    files: str,
    order: list[str],
    marks: dict[str, str],
    csv: Path,
    md: Path,
    tex: Path,
    html: Path,
    txt: Path,
) -> None:
    """Write the tables of a grid.

    Args:
        grid: Lists of labels (config ``grids``).
        files: Path of a scenario's metrics, with a field in braces for each axis of the grid.
        order: Attacks and defenses in the order of rows and columns.
        marks: What a defense knows or assumes, beside its name (``rendering.ORACLE`` and so on).
        csv: Written: every metric over seeds (``statistics.over_seeds``), tidy.
        md, tex, html: Written: accuracy and attack success as the papers lay them out, paired
            differences to the run without attack, what was sanitized, and who was turned down.
        txt: Written: the headline numbers for a terminal.
    """
    summary = tables.with_unfinished(summarize(read_metrics(grid, files)), grid)
    write_text(csv, summary.to_csv(index=False))
    shown = [
        (tables.paper_table(summary, order, marks), tables.paper_note(summary)),
        (tables.difference_table(summary, order, marks), tables.difference_note(summary)),
        (tables.sanitization_table(summary, order, marks), tables.sanitization_note(summary)),
        (tables.detection_table(summary, order, marks), tables.detection_note(summary)),
    ]
    renderers = ((md, rendering.to_markdown), (tex, rendering.to_latex), (html, rendering.to_html))
    for path, render in renderers:
        parts = [render(frame, note, marks) for frame, note in shown if not frame.empty]
        write_text(path, "\n".join(parts))
    write_text(txt, "\n".join([*rendering.headline(summary, order, marks), ""]))
