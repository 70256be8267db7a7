"""The site of the documents: it holds all that it should, its links lead somewhere, and it asks nobody for anything."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from browsers import chromium, violations
from site_pages import Built, read_page

import resdet
from resdet.cli import COMMANDS, main
from resdet.config.schema import RUN_CONFIGS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
for package in ("mkdocs", "material", "mkdocstrings"):
    pytest.importorskip(package, reason=f"{package} builds the site: pip install -e '.[docs]'")


def mkdocs(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build a site, as `make docs` does."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--config-file", config, "--site-dir", site],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "site"
    built = mkdocs(ROOT / "mkdocs.yml", folder)
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return folder


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    """See ``browsers.chromium``."""
    yield from chromium()


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Built]:
    return {path: read_page(path) for path in sorted(site.rglob("*.html"))}


def test_every_document_is_a_page(site: Path) -> None:
    for path in (ROOT / "docs").rglob("*.md"):
        place = path.relative_to(ROOT / "docs").with_suffix(".html")
        assert (site / place.parent / place.name.replace("README", "index")).is_file(), path
    assert (site / "notebooks" / "first_detector.html").is_file()
    assert (site / "repository" / "CHANGELOG.html").is_file()


def test_every_link_and_picture_is_there(site: Path, pages: dict[Path, Built]) -> None:
    broken = []
    for path, page in pages.items():
        for target in [*page.links, *page.fetched]:
            parts = urlsplit(target)
            if parts.scheme or path.name == "404.html":  # which is shown at any place
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = there / "index.html" if there.is_dir() else there
            whole = there.is_file() and there.is_relative_to(site.resolve())
            if not whole or (parts.fragment and there in pages and unquote(parts.fragment) not in pages[there].ids):
                broken.append(f"{path.relative_to(site)}: {target}")
    assert broken == []


def test_no_page_loads_anything_from_another_host(site: Path, pages: dict[Path, Built]) -> None:
    asked = [(path.name, each) for path, page in pages.items() for each in page.fetched if urlsplit(each).netloc]
    assert asked == []
    for style in site.rglob("*.css"):
        imported = re.findall(r"(?:url\(|@import\s+)[\"']?([^\"')\s]+)", style.read_text(encoding="utf-8"))
        assert [each for each in imported if not each.startswith(("data:", "#")) and urlsplit(each).netloc] == []
    # what the theme's script would fetch from elsewhere is the drawing of such blocks
    assert not [path.name for path, page in pages.items() if 'class="mermaid"' in page.text]


def test_lists_and_tables_are_not_left_as_text(site: Path, pages: dict[Path, Built]) -> None:
    left = [
        f"{path.relative_to(site)}: {text[:80]!r}"
        for path, page in pages.items()
        for text in page.paragraphs
        if re.search(r"^ *(- |\||```)|\*\*|\]\(", text.strip(), re.MULTILINE)
    ]
    assert left == []


def defaults(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every option by its name; of a list of sources those of one."""
    for field in dataclasses.fields(config):
        name, value = f"{prefix}{field.name}", getattr(config, field.name)
        sources = re.fullmatch(r"list\[(\w+Config)\]", str(field.type))
        if sources:
            value = getattr(sys.modules["resdet.config.schema"], sources[1])()
            name += "[0]"
        if dataclasses.is_dataclass(value):
            yield from defaults(value, f"{name}.")
        else:
            yield name, value


@pytest.mark.parametrize("task", RUN_CONFIGS)
def test_the_reference_has_every_option_with_its_default(task: str, pages: dict[Path, Built], site: Path) -> None:
    page = pages[site / "reference" / f"{task}_options.html"]
    shown = {}
    for name, text in re.findall(r'<dt><code id="([^"]+)">\1</code> = (.*?)(?: · .*?)?</dt>', page.text, re.DOTALL):
        value = unescape(re.sub(r"<[^>]+>", "", text))
        shown[name] = "" if text == "empty" else yaml.safe_load(value)
    wanted = dict(defaults(RUN_CONFIGS[task]()))
    assert set(shown) == set(wanted)
    for name, value in wanted.items():
        assert shown[name] == (pytest.approx(value, rel=1e-5) if isinstance(value, float) else value), name


def shown_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        main([*arguments, "--help"])
    return capsys.readouterr().out


def sections(page: str) -> dict[str, str]:
    """The text below each heading, without markup."""
    parts = re.split(r"<h[23] id=\"[^\"]*\">([^<]+)<", page)[1:]
    return {title: unescape(re.sub(r"<[^>]+>", "", body)) for title, body in zip(parts[::2], parts[1::2], strict=True)}


def test_the_reference_has_every_command_with_every_argument(
    pages: dict[Path, Built], site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = sections(pages[site / "reference" / "commands.html"].text)
    wanted = [[name] for name in COMMANDS]
    for command in wanted:  # grows by the actions of the commands that have some
        text = shown_help(command, capsys)
        wanted += [[*command, action] for action in re.findall(r"^    (\w+) {2,}\w", text, re.MULTILINE)]
        section = found["resdet " + " ".join(command)]
        options = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", text)) - {"--help"}
        assert options <= set(re.findall(r"(?<![\w-])--[a-z][\w-]*", section)), command
    assert set(found) == {"resdet " + " ".join(command) for command in wanted}
    assert len(wanted) > len(COMMANDS) + 10


def test_the_reference_has_all_that_is_exported(pages: dict[Path, Built], site: Path) -> None:
    page = pages[site / "reference" / "python.html"]
    assert {f"resdet.{name}" for name in resdet.__all__ if name != "__version__"} <= page.ids
    assert "Run a trained model" not in page.text
    assert "score_thresh" in page.text


def test_the_reference_has_every_shipped_run_file(pages: dict[Path, Built], site: Path) -> None:
    page = pages[site / "reference" / "run_files.html"]
    files = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "configs").glob("*.yaml")}
    assert set(files) <= page.ids
    shown = unescape(re.sub(r"<[^>]+>", "", page.text))
    assert [name for name, text in files.items() if text.strip() not in shown] == []


def test_the_notebook_is_shown(pages: dict[Path, Built], site: Path) -> None:
    page = pages[site / "notebooks" / "first_detector.html"]
    assert {"pictures", "a-backbone", "the-detector", "what-it-finds"} <= page.ids
    assert "load_detector" in page.text
    assert "../own_data.html" in page.links


@pytest.mark.parametrize(("page", "width"), [("index.html", 1280), ("own_data.html", 420)])  # narrow pages have wide code
def test_accessibility_by_axe(page: str, width: int, site: Path, driver: Any) -> None:
    driver.set_window_size(width, 900)
    driver.get((site / page).as_uri())
    # what is wide is marked when it is laid out
    driver.execute_async_script("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))")
    for scheme in ("default", "slate"):
        driver.execute_script("document.body.dataset.mdColorScheme = arguments[0]", scheme)
        assert [each for each in violations(driver) if each[1] in ("serious", "critical")] == [], scheme


def test_what_is_broken_fails(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text("# A page\n", encoding="utf-8")
    config = {"INHERIT": str(ROOT / "mkdocs.yml"), "docs_dir": "docs", "hooks": [], "plugins": [], "extra_css": []}
    config |= {"theme": "mkdocs", "nav": ["index.md"]}
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    built = mkdocs(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert built.returncode == 0, built.stderr

    links = "[1](nowhere.md) [2](#nothing) [3](/index.md) ![4](nothing.png) [5](folder)\n"
    (docs / "index.md").write_text(f"# A page\n{links}", encoding="utf-8")
    (docs / "forgotten.md").touch()
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump({**config, "nav": ["index.md", "missing.md"]}), encoding="utf-8")
    built = mkdocs(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert built.returncode != 0
    assert built.stderr.count("WARNING") == 7
    for told in ("'nowhere.md'", "'#nothing'", "'/index.md'", "'nothing.png'", "'folder'", "'missing.md'", "forgotten.md"):
        assert told in built.stderr
