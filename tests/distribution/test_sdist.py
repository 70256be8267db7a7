"""The source distribution: it holds what git has, and its tests run."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from distributions import build, copy_sources, names_in, run, source_files

pytestmark = pytest.mark.slow

# each reads something else of the distribution: run files, documents, tools, benchmarks
SAMPLE = ["config/test_load.py", "test_configs.py", "test_cli.py", "data/test_defects.py", "commands/test_bench.py"]


def sdist_problems(names: list[str], sources: list[str]) -> list[str]:
    """What differs between a source distribution and what git has, but for the files that only tools of git's side read."""
    wanted = {name for name in sources if not name.startswith(".")}
    made = {name for name in names if name in ("PKG-INFO", "setup.cfg") or name.startswith("resdet.egg-info/")}
    found = set(names) - made
    return [f"missing: {name}" for name in sorted(wanted - found)] + [f"extra: {name}" for name in sorted(found - wanted)]


def test_it_holds_what_git_has(sdist: Path) -> None:
    assert sdist_problems(names_in(sdist), source_files()) == []


@pytest.mark.parametrize(
    ("text", "instead", "problem"),
    [
        ("graft configs\n", "", None),  # the wheel's, so a source distribution has them in any case
        ("graft docs\n", "", "missing: docs/data.md"),
        ("graft tests\n", "", "missing: tests/conftest.py"),
        ("include datasets/README.md\n", "", "missing: datasets/README.md"),
        ("global-exclude", "include extra.txt\nglobal-exclude", "extra: extra.txt"),
    ],
)
def test_a_mistake_in_the_list_is_found(tmp_path: Path, text: str, instead: str, problem: str | None) -> None:
    broken = copy_sources(tmp_path / "broken")
    (broken / "extra.txt").touch()
    manifest = broken / "MANIFEST.in"
    content = manifest.read_text()
    assert content.count(text) == 1
    manifest.write_text(content.replace(text, instead))
    problems = sdist_problems(names_in(build("sdist", broken)), source_files())
    assert problem in problems if problem else not problems


def test_its_tests_run(unpacked: Path) -> None:
    pytest_ = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    collected = run(*pytest_, "--collect-only", folder=unpacked).stdout
    assert re.search(r"^\d{4,} tests collected", collected, re.MULTILINE)
    where = run(sys.executable, "-c", "import resdet; print(resdet.__file__)", folder=unpacked).stdout.strip()
    assert Path(where).is_relative_to(unpacked)
    done = run(*pytest_, *(f"tests/{name}" for name in SAMPLE), folder=unpacked).stdout
    assert re.search(r"^\d{3,} passed", done, re.MULTILINE)
    # what the processor lacks may be skipped, nothing for want of a file
    skipped = [line for line in done.splitlines() if line.startswith("SKIPPED")]
    assert all(re.search("CPU|processor|GPU", line) for line in skipped), skipped
