"""The files around a release: they say the same version, name what there is, and hold no mistake that can be seen here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import resdet

ROOT = Path(__file__).parents[1]


def text(name: str) -> str:
    path = ROOT / name
    if not path.is_file():
        pytest.skip(f"a source distribution has no {name}")
    return path.read_text(encoding="utf-8")


def test_the_citation_names_this_version_and_the_paper() -> None:
    citation = yaml.safe_load(text("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0"
    assert (citation["title"], citation["version"], citation["license"]) == ("resdet", resdet.__version__, "BSD-3-Clause")
    assert citation["authors"] == [{"name": "resdet contributors"}]
    paper = citation["references"][0]
    assert paper["title"] == "Deep Residual Learning for Image Recognition"
    assert [author["family-names"] for author in paper["authors"]] == ["He", "Zhang", "Ren", "Sun"]
    assert paper["identifiers"][0]["value"] == "arXiv:1512.03385"


def test_ci_covers_the_systems_and_the_oldest_python() -> None:
    content = text(".github/workflows/ci.yml")
    assert "NOT RUN YET" in content
    workflow = yaml.safe_load(content)
    jobs = workflow["jobs"]
    assert set(jobs) == {"lint", "test", "wheel"}
    matrix = jobs["test"]["strategy"]["matrix"]
    systems = {"ubuntu-latest", "macos-latest", "windows-latest"}
    assert set(matrix["os"]) == set(jobs["wheel"]["strategy"]["matrix"]["os"]) == systems
    project = text("pyproject.toml")
    oldest = re.search(r'requires-python = ">=([\d.]+)"', project)
    torch = re.search(r'"torch>=([\d.]+)"', project)
    assert oldest is not None
    assert torch is not None
    assert matrix["python"][0] == oldest[1]  # a text: 3.10 as a number is 3.1
    assert f"torch=={torch[1]}.*" in matrix["include"][0]["versions"]
    steps = [step for job in jobs.values() for step in job["steps"]]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    assert all(re.fullmatch(r"[\w/-]+@v\d+", step["uses"]) for step in steps if "uses" in step)


def test_the_image_runs_as_nobody_special() -> None:
    content = text("Dockerfile")
    assert "NOT BUILT YET" in content
    lines = [line.split(maxsplit=1) for line in content.replace("\\\n", " ").splitlines() if line and line[0] not in "# "]
    instructions = [(name, rest) for name, rest in lines]
    assert instructions[0] == ("FROM", "python:3.12-slim")
    assert ("ENTRYPOINT", '["resdet"]') in instructions
    user = instructions.index(("USER", "1000"))
    assert not [name for name, _ in instructions[user:] if name in ("RUN", "COPY", "ADD")]
    ignored = text(".dockerignore").splitlines()
    assert {".git", ".venv", "**/*.safetensors"} <= set(ignored)
    # what the package is made of is not ignored
    assert not {"resdet", "configs", "benchmarks", "README.md", "LICENSE", "pyproject.toml"} & set(ignored)


def documents() -> list[Path]:
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").glob("*/*.ipynb")]
    return [document for document in found if document.is_file()]


def anchors(document: Path) -> set[str]:
    """What links to a heading of a page end in: small letters, spaces as hyphens, no other signs."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_of_the_documents_lead_somewhere() -> None:
    broken = []
    for document in documents():
        for target, _, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(#([^)]+))?\)", document.read_text(encoding="utf-8")):
            page = document.parent / target if target else document
            if not page.exists() or (anchor and anchor not in anchors(page)):
                broken.append(f"{document.name}: {target}#{anchor}")
    assert broken == []


def test_documents_say_which_systems_were_tested() -> None:
    page = text("docs/install.md")
    systems = page.partition("## Systems")[2].partition("\n## ")[0]
    assert "Nothing has been run there yet" in systems
    for word in ("Linux", "macOS", "Windows", "mps", "PYTORCH_ENABLE_MPS_FALLBACK=1"):
        assert word in systems
