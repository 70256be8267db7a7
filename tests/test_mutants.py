"""The mutants: what is changed and what is not, which are drawn, by which tests they are tried, what becomes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("mutmut", reason="mutmut is part of the development tools: pip install -e '.[dev]'")

import libcst as cst
import mutants
from mutants import ROOT, Mutant, Trial, changed_lines, chosen_tests, equivalent, mutants_of, sample

MODULE = "resdet/part.py"
SOURCE = '''\
"""A part."""

LIMIT = 4


@overload
def below(x: int, limit: int | None = 4) -> bool: ...
@property
def below(x: int, limit: int | None = LIMIT) -> bool:
    """Whether it is below."""
    if x < limit:
        log.info(x)
    return x
'''
CHANGES = {
    "- LIMIT = 4\n+ LIMIT = 5",
    "- LIMIT = 4\n+ LIMIT = None",
    "- if x < limit:\n+ if x <= limit:",
    "- if x < limit:\n+ if not (x < limit):",
    "- log.info(x)\n+ log.info(None)",
    "- log.info(x)\n+ pass",
}


def test_what_runs_is_changed_and_what_is_for_readers_is_not() -> None:
    found = mutants_of(MODULE, SOURCE)
    assert {mutant.diff for mutant in found} == CHANGES
    assert len({mutant.name for mutant in found}) == len(found)
    for mutant in found:
        compile(mutant.text, MODULE, "exec")
        assert changed_lines(SOURCE, mutant.text) == mutant.diff


def test_a_sample_is_drawn_by_its_seed_and_by_the_changes_alone() -> None:
    found = mutants_of(MODULE, "\n".join(f"x[{number % 7}]" for number in range(100)))
    assert len(found) == 100
    drawn = sample(found, 40, seed=0)
    assert len(set(drawn)) == 40
    assert sample(reversed(found), 40, seed=0) == drawn
    assert sample(found, 40, seed=1) != drawn
    assert len(sample(found, 1000, seed=0)) == 100
    # another mutant takes the place of one at most
    more = sample(mutants_of(MODULE, "y[8]\n" + "\n".join(f"x[{number % 7}]" for number in range(100))), 40, seed=0)
    assert len({mutant.name for mutant in drawn} & {mutant.name for mutant in more}) >= 39


def test_a_module_is_tried_by_what_names_it_and_by_its_folder() -> None:
    names = chosen_tests(ROOT, "resdet/models/detection/prepared/fold.py")
    rest = {path.name for path in (ROOT / "tests" / "models" / "detection").glob("test_*.py")}
    assert {Path(name).name for name in names} >= rest
    first = [("resdet.models.detection.prepared.fold" in (ROOT / name).read_text(encoding="utf-8")) for name in names]
    assert first == sorted(first, reverse=True)
    assert first[0]
    assert len(names) == len(set(names))
    assert names[-1] == "tests/test_portable_source.py"


@pytest.mark.parametrize(
    ("text", "outcome"),
    [("ONE = 1", "killed"), ("ONE = 1; TWO = 2", "survived"), ("while True: pass", "timeout")],
)
def test_what_becomes_of_a_mutant(text: str, outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if outcome == "timeout":
        monkeypatch.setattr(mutants, "_SECONDS", 1)
    trial = Trial(tmp_path)
    module, test = tmp_path / "resdet" / "part.py", tmp_path / "tests" / "test_part.py"
    for path, content in ((module, "TWO = 2\n"), (test, "from resdet.part import TWO\ndef test() -> None: assert TWO == 2\n")):
        path.parent.mkdir()
        path.write_text(content)
    (tmp_path / "resdet" / "__init__.py").touch()
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow\n  real\n")
    monkeypatch.setattr(mutants, "chosen_tests", lambda *_: ["tests/test_part.py"])
    tree = cst.parse_module("TWO = 2\n")
    mutant = Mutant(MODULE, "", tree, tree.body[0], cst.parse_statement(text))
    trial.measure(["tests/test_part.py"] * 2)
    assert list(trial.seconds) == ["tests/test_part.py"]
    assert trial.outcome(mutant) == outcome
    assert module.read_text() == "TWO = 2\n"
    monkeypatch.setattr(mutants, "equivalent", lambda: {(mutant.module, mutant.diff)})
    assert trial.outcome(mutant) == "equivalent"
    module.write_text("TWO = 3\n")
    with pytest.raises(SystemExit, match=r"assert 3 == 2(?s:.*)The tests fail before anything is changed"):
        trial.measure(["tests/test_part.py"])


def test_a_run_that_is_late_ends_however_early_that_is(tmp_path: Path) -> None:
    """A process that had no group of its own yet was not ended, and waited for without end."""
    (tmp_path / "test_part.py").write_text("while True: pass\n")
    for seconds in (0.0, 0.01, 0.1):
        with pytest.raises(TimeoutError):
            Trial(tmp_path).passes(["test_part.py"], seconds)


def test_those_that_make_no_difference_are_still_there() -> None:
    """The list names mutants of the package as it is: what is no longer one is taken out."""
    listed = equivalent()
    made = set()
    for module in {module for module, _ in listed}:
        diffs = "\n".join(diff for other, diff in listed if other == module)
        for mutant in mutants_of(module, (ROOT / module).read_text("utf-8")):
            # to say how a module's text differs takes long: only of those that change something that the list shows
            if any(line.strip() in diffs for line in mutant.tree.code_for_node(mutant.old).splitlines()):
                made.add((module, mutant.diff))
    assert listed - made == set()
