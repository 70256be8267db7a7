"""The page in a browser: filters, slider, toggles, keyboard, light and dark, no request, accessibility."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from browsers import violations
from browsing import choose, click, focused, names, press, texts
from pages import NAMES, SCRIPT, small_gallery

from resdet.evaluation.diagnosis import KINDS
from resdet.report.html import Page, write_page
from resdet.report.html.blocks import Found, Gallery, Picture, Section, Truth

pytest.importorskip("selenium", reason="selenium is not installed")
from selenium.webdriver.support.ui import WebDriverWait


@pytest.fixture
def shown(driver: Any, page: Path) -> Any:
    """The browser with the small page, as if opened for the first time."""
    driver.get(page.as_uri())
    driver.execute_script("localStorage.clear()")
    driver.get(page.as_uri())
    return driver


def test_the_worst_pictures_come_first_with_their_counts(shown: Any) -> None:
    assert names(shown) == ["b<&>.png", "a.png", "sub/c.png"]
    assert texts(shown, ".card .tally")[:2] == ["0 right, 1 wrong, 1 missed", "1 right, 1 wrong, 1 missed"]
    assert texts(shown, ".count") == ["3 of 3 pictures, with 1 right, 2 wrong, 2 missed"]
    assert not [line for line in shown.get_log("browser") if line["level"] == "SEVERE" and "gone.png" not in line["message"]]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"order": "name"}, ["a.png", "b<&>.png", "sub/c.png"]),
        ({"order": "surest"}, ["b<&>.png", "a.png", "sub/c.png"]),
        ({"label": "1"}, ["a.png"]),
        ({"label": "2"}, ["b<&>.png"]),
        ({"kind": str(KINDS.index("localization"))}, ["a.png"]),
        ({"kind": str(KINDS.index("background"))}, ["b<&>.png"]),
        ({"kind": str(KINDS.index("duplicate"))}, []),
        ({"kind": "missed", "label": "0"}, ["b<&>.png"]),
        ({"kind": "wrong"}, ["b<&>.png", "a.png"]),
        ({"kind": "0"}, ["a.png"]),
        ({"size": "2"}, ["a.png"]),
        ({"size": "0"}, ["b<&>.png"]),
        ({"text": "C.P"}, ["sub/c.png"]),
        ({"text": "<&"}, ["b<&>.png"]),
        ({"score": "0.3"}, ["a.png", "b<&>.png", "sub/c.png"]),  # the object of b is found then, it has one error
        ({"score": "0.3", "kind": "missed"}, ["a.png"]),
        ({"score": "0.96", "kind": "wrong"}, ["a.png", "b<&>.png"]),  # nothing is detected: two are missed, one is
    ],
)
def test_filters(shown: Any, filters: dict[str, str], expected: list[str]) -> None:
    for name, value in filters.items():
        choose(shown, name, value)
    assert names(shown) == expected


def test_the_slider_counts_anew(shown: Any) -> None:
    choose(shown, "score", "0.3")
    assert texts(shown, ".count") == ["3 of 3 pictures, with 2 right, 2 wrong, 1 missed"]
    assert texts(shown, ".filters output") == ["0.30"]
    boxes = "return document.querySelectorAll('.cards svg rect.right').length"
    assert shown.execute_script(boxes) == 2
    choose(shown, "score", "0.8")
    assert shown.execute_script(boxes) == 1


def test_the_viewer_shows_the_original_and_what_is_on_it(shown: Any) -> None:
    click(shown, ".card", 1)
    assert texts(shown, "#viewer h3") == ["a.png"]
    rows = texts(shown, "#viewer .items tbody tr")
    assert rows == ["wrong: localization dog 0.70", "missed dog", "right cat 0.90"]
    image = shown.find_element("css selector", "#viewer img")
    assert image.get_attribute("src").endswith("/a.png")
    link = shown.find_element("css selector", ".original")
    assert link.get_attribute("href") == image.get_attribute("src")
    count = "return document.querySelectorAll(`.stage svg rect.${arguments[0]}`).length"
    assert [shown.execute_script(count, kind) for kind in ("right", "wrong", "missed", "truth")] == [1, 1, 1, 1]
    for number, kind in enumerate(("right", "wrong", "missed", "truth")):
        click(shown, "#viewer fieldset input", number)
        assert shown.execute_script(count, kind) == 0
    words = "return document.querySelectorAll('#viewer .stage text').length"
    for number in range(4):
        click(shown, "#viewer fieldset input", number)
    assert shown.execute_script(words) == 3
    click(shown, "#viewer fieldset input", 5)
    assert shown.execute_script(words) == 0


def test_the_slider_of_the_viewer_acts_at_once(shown: Any) -> None:
    click(shown, ".card", 1)
    slider = shown.find_element("css selector", "#viewer input[name=score]")
    shown.execute_script("arguments[0].value = 0.8; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))", slider)
    assert texts(shown, "#viewer .items tbody tr") == ["missed dog", "right cat 0.90"]
    assert texts(shown, ".count") == ["3 of 3 pictures, with 1 right, 1 wrong, 2 missed"]
    assert texts(shown, "#viewer output") == ["0.80"]


def test_where_the_original_is_gone_the_thumbnail_is_shown(shown: Any) -> None:
    click(shown, ".card", 0)
    source = "return document.querySelector('#viewer img').src"
    WebDriverWait(shown, 20).until(lambda browser: browser.execute_script(source).startswith("data:image/jpeg"))
    click(shown, "#viewer .close")
    click(shown, ".card", 2)
    assert texts(shown, "#viewer .gone") == ["no picture here"]
    assert not shown.find_element("css selector", ".original").is_displayed()


def test_everything_is_reached_by_keyboard(shown: Any) -> None:
    press(shown, "\ue004")  # tab
    assert focused(shown) == "skip"
    shown.execute_script("document.querySelector('.card').focus()")
    press(shown, "\ue007")  # enter
    assert texts(shown, "#viewer h3") == ["b<&>.png"]
    press(shown, "\ue014")  # right
    assert texts(shown, "#viewer h3") == ["a.png"]
    press(shown, "\ue012")  # left
    assert texts(shown, "#viewer h3") == ["b<&>.png"]
    press(shown, "\ue00c")  # escape
    assert not shown.find_element("id", "viewer").is_displayed()
    assert focused(shown) == "card"
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert shown.execute_script(outline) == "solid"


def test_light_and_dark(shown: Any) -> None:
    paper = "return getComputedStyle(document.body).backgroundColor"
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
    dark = shown.execute_script(paper)
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "light"}]})
    assert shown.execute_script(paper) == "rgb(255, 255, 255)" != dark
    button = shown.find_element("id", "theme")
    # the page hears of the change with its next frame
    WebDriverWait(shown, 20).until(lambda _: button.get_attribute("aria-pressed") == "false")
    button.click()
    assert (shown.execute_script(paper), button.get_attribute("aria-pressed")) == (dark, "true")
    shown.refresh()
    assert shown.execute_script(paper) == dark  # it is remembered
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert shown.execute_script(paper) == "rgb(255, 255, 255)"  # light letters would be lost on paper
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    shown.find_element("id", "theme").click()
    assert shown.execute_script(paper) == "rgb(255, 255, 255)"


def test_tables_sort_and_open_pictures(shown: Any) -> None:
    first = ".sortable tbody tr"
    click(shown, ".sortable thead button", 1)
    assert [row.split()[0] for row in texts(shown, first)][:3] == [SCRIPT.split()[0], "dog", "cat"]
    click(shown, ".sortable thead button", 1)
    assert [row.split()[0] for row in texts(shown, first)][:3] == ["cat", "dog", SCRIPT.split()[0]]
    click(shown, ".sortable thead button", 2)  # what has no number is below every number
    assert texts(shown, first)[0].startswith("cat")
    click(shown, ".look")
    assert texts(shown, "#viewer h3") == ["b<&>.png"]


def test_charts_follow_the_choice(shown: Any) -> None:
    path = "return document.querySelector('.chart path.curve').getAttribute('d')"
    before = shown.execute_script(path)
    shown.execute_script(
        "const each = document.querySelector('.choose select'); each.value = 1; each.dispatchEvent(new Event('change'))"
    )
    assert shown.execute_script(path) != before
    assert len(shown.find_elements("css selector", ".chart rect.bar")) == 2  # the bar without a height is not drawn
    assert "A line. It rises and falls." in [
        each.get_attribute("aria-label") for each in shown.find_elements("css selector", ".chart")
    ]


def test_names_are_text(shown: Any) -> None:
    assert shown.execute_script("return window.broken") is None
    assert texts(shown, "h1") == [f"Page {SCRIPT}"]
    assert SCRIPT in [each.text for each in shown.find_elements("css selector", "select[name=label] option")]


def test_no_request_leaves_the_page(driver: Any, page: Path) -> None:
    driver.get_log("performance")
    driver.get(page.as_uri())
    click(driver, ".card", 1)
    sent = [json.loads(line["message"])["message"] for line in driver.get_log("performance")]
    urls = [each["params"]["request"]["url"] for each in sent if each["method"] == "Network.requestWillBeSent"]
    assert any(url.endswith("report.html") for url in urls)
    assert [url for url in urls if not url.startswith(("file:", "data:"))] == []


def test_accessibility_by_axe(shown: Any) -> None:
    for theme in ("light", "dark"):
        shown.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)
        for opened in (False, True):
            if opened:
                click(shown, ".card", 1)
            assert violations(shown) == [], (theme, opened)
        click(shown, "#viewer .close")


def test_many_pictures_are_shown_some_at_a_time(driver: Any, tmp_path: Path) -> None:
    thumbnail = small_gallery(tmp_path).pictures[0].thumbnail
    found = [Found(1, 0.8, 5, 0, (2, 2, 9, 9))]
    pictures = [
        Picture(n, f"{n:05}.jpg", "", 64, 48, thumbnail, [Truth(n % 2, None, False, 0, (1, 1, 9, 9))], found)
        for n in range(5000)
    ]
    gallery = Gallery(pictures, NAMES, KINDS, 0.5)
    path = write_page(tmp_path / "many.html", Page("Many", {}, [Section("Pictures", [gallery])]))
    driver.get(path.as_uri())
    cards = "return document.querySelectorAll('.card').length"
    WebDriverWait(driver, 20).until(lambda _: driver.execute_script(cards) == 60)
    click(driver, ".more")
    assert driver.execute_script(cards) == 120
    choose(driver, "text", "04999")
    assert names(driver) == ["04999.jpg"]
    # the last chunk of thumbnails alone was parsed for it
    assert driver.execute_script("return document.querySelector('.card img').src").startswith("data:image/jpeg;base64,/9j/")


def test_a_comparison_shows_both_runs(driver: Any, tmp_path: Path) -> None:
    truth = [Truth(0, 0.9, False, 0, (1, 1, 9, 9), None), Truth(1, None, False, 0, (20, 1, 9, 9), 0.8)]
    now, before = [Found(0, 0.9, 0, 0, (1, 1, 9, 9))], [Found(1, 0.8, 0, 0, (20, 1, 9, 9)), Found(0, 0.7, 5, 0, (40, 2, 9, 9))]
    better = Picture(0, "a.png", "", 64, 48, b"", truth, now, before)
    worse = Picture(
        1, "b.png", "", 64, 48, b"", [Truth(0, None, False, 0, (1, 1, 9, 9), 0.9)], [], [Found(0, 0.9, 0, 0, (1, 1, 9, 9))]
    )
    gallery = Gallery([worse, better], NAMES, KINDS, 0.5, runs=("old", "new"))
    path = write_page(tmp_path / "both.html", Page("Both", {}, [Section("Pictures", [gallery])]))
    driver.get(path.as_uri())
    choose(driver, "order", "better")
    assert names(driver) == ["a.png", "b.png"]
    choose(driver, "order", "worse")
    assert names(driver) == ["b.png", "a.png"]
    click(driver, ".card", 1)
    assert texts(driver, "#viewer .run") == ["old", "new"]
    count = (
        "return [...document.querySelectorAll('.stage')].map((each) => each.querySelectorAll(`rect.${arguments[0]}`).length)"
    )
    assert [driver.execute_script(count, kind) for kind in ("right", "wrong", "missed")] == [[1, 1], [1, 0], [1, 1]]
