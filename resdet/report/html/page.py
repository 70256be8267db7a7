"""Turns blocks into one HTML file without anything outside of it: styles, scripts, numbers and thumbnails are in it."""

from __future__ import annotations

import base64
import functools
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from resdet.files import write_text
from resdet.report.html.blocks import Change, Chart, Charts, Found, Gallery, Look, Page, Picture, Truth, View
from resdet.version import __version__

_TEMPLATES = Path(__file__).parent / "templates"
_SCRIPTS = ("page.js", "charts.js", "boxes.js", "gallery.js", "viewer.js")
_CHUNK = 100  # thumbnails that a browser parses at a time


def write_page(path: str | Path, page: Page) -> Path:
    """Write a page as one HTML file, atomically. Texts are shown as they are, whatever they hold. Returns its path."""
    # the names of files may hold bytes that are no text
    write_text(path, page_html(page).encode("utf-8", "backslashreplace").decode())
    return Path(path)


def page_html(page: Page) -> str:
    """A page as HTML."""
    gallery = page.gallery()
    charts = page.charts()
    data = {"charts": [_charts(each) for each in charts], "gallery": _gallery(gallery) if gallery else None}
    return (
        _environment()
        .get_template("page.html")
        .render(
            page=page,
            version=__version__,
            data=_embedded(data),
            thumbnails=[_embedded(some) for some in _thumbnails(gallery.pictures)] if gallery else [],
            style=_own("style.css"),
            scripts=[_own(name) for name in _SCRIPTS],
            chart_number={id(each): number for number, each in enumerate(charts)},
            id_of=id,
        )
    )


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = cell_text
    environment.filters["sortable"] = _sort_key
    environment.tests["look"] = lambda value: isinstance(value, Look)
    return environment


@functools.cache
def _own(name: str) -> Markup:
    """A style or script of ours, which is not text to be escaped."""
    return Markup((_TEMPLATES / name).read_text(encoding="utf-8"))  # noqa: S704 - a file of the package


def cell_text(value: Any) -> str:
    """A cell as people read it: three decimals, thousands apart, a dash for nothing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:+.3f}" if isinstance(value, Change) else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _sort_key(value: Any) -> str:
    """What a column is sorted by: numbers unrounded, nothing below every number."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-Infinity"
    return repr(value) if isinstance(value, (int, float)) else str(value.text if isinstance(value, Look) else value)


def _embedded(value: Any) -> Markup:
    """JSON for a script element: no text in it can end the element or begin a comment."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # no markup is left in it
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))  # noqa: S704


def _charts(group: Charts) -> list[dict[str, Any]]:
    return [_chart(chart) for chart in group.charts]


def _chart(chart: Chart) -> dict[str, Any]:
    return {
        "x": chart.x,
        "y": chart.y,
        "xRange": chart.x_range,
        "yRange": chart.y_range,
        "ticks": list(chart.ticks),
        "views": [_view(view) for view in chart.views.values()],
    }


def _view(view: View) -> dict[str, Any]:
    return {
        "lines": [[line.name, _numbers(line.x), _numbers(line.y)] for line in view.lines],
        "bars": [[*_numbers(bar[:3]), bar[3] if len(bar) > 3 else 0] for bar in view.bars],
        "barNames": list(view.bar_names),
        "mark": None if view.mark is None else _short(view.mark),
        "markText": view.mark_text,
    }


def _numbers(values: Sequence[float | None]) -> list[float | None]:
    return [None if value is None or math.isnan(value) else _short(value) for value in values]


def _short(value: float) -> float:
    """Five digits, which no picture can show more of."""
    return float(f"{float(value):.5g}")


def _gallery(gallery: Gallery) -> dict[str, Any]:
    return {
        "names": list(gallery.names),
        "kinds": list(gallery.kinds),
        "score": gallery.score,
        "single": gallery.single,
        "runs": list(gallery.runs),
        "unit": gallery.unit,
        "pictures": [_picture(picture) for picture in gallery.pictures],
    }


def _picture(picture: Picture) -> list[Any]:
    row = [picture.name, picture.link, picture.width, picture.height]
    compared = picture.before is not None
    parts: list[Any] = [[_truth(each, compared) for each in picture.truth], [_found(each) for each in picture.found]]
    return row + parts + ([[_found(each) for each in picture.before]] if picture.before is not None else [])


def _truth(truth: Truth, compared: bool) -> list[Any]:
    now, before = (-1 if score is None else _thousandths(score) for score in (truth.found_at, truth.found_before))
    return [truth.label, [now, before] if compared else now, int(truth.left_out), truth.size, *map(round, truth.box)]


def _found(found: Found) -> list[float]:
    return [found.label, _thousandths(found.score), found.kind, found.size, *map(round, found.box)]


def _thousandths(score: float) -> int:
    """Rounded down, so that a detection is kept from its own score on."""
    return math.floor(1000 * score + 1e-9)


def _thumbnails(pictures: Sequence[Picture]) -> Iterator[list[str]]:
    """Base64 of the thumbnails, some at a time."""
    for first in range(0, len(pictures), _CHUNK):
        yield [base64.b64encode(picture.thumbnail).decode() for picture in pictures[first : first + _CHUNK]]
