"""Interactive charts of a grid: Vega-Lite specifications, without their data.

A page embeds each with ``vega-embed``, sets the named data, and steers all charts of a grid by two
signals: ``scenario``, the name of the panel to show, and ``shown``, the defenses to draw. Rates are
per cent here. Colors of axes and text are the page's own, light or dark.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
from matplotlib.colors import to_hex

from fedsieve import look
from fedsieve.statistics import ENOUGH

VEGA_LITE = alt.SCHEMA_VERSION
"""Version of the language of the specifications."""

HEIGHT = 260
"""Of a chart, in pixels; its width is that of its box."""

MARKERS = {
    "o": "M1,0A1,1,0,1,1,-1,0A1,1,0,1,1,1,0Z",
    "s": "M-.9,-.9H.9V.9H-.9Z",
    "^": "M0,-1.05L1.05,.8H-1.05Z",
    "D": "M0,-1.2L1.2,0L0,1.2L-1.2,0Z",
    "v": "M0,1.05L1.05,-.8H-1.05Z",
    "P": "M-.4,-1.1H.4V-.4H1.1V.4H.4V1.1H-.4V.4H-1.1V-.4H-.4Z",
    "X": "M-1,-.5L-.5,-1L0,-.5L.5,-1L1,-.5L.5,0L1,.5L.5,1L0,.5L-.5,1L-1,.5L-.5,0Z",
    "<": "M-1.05,0L.8,-1.05V1.05Z",
    ">": "M1.05,0L-.8,-1.05V1.05Z",
}
"""SVG path of each marker of ``look.styles``, in a square of -1 to 1."""

DASHES = {"-": [1, 0], "--": [6, 3], ":": [2, 3], "-.": [6, 3, 2, 3]}
"""Lengths of drawn and blank parts of each line style of ``look.styles``."""

Style = Mapping[str, Mapping[str, Any]]
"""Look of each defense: color (hex), path of its marker, dash."""

_PLAIN: dict[str, Any] = {
    "axis": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "domainColor": "currentColor",
        "tickColor": "currentColor",
        "gridColor": "currentColor",
        "gridOpacity": 0.12,
        "domainOpacity": 0.4,
        "tickOpacity": 0.4,
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
    },
    "view": {"stroke": None},
    "font": "inherit",
    "background": "transparent",
}
_TITLES = {"asr": "ASR", "detection_f1": "F1 of flags"}
_WHEEL = "wheel![event.shiftKey]"
_DRAG = "[pointerdown[event.pointerType === 'mouse'], window:pointerup] > window:pointermove!"
_REFERENCE: dict[str, Any] = {"color": "currentColor", "opacity": 0.45, "strokeDash": [3, 3]}


def style(order: Sequence[str]) -> Style:
    """Give each defense the look that it has in every figure."""
    return {
        name: {
            "color": to_hex(found["color"]),
            "marker": MARKERS[found["marker"]],
            "dash": DASHES[found["linestyle"]],
        }
        for name, found in look.styles(order).items()
    }


def trade_off(drawn: Style, least: float) -> dict[str, Any]:
    """Accuracy against attack success at the end, a point per defense.

    From ``ENOUGH`` seeds on, the points have the bars of their intervals.

    Data ``ends``: scenario, defense, seeds, ``accuracy`` and ``asr`` with ``_low`` and ``_high``,
    and what a model without attack and defense shows, ``accuracy_unattacked`` and ``asr_floor``.
    Data ``runs``: scenario, defense, accuracy and asr of each run that is a small point of its own.

    Args:
        least: Where the axis of accuracy begins, the same for all panels.
    """
    base = _chosen("ends", ["accuracy", "asr"], ["accuracy_unattacked", "asr_floor"])
    color = _color(drawn)
    x = alt.X("asr:Q", title="attack success rate (%)").axis(tickCount=5)
    x = x.scale(domain=[-3, 103], nice=False)  # room for points at the ends
    y = alt.Y("accuracy:Q", title="test accuracy (%)")
    y = y.scale(domain=[least, 100 + 0.03 * (100 - least)], nice=False)
    points = base.mark_point(filled=True, size=90, opacity=1, clip=True).encode(
        x, y, color, _shape(drawn), tooltip=_told("accuracy", "asr")
    )
    sure = base.transform_filter(f"datum.seeds >= {ENOUGH}")
    runs = _chosen("runs", ["accuracy", "asr"], [])
    lines = [
        runs.mark_circle(size=16, opacity=0.6, clip=True).encode(x, y, color),
        sure.mark_rule(clip=True).encode(alt.X("asr_low:Q"), y, color, x2="asr_high"),
        sure.mark_rule(clip=True).encode(x, alt.Y("accuracy_low:Q"), color, y2="accuracy_high"),
        base.mark_rule(clip=True, **_REFERENCE).encode(alt.X("mean(asr_floor):Q")),
        base.mark_rule(clip=True, **_REFERENCE).encode(alt.Y("mean(accuracy_unattacked):Q")),
    ]
    return _finished(drawn, points, *lines)


def curve(
    drawn: Style, measure: str, title: str, least: float, rounds: Sequence[int]
) -> dict[str, Any]:
    """A rate over the rounds, a line per defense with a band.

    Data ``rounds``: scenario, defense, seeds, round, and the measure with ``_low`` and ``_high``,
    from where to where its interval or its runs go (``statistics.spread``).

    Args:
        least: Where the axis of the rate begins.
        rounds: The first and the last.
    """
    base = _chosen("rounds", [measure], ["round"])
    x = alt.X("round:Q", title="communication round")
    x = x.axis(tickMinStep=1, tickCount=6, grid=False).scale(domain=list(rounds), nice=False)
    y = alt.Y(f"{measure}:Q", title=title).scale(domain=[least, 100], nice=False)
    color, scale = _color(drawn), _scale(drawn, "dash")
    points = base.mark_point(filled=True, size=28, opacity=1, clip=True).encode(
        x, y, color, _shape(drawn), tooltip=[alt.Tooltip("round:Q"), *_told(measure)]
    )
    line = base.mark_line(clip=True).encode(
        x, y, color, alt.StrokeDash("defense:N", legend=None, scale=scale)
    )
    band = base.mark_area(opacity=0.13, clip=True).encode(
        x, alt.Y(f"{measure}_low:Q"), color, y2=f"{measure}_high"
    )
    return _finished(drawn, points, line, band)


def _chosen(name: str, measures: Sequence[str], others: Sequence[str]) -> alt.Chart:
    """A chart of the rows of named data that the page's two signals choose.

    Rows without the first measure are left out.
    """
    numbers = [*others, *(column for m in measures for column in _measured(m))]
    parse = alt.Parse(**dict.fromkeys(numbers, "number"))
    data = alt.NamedData(name, format=alt.CsvDataFormat(type="csv", parse=parse))
    rows = "datum.scenario === scenario && indexof(shown, datum.defense) >= 0"
    chart = alt.Chart(data).transform_filter(f"{rows} && isValid(datum.{measures[0]})")
    return chart.transform_calculate(**{f"{m}_told": _telling(m) for m in measures})


def _measured(measure: str) -> list[str]:
    """Columns of a measure and of what its band goes from and to."""
    return [f"{measure}{end}" for end in ("", "_low", "_high")]


def _finished(drawn: Style, first: alt.Chart, *rest: alt.Chart) -> dict[str, Any]:
    """One specification of layers, with the page's signals and a zoom that lets the page scroll."""
    zoom = alt.selection_interval(name="zoom", bind="scales", zoom=_WHEEL, translate=_DRAG)
    signals = [alt.param(name="scenario", value=""), alt.param(name="shown", value=list(drawn))]
    chart: Any = alt.layer(first.add_params(zoom), *rest).add_params(*signals)
    sized = chart.properties(width="container", height=HEIGHT)
    return dict(sized.configure(**_PLAIN).to_dict())


def _color(drawn: Style) -> alt.Color:
    return alt.Color("defense:N", legend=None, scale=_scale(drawn, "color"))


def _shape(drawn: Style) -> alt.Shape:
    return alt.Shape("defense:N", legend=None, scale=_scale(drawn, "marker"))


def _scale(drawn: Style, part: str) -> alt.Scale:
    return alt.Scale(domain=list(drawn), range=[found[part] for found in drawn.values()])


def _told(*measures: str) -> list[alt.Tooltip]:
    """What a point says of itself when it is pointed at."""
    told = [alt.Tooltip(f"{m}_told:N", title=f"{_TITLES.get(m, m)} (%)") for m in measures]
    return [alt.Tooltip("defense:N"), *told, alt.Tooltip("seeds:N")]


def _telling(measure: str) -> str:
    """Expression for a measure with its interval, or least and greatest run, if any, as text."""
    mean, low, high = (f"format(datum.{column},'.2f')" for column in _measured(measure))
    of = f"datum.seeds < {ENOUGH} ? 'runs ' : '95 % '"
    ends = f"isValid(datum.{measure}_low) ? ' (' + ({of}) + {low} + ' to ' + {high} + ')' : ''"
    return f"{mean} + ({ends})"
