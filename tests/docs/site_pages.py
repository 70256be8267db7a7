"""What the tests ask of built pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

# what a browser fetches by itself when it shows a page
_FETCHED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
    "object": "data",
    "link": "href",
}


@dataclass
class Built:
    """A page of the site.

    Attributes:
        text: the file.
        ids: the anchors of the page.
        links: where it leads.
        fetched: what it loads.
        paragraphs: its texts in paragraphs, list items and definitions, without code.
    """

    text: str
    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    paragraphs: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self, page: Built) -> None:
        super().__init__()
        self.page = page
        self.code = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.page.ids |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.page.links.append(given["href"])
        if tag in _FETCHED and _FETCHED[tag] in given:
            self.page.fetched.append(given[_FETCHED[tag]])
        self.page.fetched += [each.split()[0] for each in given.get("srcset", "").split(",") if each.strip()]
        if tag in ("code", "pre", "script", "style"):
            self.code += 1
        if tag in ("p", "li", "dd", "td"):
            self.page.paragraphs.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("code", "pre", "script", "style"):
            self.code -= 1

    def handle_data(self, data: str) -> None:
        if self.page.paragraphs and not self.code:
            self.page.paragraphs[-1] += data


def read_page(path: Path) -> Built:
    """A page as the tests look at it."""
    page = Built(path.read_text(encoding="utf-8"))
    _Reader(page).feed(page.text)
    return page
