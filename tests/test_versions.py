"""The versions that the tests run on are among those that pyproject.toml promises, and its own tables agree."""

from __future__ import annotations

import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # which pytest brings along there

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def oldest(specifiers: SpecifierSet) -> Version:
    (bound,) = (Version(each.version) for each in specifiers if each.operator == ">=")
    return bound


def outside(requirements: list[str]) -> list[str]:
    """Those that are installed in another version than asked for; one that is not installed at all is an error."""
    found = [(requirement, metadata.version(requirement.name)) for requirement in map(Requirement, requirements)]
    return [f"{each}: {version}" for each, version in found if not each.specifier.contains(version, prereleases=True)]


def test_the_running_python_is_promised(pyproject: dict[str, Any]) -> None:
    assert SpecifierSet(pyproject["project"]["requires-python"]).contains(platform.python_version(), prereleases=True)


def test_the_running_libraries_are_promised(pyproject: dict[str, Any]) -> None:
    assert outside(pyproject["project"]["dependencies"]) == []


@pytest.mark.parametrize("extra", ["fast", "dev"])
def test_so_are_those_of_the_extras_that_are_installed(pyproject: dict[str, Any], extra: str) -> None:
    installed = {name.lower().replace("_", "-") for name in (each.metadata["Name"] for each in metadata.distributions())}
    wanted = pyproject["project"]["optional-dependencies"][extra]
    assert outside([each for each in wanted if Requirement(each).name.lower().replace("_", "-") in installed]) == []


def test_an_older_library_would_be_told() -> None:
    assert outside(["torch>=99", "torch>=1"]) == [f"torch>=99: {metadata.version('torch')}"]
    with pytest.raises(metadata.PackageNotFoundError):
        outside(["no-such-package-anywhere"])


def test_the_tables_agree_on_the_oldest_python(pyproject: dict[str, Any]) -> None:
    promised = SpecifierSet(pyproject["project"]["requires-python"])
    bound = oldest(promised)
    named = [
        re.fullmatch(r"Programming Language :: Python :: (\d+\.\d+)", each) for each in pyproject["project"]["classifiers"]
    ]
    versions = [Version(match[1]) for match in named if match]
    assert versions == sorted(versions)
    assert versions[0] == bound
    assert all(promised.contains(f"{version}.0") for version in versions)
    assert pyproject["tool"]["ruff"]["target-version"] == f"py{bound.major}{bound.minor}"
    assert Version(pyproject["tool"].get("mypy", {}).get("python_version", str(bound))) == bound


def test_the_documents_name_the_same_oldest_versions(pyproject: dict[str, Any]) -> None:
    python = oldest(SpecifierSet(pyproject["project"]["requires-python"]))
    requirements = map(Requirement, pyproject["project"]["dependencies"])
    torch = oldest(next(each.specifier for each in requirements if each.name == "torch"))
    assert f"Python {python} and torch {torch} are the oldest supported" in (ROOT / "CONTRIBUTING.md").read_text(
        encoding="utf-8"
    )
