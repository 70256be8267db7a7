"""Tests that would notice a mistake: ``make mutants MODULE=resdet/ops/nms.py``, or ``python tests/mutants.py MODULE``.

A mutant is the package with one small mistake in it: another number, another comparison, an argument or a call left out. mutmut
makes them; a sample of them is tried, each by the tests of its module. A mutant that passes them all has survived: a test is
missing, or the change makes no difference, which ``mutants_equivalent.yaml`` then says with the reason. The tests run in a copy
of the checkout, so that the checkout stays as it is whatever happens.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import hashlib
import importlib.util
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from xml.etree import ElementTree as ET

import libcst as cst
import pytest
import yaml
from mutmut.mutation.mutators import mutation_operators

ROOT = Path(__file__).resolve().parents[1]
EQUIVALENT = ROOT / "tests" / "mutants_equivalent.yaml"
OUTCOMES = ("killed", "timeout", "equivalent", "survived")
# how much longer than the unchanged package a mutant may take; a run never gets less than this many seconds
_PATIENCE, _SECONDS = 3, 60


@dataclass(frozen=True)
class Mutant:
    """A module with one mistake.

    Attributes:
        module: its file, relative to the checkout.
        name: what is changed to what; no other mutant of the module has this name.
        tree: the module as it is.
        old: the node that is changed.
        new: what it is changed to.
    """

    module: str
    name: str
    tree: cst.Module
    old: cst.CSTNode
    new: cst.CSTNode

    @cached_property
    def text(self) -> str:
        """All of the mutant's module."""
        return self.tree.deep_replace(self.old, self.new).code

    @cached_property
    def diff(self) -> str:
        """The lines that were, after ``-``, and those that are, after ``+``, without their indentation."""
        return changed_lines(self.tree.code, self.text)


def mutants_of(module: str, source: str) -> list[Mutant]:
    """All mutants of a module's ``source``."""
    tree = cst.parse_module(source)
    finder = _Finder()
    tree.visit(finder)
    found, seen = [], Counter[str]()
    for old, new in finder.found:
        change = f"{tree.code_for_node(old)} -> {tree.code_for_node(new)}"
        seen[change] += 1
        found.append(Mutant(module, f"{change}, {seen[change]}", tree, old, new))
    return found


def changed_lines(source: str, text: str) -> str:
    """What differs, as ``Mutant.diff`` says it."""
    lines = list(difflib.unified_diff(source.splitlines(), text.splitlines(), n=0, lineterm=""))[2:]
    return "\n".join(f"{line[0]} {line[1:].strip()}" for line in lines if not line.startswith("@@"))


def sample(mutants: Iterable[Mutant], count: int, seed: int) -> list[Mutant]:
    """``count`` mutants, drawn by their names: an edit elsewhere leaves the sample as it is."""

    def place(mutant: Mutant) -> str:
        return hashlib.sha256(f"{seed} {mutant.module} {mutant.name}".encode()).hexdigest()

    return sorted(sorted(mutants, key=place)[:count], key=lambda mutant: mutant.module)


def chosen_tests(root: Path, module: str) -> list[str]:
    """The test files of a module: those of its package that name it, of the folder that mirrors its own, and of all files."""
    package, parents = Path(module).parts[1], Path(module).parent.parts[1:]
    mirrors = (root.joinpath("tests", *parents[:depth]) for depth in range(len(parents), 0, -1))
    folder = next(path for path in mirrors if path.is_dir())
    name = re.compile(rf"\b{re.escape('.'.join(Path(module).with_suffix('').parts))}\b")
    naming = [path for path in sorted((root / "tests" / package).rglob("test_*.py")) if name.search(path.read_text("utf-8"))]
    found = [*naming, *sorted(folder.glob("test_*.py")), root / "tests" / "test_portable_source.py"]
    return [str(path.relative_to(root)) for path in dict.fromkeys(found)]


def equivalent() -> set[tuple[str, str]]:
    """The mutants that no test can notice, as (module, changed lines)."""
    return {(entry["module"], entry["diff"].strip()) for entry in yaml.safe_load(EQUIVALENT.read_text("utf-8"))}


def _left_out(node: cst.Expr) -> Iterator[cst.CSTNode]:
    """A call that is made for its effect is not made."""
    if isinstance(node.value, cst.Call):
        yield cst.Pass()


def _turned_round(node: cst.If) -> Iterator[cst.CSTNode]:
    """What an ``if`` asks is answered the other way."""
    asked = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    yield node.with_changes(test=cst.UnaryOperation(cst.Not(), asked))


class _Finder(cst.CSTVisitor):
    """Collects (node, its replacement) of all that is executed; mutmut leaves out what it cannot switch at run time."""

    OPERATORS = (*mutation_operators, (cst.Expr, _left_out), (cst.If, _turned_round))

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[cst.CSTNode, cst.CSTNode]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.Annotation | cst.Decorator) or _is_overload(node):
            return False
        for kind, operator in self.OPERATORS:
            if isinstance(node, kind):
                self.found += [(node, changed) for changed in operator(node)]
        return True


def _is_overload(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.FunctionDef) and any(
        isinstance(each.decorator, cst.Name) and each.decorator.value == "overload" for each in node.decorators
    )


def copy_checkout(folder: Path) -> None:
    """What git knows of the checkout, and new files that it does not ignore."""
    command = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


# a run is forked from a process that has loaded what takes long, and nothing of the package
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["__main__", "torch", "torchvision", "numpy", "hypothesis", "pytest"])


def _run_tests(folder: Path, said: Path, tests: Sequence[str]) -> None:
    os.setsid()
    os.chdir(folder)
    with said.open("wb") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    sys.path.insert(0, str(folder))
    os.environ["PYTHONPATH"] = str(folder)
    options = ("-x", "-q", "-p", "no:cacheprovider", "--basetemp", str(folder / "pytest"), "-m", "not slow and not real")
    sys.exit(pytest.main([*options, *tests]))


class Trial:
    """Tries mutants in ``folder``, a copy of the checkout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said = folder / "said.txt"  # the last tests' output
        self.seconds: defaultdict[str, float] = defaultdict(float)  # what the tests of a file take on the package as it is

    def measure(self, tests: Iterable[str]) -> None:
        """Run test files on the package as it is, in which they must pass."""
        report = self.folder / "report.xml"
        if not self.passes([f"--junitxml={report}", "-o", "junit_family=xunit1", *sorted(set(tests))]):
            raise SystemExit(f"{self.said.read_text('utf-8')}\nThe tests fail before anything is changed.")
        for case in ET.parse(report).iter("testcase"):
            self.seconds[case.attrib["file"]] += float(case.attrib["time"])

    def passes(self, tests: Sequence[str], seconds: float | None = None) -> bool:
        """Whether the tests pass; ``TimeoutError`` when they take longer."""
        run = _PROCESSES.Process(target=_run_tests, args=(self.folder, self.said, tests))
        run.start()
        try:
            run.join(seconds)
            if run.is_alive():
                raise TimeoutError
            return run.exitcode == 0
        finally:
            run.kill()  # itself first: on a busy machine it may not have a group of its own yet
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)  # what the tests have started
            run.join()

    def outcome(self, mutant: Mutant) -> str:
        """One of ``OUTCOMES``."""
        if (mutant.module, mutant.diff) in equivalent():
            return "equivalent"
        tests, path = chosen_tests(self.folder, mutant.module), self.folder / mutant.module
        seconds, source = max(_PATIENCE * sum(self.seconds[each] for each in tests), _SECONDS), path.read_text("utf-8")
        try:
            _write(path, mutant.text)
            return "survived" if self.passes(tests, seconds) else "killed"
        except TimeoutError:
            return "timeout"
        finally:
            _write(path, source)


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    # compiled code is kept by the time and the size of its source, and two mutants may have the same
    Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)


def main() -> int:
    """Try a sample; 1 if one survived."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("module", help="a module or a folder of the package, such as resdet/ops/nms.py")
    parser.add_argument("--count", type=int, default=40, help="how many mutants, 40 by default")
    parser.add_argument("--seed", type=int, default=0, help="which of them, 0 by default")
    options = parser.parse_args()
    place = ROOT / options.module
    if not place.exists():
        parser.error(f"there is no {options.module} in {ROOT}")
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place]
    mutants = [mutant for path in files for mutant in mutants_of(path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))]
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy_checkout(Path(folder))
        trial = Trial(Path(folder))
        chosen = sample(mutants, options.count, options.seed)
        trial.measure(test for mutant in chosen for test in chosen_tests(trial.folder, mutant.module))
        for mutant in chosen:
            outcome = trial.outcome(mutant)
            outcomes[outcome] += 1
            print(f"{outcome}: {mutant.module}\n{mutant.diff}\n", flush=True)
    tried = outcomes.total()
    print(f"{options.module}: {tried} of {len(mutants)} mutants, seed {options.seed}: ", end="")
    print(", ".join(f"{outcomes[outcome]} {outcome}" for outcome in OUTCOMES), end="; ")
    print(f"score {1 - outcomes['survived'] / max(tried, 1):.1%}")
    return int(outcomes["survived"] > 0)


if __name__ == "__main__":
    sys.exit(main())
