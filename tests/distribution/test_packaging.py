"""What the distributions say of the project."""

from __future__ import annotations

import re
import sys
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest
from distributions import ROOT, run, source_files

import resdet

TEXTS = (".md", ".py", ".toml", ".yaml", ".yml", ".cff", "Makefile", "Dockerfile")
# an extra named by its package, or by the folder of a checkout: resdet[fast], '.[dev]'
EXTRA = re.compile(r"""(?:\bresdet|(?<=['"\s])\.)\[([a-z][\w,-]*)\]""")


@pytest.fixture(scope="module")
def metadata(sources: Path) -> Message:
    """The metadata that a wheel would have."""
    program = "import setuptools.build_meta as backend; print('made', backend.prepare_metadata_for_build_wheel('.'))"
    folder = run(sys.executable, "-c", program, folder=sources).stdout.splitlines()[-1].removeprefix("made ")
    return message_from_string((sources / folder / "METADATA").read_text(encoding="utf-8"))


def test_every_folder_of_modules_is_a_package_that_is_installed() -> None:
    folders = {path.parent for path in Path(resdet.__file__).parent.rglob("*.py")}
    assert len(folders) > 10
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def test_every_extra_that_is_named_exists_and_every_one_that_exists_is_named(metadata: Message) -> None:
    named = {
        extra
        for name in source_files()
        if name.endswith(TEXTS) and not name.startswith("tests/")
        for names in EXTRA.findall((ROOT / name).read_text(encoding="utf-8"))
        for extra in names.split(",")
    }
    assert named == set(metadata.get_all("Provides-Extra"))


def test_the_index_page_has_no_links_to_files(metadata: Message) -> None:
    page = metadata.get_payload()
    targets = re.findall(r"\]\(([^)]*)\)", page)
    assert targets
    assert [target for target in targets if not target.startswith(("#", "https://"))] == []
    assert "(how: docs/detection.md)" in page
    assert "![" not in page
    assert "shapes.jpg" not in page
    assert metadata["Description-Content-Type"] == "text/markdown"
    (text, *_), readme = page.split("##"), (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.strip().splitlines()[0] == readme.splitlines()[0] == "# resdet"


def test_it_says_whose_and_for_what_it_is(metadata: Message) -> None:
    assert (metadata["Name"], metadata["Version"]) == ("resdet", resdet.__version__)
    assert (metadata["License-Expression"], metadata["License-File"]) == ("BSD-3-Clause", "LICENSE")
    assert metadata["Requires-Python"] == ">=3.10"
    classifiers = metadata.get_all("Classifier")
    assert len(set(classifiers)) == len(classifiers) > 10
    assert "Programming Language :: Python :: 3.10" in classifiers
    assert "Typing :: Typed" in classifiers
    assert metadata["Keywords"]
    urls = [url.rpartition(", ")[2] for url in metadata.get_all("Project-URL")]
    assert all(url.startswith("https://") for url in urls)
