"""Links and lists as GitHub has them become those of the site; pictures are those that their script draws."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools" / "site"))

import site_links  # noqa: E402


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("docs/data.md", "data.md"),
        ("docs/results", "results/README.md"),
        ("docs/results/kangaroo/run_seed1", "results/kangaroo/run_seed1/index.md"),
        ("docs/images/report.png", "images/report.png"),
        ("docs/notebooks/first_detector.ipynb", "notebooks/first_detector.md"),
        ("CHANGELOG.md", "repository/CHANGELOG.md"),
        ("Dockerfile", "repository/Dockerfile.md"),
        ("examples/onnx_detect.py", "repository/examples/onnx_detect.py.md"),
    ],
)
def test_the_place_of_a_file(path: str, place: str) -> None:
    assert site_links.place(path) == place


@pytest.mark.parametrize("uri", ["data.md", "results/README.md", "repository/CHANGELOG.md", "repository/datasets/README.md"])
def test_a_page_is_made_of_its_origin(uri: str) -> None:
    assert site_links.place(site_links.origin(uri)) == uri


@pytest.mark.parametrize(
    ("page", "link", "there"),
    [
        ("index.md", "[a](data.md)", "[a](data.md)"),
        ("index.md", "[data.md](data.md#check)", "[Detection data](data.md#check)"),
        ("index.md", "[docs](results)", "[docs](results/README.md)"),
        ("index.md", "![a](images/report.png)", "![a](images/report.png)"),
        ("results/demo/README.md", "[a](../kangaroo)", "[a](../kangaroo/README.md)"),
        ("data.md", "[a](../Dockerfile)", "[a](repository/Dockerfile.md)"),
        ("repository/CHANGELOG.md", "[a](docs/data.md#check)", "[a](../data.md#check)"),
        ("repository/datasets/README.md", "[a](../docs/data.md)", "[a](../../data.md)"),
        ("index.md", "[a](#check)", "[a](#check)"),
        ("index.md", "[a](https://arxiv.org/abs/1512.03385)", "[a](https://arxiv.org/abs/1512.03385)"),
        ("index.md", "[a](nowhere.md)", "[a](nowhere.md)"),
        ("index.md", "`[a](data.md)` [`a`](results)", "`[a](data.md)` [`a`](results/README.md)"),
        ("index.md", "```\n[a](results)\n```\n[a](results)", "```\n[a](results)\n```\n[a](results/README.md)"),
    ],
)
def test_a_link_on_the_site(page: str, link: str, there: str) -> None:
    assert site_links.for_the_site(link, page) == there


@pytest.mark.parametrize(
    ("page", "there"),
    [
        ("text\n- a\n- b\n", "text\n\n- a\n- b\n"),
        ("text\n1. a\n2. b\n", "text\n\n1. a\n2. b\n"),
        ("text\n| a |\n|---|\n", "text\n\n| a |\n|---|\n"),
        ("```\ncode\n```\n- a\n", "```\ncode\n```\n\n- a\n"),
        ("```\ncode\n- no list\n```\ntext\n- a\n", "```\ncode\n- no list\n```\n\ntext\n\n- a\n"),
        ("text\n```\ncode\n```\n", "text\n```\ncode\n```\n"),
        ("```\ncode\n```\n```\n- no list\n```\n\ntext\n", "```\ncode\n```\n\n```\n- no list\n```\n\ntext\n"),
        ("- a\n  goes on\n- b\n", "- a\n  goes on\n- b\n"),
        ("text\n\n- a\n", "text\n\n- a\n"),
        ("in the year\n2015. More\n", "in the year\n2015. More\n"),
    ],
)
def test_lists_and_tables_get_an_empty_line_before_them_and_code_one_after_it(page: str, there: str) -> None:
    assert site_links.with_gaps(page) == there


def test_a_folder_without_a_page_is_a_list() -> None:
    assert "- [curves.png](curves.png)" in site_links.as_page("docs/results/coco16_overfit/first")


def test_a_file_of_code_is_shown() -> None:
    shown = site_links.as_page("examples/onnx_detect.py")
    assert shown.startswith("# examples/onnx_detect.py\n\n````python\n")
    assert (ROOT / "examples" / "onnx_detect.py").read_text(encoding="utf-8").rstrip() in shown


def test_what_pages_lead_to_is_followed() -> None:
    found = site_links.beside_docs(["docs/data.md"])
    assert found["repository/datasets/README.md"] == "datasets/README.md"
    assert not any(uri.startswith("repository/docs") for uri in found)


def test_the_pictures_are_those_of_the_script(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "tools" / "site" / "pictures.py", tmp_path], check=True, timeout=120)
    for name in ("detector.svg", "shapes.jpg"):
        drawn, kept = tmp_path / name, ROOT / "docs" / "images" / name
        if name.endswith("svg"):
            assert drawn.read_text(encoding="utf-8") == kept.read_text(encoding="utf-8")
        else:  # another release of a JPEG library makes other bytes
            assert kept.stat().st_size == pytest.approx(drawn.stat().st_size, rel=0.2)
