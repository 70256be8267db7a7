"""How results look in a console and in a notebook."""

from __future__ import annotations

import base64
import io
import re
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from resdet.structures import Classification, ClassScore, Detections


def detections(count: int = 2, names: tuple[str, ...] = ("cat", "dog"), **origin: object) -> Detections:
    boxes = torch.arange(count * 4, dtype=torch.float32).reshape(count, 4)
    labels = torch.arange(count) % 2
    return Detections(boxes, torch.linspace(0.9, 0.1, count), labels, (50, 80), names, **origin)  # type: ignore[arg-type]


def classification(**origin: object) -> Classification:
    return Classification((2, 0), (0.75, 0.125), ("ant", "bee", "<cat>"), **origin)  # type: ignore[arg-type]


class Cells(HTMLParser):
    """The texts and tags of a page; a tag that a name smuggled in would be among the tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.sources: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name == "src"]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_one_line_and_a_table() -> None:
    found = detections(image_id="a/street.jpg", path="a/street.jpg")
    assert repr(found) == "Detections(street.jpg, 80 x 50 pixels: 1 cat, 1 dog)"
    assert str(found).splitlines() == [
        "street.jpg, 80 x 50 pixels: 1 cat, 1 dog",
        "  cat  0.900  0.0  1.0  2.0  3.0",
        "  dog  0.100  4.0  5.0  6.0  7.0",
    ]
    assert repr(detections(0)) == "Detections(image 0, 80 x 50 pixels: nothing)"
    assert str(detections(0)) == "image 0, 80 x 50 pixels: nothing"
    assert repr(detections(0, image_id=12, path="clip.mp4")) == "Detections(clip.mp4, frame 12, 80 x 50 pixels: nothing)"


def test_columns_are_as_wide_as_their_cells() -> None:
    found = Detections(
        torch.tensor([[5.0, 100, 7, 8], [1, 2, 3, 4]]), torch.ones(2), torch.tensor([0, 1]), (9, 9), ("horse", "ox")
    )
    assert str(found).splitlines()[1:] == ["  horse  1.000  5.0  100.0  7.0  8.0", "  ox     1.000  1.0  2.0    3.0  4.0"]


def test_long_tables_are_cut() -> None:
    lines = str(detections(25)).splitlines()
    assert len(lines) == 22
    assert lines[-1] == "  … and 5 more"
    page = detections(25)._repr_html_()
    assert page.count("<tr>") == 21
    assert "… and 5 more" in page
    assert "more" not in detections(20)._repr_html_()


def test_any_number_of_objects_is_shown_at_once() -> None:
    many = detections(200_000, image=Image.new("RGB", (80, 50)))
    started = time.process_time()
    assert repr(many) == "Detections(image 0, 80 x 50 pixels: 100000 cat, 100000 dog)"
    assert str(many).endswith("… and 199980 more")
    assert many._repr_html_().endswith("<p>… and 199980 more</p>")
    assert time.process_time() - started < 10  # 0.7 s; with a caption each it ended in hours


def test_many_classes_are_shown_in_a_line() -> None:
    names = tuple(f"c{label}" for label in range(1000))
    found = Classification(tuple(range(1000)), (0.001,) * 1000, names, path="a.jpg", image_id="a.jpg")
    assert repr(found).endswith("c18 0.001, c19 0.001, … and 980 more)")
    assert str(found).splitlines()[-1] == "  … and 980 more"


def test_classes_are_counted_in_the_order_of_their_best() -> None:
    found = Detections(torch.zeros(5, 4), torch.ones(5), torch.tensor([2, 0, 2, 1, 0]), (9, 9), ("a", "b", "a"))
    assert found.summary() == "4 a, 1 b"


def test_names_and_files_are_text_in_a_page() -> None:
    evil = "<script>alert(1)</script>"
    page = Cells(detections(2, (evil, "a & b"), image_id=f"{evil}.png", path=f"{evil}.png")._repr_html_())
    assert set(page.tags) == {"p", "table", "thead", "tbody", "tr", "th", "td"}
    assert evil in page.texts
    assert "a & b" in page.texts
    assert page.texts.count("0.900") == 1


def test_a_page_shows_the_picture_with_its_boxes() -> None:
    image = Image.new("RGB", (80, 50), (10, 20, 200))
    found = Detections(torch.tensor([[10.0, 10, 60, 40]]), torch.ones(1), torch.tensor([0]), (50, 80), ("cat",), image=image)
    page = Cells(found._repr_html_())
    (source,) = page.sources
    content = base64.b64decode(source.removeprefix("data:image/png;base64,"))
    assert content == found._repr_png_()
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), np.asarray(found.draw()))


def test_pictures_of_notebooks_are_small(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (1600, 1000)).save(path)
    found = Detections(torch.tensor([[800.0, 500, 1600, 1000]]), torch.ones(1), torch.tensor([0]), (1000, 1600), path=str(path))
    content = found._repr_png_()
    assert content is not None
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.size == (800, 500)
        assert np.asarray(picture)[260:, 410:].any()  # the box is where it is in the small picture
        assert not np.asarray(picture)[:200, :350].any()


def test_no_picture_is_shown_where_none_is_known(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"frames")
    for origin in ({}, {"path": str(tmp_path / "gone.png")}, {"path": str(tmp_path / "clip.mp4"), "image_id": 3}):
        for result in (detections(**origin), classification(**origin)):
            assert result._repr_png_() is None
            assert "<img" not in result._repr_html_()


def test_a_classification_is_a_sequence_of_names_and_scores() -> None:
    best = classification(image_id=4)
    assert list(best) == [("<cat>", 0.75), ("ant", 0.125)]
    assert best[0] == ClassScore("<cat>", 0.75)
    assert best[0].name == "<cat>"
    assert best[-1].score == 0.125
    assert best[:1] == Classification((2,), (0.75,), ("ant", "bee", "<cat>"), image_id=4)
    assert len(best) == 2
    assert ("ant", 0.125) in best


def test_a_classification_in_a_line_a_table_and_a_page() -> None:
    image = Image.new("RGB", (30, 20), (1, 2, 3))
    best = classification(image_id="x/a.jpg", path="x/a.jpg", image=image)
    assert repr(best) == "Classification(a.jpg: <cat> 0.750, ant 0.125)"
    assert str(best) == "a.jpg\n  <cat>  0.750\n  ant    0.125"
    page = Cells(best._repr_html_())
    assert [text for text in page.texts if re.fullmatch(r"[\w<>.]+", text)] == [
        "a.jpg",
        "name",
        "score",
        "<cat>",
        "0.750",
        "ant",
        "0.125",
    ]
    content = best._repr_png_()
    assert content is not None
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), np.asarray(image))
