"""Pages made by hand, and what a browser shows of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from PIL import Image

from resdet.evaluation.diagnosis import KINDS
from resdet.report.html.blocks import (
    Chart,
    Charts,
    Found,
    Gallery,
    Line,
    Look,
    Matrix,
    Number,
    Numbers,
    Page,
    Picture,
    Section,
    Table,
    Text,
    Truth,
    View,
)

SCRIPT = "<script>window.broken = 1</script>"
NAMES = ("cat", "dog", SCRIPT)


def jpeg(color: tuple[int, int, int], size: tuple[int, int] = (40, 30)) -> bytes:
    """A small JPEG of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, format="JPEG")
    return buffer.getvalue()


def small_gallery(folder: Path, **options: Any) -> Gallery:
    """Three pictures; from score 0.5 on there are 1 right, 1 wrong, 1 missed on the first, 1 wrong and 1 missed on the second.

    The original of the first is written into ``folder``; that of the second is gone.
    """
    Image.new("RGB", (200, 150), (200, 30, 30)).save(folder / "a.png")
    right, localization, background = (KINDS.index(kind) for kind in ("right", "localization", "background"))
    first = Picture(
        0,
        "a.png",
        "a.png",
        200,
        150,
        jpeg((200, 30, 30)),
        [Truth(0, 0.9, False, 1, (10, 10, 50, 50)), Truth(1, None, False, 2, (80, 20, 100, 100))],
        [Found(0, 0.9, right, 1, (11, 9, 50, 50)), Found(1, 0.7, localization, 1, (120, 60, 60, 60))],
    )
    second = Picture(
        1,
        "b<&>.png",
        "gone.png",
        200,
        150,
        jpeg((30, 30, 200)),
        [Truth(0, 0.4, False, 0, (5, 5, 20, 20))],
        [Found(2, 0.95, background, 1, (100, 50, 40, 40)), Found(0, 0.4, right, 0, (5, 5, 20, 20))],
    )
    third = Picture(2, "sub/c.png", "", 200, 150, b"", [], [])
    return Gallery([first, second, third], NAMES, KINDS, 0.5, **options)


def small_page(folder: Path) -> Page:
    """A page with a block of every kind."""
    views = {
        name: View([Line("F1", [0, 0.5, 1], [0, height, None])], mark=0.5, mark_text="here")
        for name, height in (("all", 1.0), (SCRIPT, 0.5))
    }
    bars = {"": View(bars=[(0, 1, 0.2, 0), (1, 2, None, 0), (0, 1, 0.3, 1)], bar_names=["training", "validation"])}
    charts = [
        Chart("A line", "score", "F1", views, "It rises and falls.", (0, 1), (0, 1)),
        Chart("Bars", "", "share", bars, "Two bars.", (0, 2), None, ("cat", SCRIPT)),
    ]
    rows = [["cat", 3, 0.5, "x"], [SCRIPT, 12, float("nan"), "y"], ["dog", 7, None, "z"]]
    sections = [
        Section("Summary", [Numbers([Number("AP", "0.5", "0.4 in before (+0.1)")]), Text(f"A text with {SCRIPT}.")]),
        Section("Pictures", [small_gallery(folder)]),
        Section("Curves", [Charts(charts, "Class")]),
        Section(
            "Numbers",
            [Table("By class", ["class", "objects", "AP", "note"], rows), Table("Looks", ["picture"], [[Look("b", 1)]])],
        ),
        Section("Confusion", [Matrix("Counts", NAMES, NAMES, [[8, 1, 0], [0, 0, 0], [1, 0, 1]], "true \\ said")]),
    ]
    return Page(f"Page {SCRIPT}", {"folder": str(folder)}, sections, ["A note."])
