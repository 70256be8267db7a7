"""Pages of special content in a browser: one answer a picture, small objects, long names, few numbers on an axis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browsing import choose, click, names, texts
from pages import NAMES

from resdet.evaluation.diagnosis import KINDS
from resdet.report.html import Page, write_page
from resdet.report.html.blocks import Chart, Charts, Found, Gallery, Line, Matrix, Picture, Section, Table, Truth, View

pytest.importorskip("selenium", reason="selenium is not installed")


def test_places_of_an_axis(driver: Any, tmp_path: Path) -> None:
    views = [View([Line("", [256, 256], [1, 1])]), View([Line("", [10000, 10300], [0, 1])])]
    charts = Charts([Chart(name, "", "", {"": view}, name, None, (0, 1)) for name, view in zip("ab", views, strict=True)])
    path = write_page(tmp_path / "axes.html", Page("Axes", {}, [Section("All", [charts])]))
    driver.get(path.as_uri())
    below = (
        "return [...document.querySelectorAll('.chart')].map((each) => [...each.querySelectorAll('text[text-anchor=middle]')]"
    )
    drawn = driver.execute_script(f"{below}.map((text) => text.textContent).filter((text) => text))")
    assert drawn == [["256"], ["10000", "10050", "10100", "10150", "10200", "10250", "10300"]]


def test_a_name_does_not_hide_a_small_object(driver: Any, tmp_path: Path) -> None:
    truth = [Truth(0, None, False, 0, (5, y, 6, 6)) for y in (2, 60, 143)]
    found = [Found(1, 0.9, 5, 0, (80, y, 6, 6)) for y in (2, 60, 143)]
    gallery = Gallery([Picture(0, "a.png", "", 200, 150, b"", truth, found)], NAMES, KINDS, 0.5)
    driver.get(write_page(tmp_path / "small.html", Page("Small", {}, [Section("Pictures", [gallery])])).as_uri())
    click(driver, ".card")
    lines = "return [...document.querySelectorAll('#viewer .stage text')].map((each) => Number(each.getAttribute('y')))"
    wrong, missed = (sorted(driver.execute_script(lines)[part]) for part in (slice(3), slice(3, 6)))
    assert wrong[0] > 8  # below, at the top of the picture
    assert wrong[1:] == [pytest.approx(y, abs=2) for y in (60, 143)]  # above
    assert missed[0] > 8
    assert missed[1] > 66
    assert missed[2] < 149  # at the bottom there is no room


def single_gallery(unit: str, orders: dict[str, str], boxed: bool) -> Gallery:
    """A picture that is right, one that is wrong and sure, one that is wrong and less sure."""
    box = (10, 10, 50, 50) if boxed else ()
    pictures = [
        Picture(
            place,
            name,
            "",
            200,
            150,
            b"",
            [Truth(0, score if kind == 0 else None, False, 0, box)],
            [Found(label, score, kind, 0, box)],
        )
        for place, (name, label, score, kind) in enumerate([("a", 0, 0.9, 0), ("b", 1, 0.8, 1), ("c", 1, 0.3, 1)])
    ]
    kinds = ("right", "another class", "left out")
    return Gallery(pictures, NAMES, kinds, 0.0, unit=unit, orders=orders, single=True, boxed=boxed)


def test_pictures_with_one_answer_are_right_or_wrong(driver: Any, tmp_path: Path) -> None:
    gallery = single_gallery("confidence", {"surest": "surest error first"}, boxed=False)
    driver.get(write_page(tmp_path / "one.html", Page("One", {}, [Section("Pictures", [gallery])])).as_uri())
    assert names(driver) == ["b", "c", "a"]
    assert texts(driver, ".count") == ["3 of 3 pictures, with 1 right, 2 wrong"]
    tallies = ["✗ dog (confidence 0.80), is cat", "✗ dog (confidence 0.30), is cat", "✓ cat (confidence 0.90)"]
    assert texts(driver, ".card .tally") == tallies
    assert not driver.find_elements("css selector", ".key")  # there are no boxes
    choose(driver, "score", "0.5")
    assert names(driver) == ["b", "a"]
    choose(driver, "label", "0")
    choose(driver, "kind", "wrong")
    assert names(driver) == ["b"]
    click(driver, ".card")
    assert texts(driver, "#viewer .items tbody tr") == ["wrong: another class dog 0.80", "true class cat"]
    assert not driver.find_element("css selector", "#viewer fieldset").is_displayed()
    gallery = single_gallery("IoU", {"farthest": "farthest box first"}, boxed=True)
    driver.get(write_page(tmp_path / "one.html", Page("One", {}, [Section("Pictures", [gallery])])).as_uri())
    assert names(driver) == ["c", "b", "a"]
    assert len(driver.find_elements("css selector", ".key")) == 1


def test_long_names_leave_room_for_numbers(driver: Any, tmp_path: Path) -> None:
    long = ["a_long_name_" * 17, "b_long_name_" * 17]
    blocks = [Table("By class", ["class", "AP"], [[name, 0.5] for name in long]), Matrix("", long, long, [[1, 0]] * 2, "x")]
    gallery = Gallery([Picture(0, long[0], "", 200, 150, b"", [], [])], long, KINDS, 0.5)
    page = Page(long[0], {}, [Section("Numbers", blocks), Section("Pictures", [gallery])])
    driver.get(write_page(tmp_path / "long.html", page).as_uri())
    driver.set_window_size(500, 900)
    inside = "return [...document.querySelectorAll('.scroll')].map((each) => each.scrollWidth <= each.clientWidth)"
    heights = "return Math.max(...[...document.querySelectorAll('.scroll')].map((each) => each.clientHeight))"
    assert driver.execute_script(inside) == [True, True]
    assert driver.execute_script(heights) < 400
    assert driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    driver.set_window_size(1280, 900)
