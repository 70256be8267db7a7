"""What a page is made of: sections of numbers, tables, charts, matrices and one gallery of pictures.

Pages of detectors, classifiers and localizers differ in their blocks alone; ``page.py`` turns blocks into HTML. A block's
``template`` is the macro of ``templates/blocks.html`` that shows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple


class Look(NamedTuple):
    """A cell that opens a picture of the gallery.

    Attributes:
        text: the text of the cell.
        picture: the place of the picture in the gallery.
    """

    text: str
    picture: int


class Change(float):
    """A difference, shown with its sign."""


Cell = str | int | float | Look | None
ORDERS = {"worst": "most errors first", "surest": "surest error first"}


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    template: ClassVar[str] = "text"


class Number(NamedTuple):
    """A number of the summary.

    Attributes:
        label: what it is.
        value: the number as text.
        note: what to compare it with; "" for nothing.
    """

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Numbers:
    """Numbers side by side."""

    numbers: Sequence[Number]
    template: ClassVar[str] = "numbers"


@dataclass(frozen=True)
class Table:
    """A table that can be sorted by its columns.

    Attributes:
        caption: what it shows.
        header: the names of the columns; the first column names the rows.
        rows: cells; None and NaN are shown as a dash, floats with three decimals.
        folded: whether the table is closed until it is asked for.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    folded: bool = False
    template: ClassVar[str] = "table"


@dataclass(frozen=True)
class Matrix:
    """A matrix of counts, each cell shaded by its share of the row.

    Attributes:
        caption: what it shows.
        rows: the names of the rows.
        columns: the names of the columns.
        counts: whole numbers.
        corner: what rows and columns are.
    """

    caption: str
    rows: Sequence[str]
    columns: Sequence[str]
    counts: Sequence[Sequence[int]]
    corner: str
    template: ClassVar[str] = "matrix"


class Line(NamedTuple):
    """A line of a chart; None and NaN leave a gap."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]


@dataclass(frozen=True)
class View:
    """What a chart shows of one choice.

    Attributes:
        lines: the lines.
        bars: (left, right, height) of each bar, and the number of its series when there are several.
        bar_names: the names of the series.
        mark: the place on the x axis of an upright line; None: there is none.
        mark_text: what stands at it.
    """

    lines: Sequence[Line] = ()
    bars: Sequence[tuple[float, float, float | None] | tuple[float, float, float | None, int]] = ()
    bar_names: Sequence[str] = ()
    mark: float | None = None
    mark_text: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        title: what it shows.
        x: the name of the x axis.
        y: the name of the y axis.
        views: what it shows by choice; all charts of a ``Charts`` have the same choices, or one.
        summary: what it shows in words, for those who do not see it.
        x_range: the ends of the x axis; None: those of the numbers.
        y_range: the ends of the y axis; None: from 0 to the greatest number.
        ticks: texts below the places 0.5, 1.5, … of the x axis, in place of numbers.
    """

    title: str
    x: str
    y: str
    views: Mapping[str, View]
    summary: str
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    ticks: Sequence[str] = ()


@dataclass(frozen=True)
class Charts:
    """Charts side by side, with one list of choices for all when there are several."""

    charts: Sequence[Chart]
    chooser: str = "Show"
    template: ClassVar[str] = "charts"


class Truth(NamedTuple):
    """An object of a picture, or the class of the picture when it has no box.

    Attributes:
        label: 0 … K-1.
        found_at: the score of the detection that finds it; None: none does.
        left_out: whether it counts neither as found nor as missed.
        size: 0 small, 1 medium, 2 large, as COCO says.
        box: ``x, y, width, height`` in pixels of the original; () for the whole picture.
        found_before: in a comparison, ``found_at`` of the other run.
    """

    label: int
    found_at: float | None
    left_out: bool
    size: int
    box: Sequence[float]
    found_before: float | None = None


class Found(NamedTuple):
    """A detection of a picture, or the class said of it when it has no box.

    Attributes:
        label: 0 … K-1.
        score: in [0, 1].
        kind: the index in the gallery's ``kinds``.
        size: 0 small, 1 medium, 2 large, as COCO says.
        box: ``x, y, width, height`` in pixels of the original; () for the whole picture.
    """

    label: int
    score: float
    kind: int
    size: int
    box: Sequence[float]


@dataclass(frozen=True)
class Picture:
    """A picture of the gallery.

    Attributes:
        place: the place of the picture in its set.
        name: the name of its file.
        link: the way from the page's folder to the original; "" where there is no file.
        width: pixels of the original.
        height: pixels of the original.
        thumbnail: a JPEG; b"" where the original could not be read.
        truth: its objects.
        found: what was detected on it.
        before: what another run detected on it, in a comparison.
    """

    place: int
    name: str
    link: str
    width: int
    height: int
    thumbnail: bytes
    truth: Sequence[Truth]
    found: Sequence[Found]
    before: Sequence[Found] | None = None


@dataclass(frozen=True)
class Gallery:
    """Pictures with what is true and what was found, filtered and drawn in the browser.

    Attributes:
        pictures: the pictures.
        names: the K class names.
        kinds: what a detection may be, the first one right, one called "left out" not counted, the others wrong.
        score: the score that detections are shown from at first.
        notes: what is not shown.
        runs: of a comparison, the names of both runs.
        unit: what the pictures' score is.
        orders: in what orders they can be shown, by their names in ``gallery.js``; the first one at first.
        single: whether a picture has one answer, right or wrong, in place of objects of any number and size.
        boxed: whether answers have boxes.
    """

    pictures: Sequence[Picture]
    names: Sequence[str]
    kinds: Sequence[str]
    score: float
    notes: Sequence[str] = ()
    runs: Sequence[str] = ()
    unit: str = "score"
    orders: Mapping[str, str] = field(default_factory=lambda: ORDERS)
    single: bool = False
    boxed: bool = True
    template: ClassVar[str] = "gallery"


Block = Text | Numbers | Table | Matrix | Charts | Gallery


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading.

    Attributes:
        name: the heading.
        blocks: what stands in it.
    """

    name: str
    blocks: Sequence[Block]

    @property
    def anchor(self) -> str:
        """The name in addresses."""
        return "".join(letter if letter.isalnum() else "-" for letter in self.name.lower())


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        title: the heading of the page.
        facts: what it is about, by name.
        sections: its parts.
    """

    title: str
    facts: Mapping[str, str]
    sections: Sequence[Section]
    notes: Sequence[str] = field(default=())

    def gallery(self) -> Gallery | None:
        """The gallery, of which a page has one at most."""
        return next((block for section in self.sections for block in section.blocks if isinstance(block, Gallery)), None)

    def charts(self) -> list[Any]:
        """All groups of charts, in their order."""
        return [block for section in self.sections for block in section.blocks if isinstance(block, Charts)]
