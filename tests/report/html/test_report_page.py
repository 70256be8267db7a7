"""The HTML of a page: what is in it, that nothing in it is taken for markup, and how large it becomes."""

from __future__ import annotations

import base64
import io
import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from pages import NAMES, SCRIPT, jpeg, small_page
from PIL import Image

from resdet.evaluation.diagnosis import KINDS
from resdet.report.html import Page
from resdet.report.html.blocks import Found, Gallery, Picture, Section, Table, Truth
from resdet.report.html.page import cell_text, page_html
from resdet.report.html.thumbnails import MOST_PICTURES, Thumbnails


class Reader(HTMLParser):
    """Collects the elements of a page, the scripts, and the text outside of them."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict]] = []
        self.scripts: list[tuple[dict, str]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            attrs, text = self.scripts[-1]
            self.scripts[-1] = (attrs, text + data)
        elif "style" not in self.open:
            self.text += data


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    reader = Reader()
    reader.feed(page_html(small_page(tmp_path)))
    return reader


def test_a_name_that_is_markup_is_text_everywhere(read: Reader) -> None:
    assert len(read.scripts) == 1 + 5 + 1  # the numbers, our five, one chunk of thumbnails
    assert read.text.count(SCRIPT) >= 6  # heading, text, table, matrix, choices
    assert all("window.broken" not in text for attrs, text in read.scripts if "type" not in attrs)


def test_the_numbers_are_json(read: Reader) -> None:
    (data,) = [json.loads(text) for attrs, text in read.scripts if attrs.get("id") == "page-data"]
    gallery = data["gallery"]
    assert gallery["names"] == list(NAMES)
    first, second, third = gallery["pictures"]
    assert first[:4] == ["a.png", "a.png", 200, 150]
    assert first[4] == [[0, 900, 0, 1, 10, 10, 50, 50], [1, -1, 0, 2, 80, 20, 100, 100]]
    assert first[5][1] == [1, 700, KINDS.index("localization"), 1, 120, 60, 60, 60]
    assert second[0] == "b<&>.png"
    assert third[4:] == [[], []]
    line, bars = data["charts"][0]
    assert line["views"][0]["lines"] == [["F1", [0, 0.5, 1], [0, 1, None]]]
    assert bars["views"][0]["bars"] == [[0, 1, 0.2, 0], [1, 2, None, 0], [0, 1, 0.3, 1]]


def test_the_thumbnails_are_jpegs(read: Reader) -> None:
    (chunk,) = [json.loads(text) for attrs, text in read.scripts if attrs.get("class") == "thumbnails"]
    assert chunk == [base64.b64encode(jpeg(color)).decode() for color in ((200, 30, 30), (30, 30, 200))] + [""]


def test_nothing_is_loaded_from_elsewhere(read: Reader) -> None:
    sources = [
        value for _, attrs in read.elements for name, value in attrs.items() if name in ("src", "srcset", "data", "action")
    ]
    links = [attrs["href"] for _, attrs in read.elements if "href" in attrs]
    assert sources == []
    assert all(link.startswith(("#", "data:")) for link in links)
    style = " ".join(attrs.get("style", "") for _, attrs in read.elements)
    assert "url(" not in style
    (policy,) = [attrs["content"] for _, attrs in read.elements if "http-equiv" in attrs]
    assert policy.startswith("default-src 'none'")


def test_headings_and_labels(read: Reader) -> None:
    levels = [int(tag[1]) for tag, _ in read.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))
    ids = [attrs["id"] for _, attrs in read.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {attrs["href"][1:] for _, attrs in read.elements if attrs.get("href", "").startswith("#")} <= {*ids, ""}


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (float("nan"), "–"), (0.12345, "0.123"), (12345, "12,345"), ("x", "x"), (0, "0"), (1.0, "1.000")],
)
def test_cells(value: object, text: str) -> None:
    assert cell_text(value) == text


def test_a_page_without_a_gallery() -> None:
    text = page_html(Page("Plain", {}, [Section("Numbers", [Table("Empty", ["class", "AP"], [])])]))
    assert "<dialog" not in text
    assert '"gallery":null' in text


def test_a_long_table_says_how_much_of_it_is_printed() -> None:
    tables = [
        Table("Long", ["class"], [[each] for each in range(1001)]),
        Table("Short", ["class"], [[each] for each in range(100)]),
    ]
    text = page_html(Page("Plain", {}, [Section("Numbers", tables)]))
    assert text.count("Printed: the first") == 1
    assert "Printed: the first 100 of 1,001 rows." in text
    assert ".sortable tbody tr:nth-child(n+101) { display: none; }" in text.partition("@media print {")[2]


def test_five_thousand_pictures_fit_into_30_mb() -> None:
    generator = np.random.default_rng(0)
    share = Thumbnails(MOST_PICTURES).share
    content = generator.bytes(share)
    found = [Found(79, 0.123, 5, 1, (1000.4, 1000.4, 1000.4, 1000.4))] * 30
    truth = [Truth(79, 0.5, False, 1, (1000.4, 1000.4, 1000.4, 1000.4))] * 10
    name, link = "000000000139.jpg", "../../datasets/coco/val2017/000000000139.jpg"
    pictures = [Picture(place, name, link, 640, 480, content, truth, found) for place in range(MOST_PICTURES)]
    text = page_html(Page("Full", {}, [Section("Pictures", [Gallery(pictures, ["class"] * 80, KINDS, 0.5)])]))
    assert len(text.encode()) < 30e6


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (300, 20)])
def test_the_noisiest_picture_takes_its_share(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    makers = Thumbnails(1), Thumbnails(MOST_PICTURES)
    few, many = (maker(Image.fromarray(noise)) for maker in makers)
    assert len(many) <= makers[1].share < len(few) <= makers[0].share
    with Image.open(io.BytesIO(few)) as image:
        assert image.width / image.height == pytest.approx(size[0] / size[1], rel=0.06)


def test_a_small_picture_is_not_enlarged() -> None:
    content = Thumbnails(1)(Image.new("RGB", (32, 20)))
    with Image.open(io.BytesIO(content)) as image:
        assert image.size == (32, 20)


def test_a_thumbnail_is_as_good_as_its_share_allows_whatever_came_before() -> None:
    generator = np.random.default_rng(2)
    plain = Image.new("RGB", (640, 480), (90, 120, 30))
    noise = Image.fromarray(generator.integers(0, 256, (480, 640, 3), dtype=np.uint8))
    maker = Thumbnails(MOST_PICTURES)
    sides = []
    for image in [plain] + [noise] * 2 + [plain] * 10:
        with Image.open(io.BytesIO(maker(image))) as small:
            sides.append(small.width)
    assert sides[0] == sides[-1] == 360
    assert sides[1] == sides[2] < 200
