"""The rounds of a soak and its report, of a program that plays the real ones."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import soak
from soak import Piece, report, rounds, run

PROGRAM = """
import sys
print("| name | seed |\\n|---|---|\\n| %s | %s |" % (sys.argv[-1], sys.argv[2]))
if sys.argv[-1] == "weak":
    sys.exit("it broke")
"""


def test_every_name_of_every_program_is_in_every_round_with_its_seed() -> None:
    names = {"a.py": ["x", "y z"], "b.py": ["x"]}
    options = {"a.py": ("--count", "3", "--reader"), "b.py": ("--only",)}
    endless = rounds(names, options, itertools.count())
    for seed in range(5):
        assert sorted(itertools.islice(endless, 3)) == [
            Piece(seed, "a.py", ("--seed", str(seed), "--count", "3", "--reader", "x")),
            Piece(seed, "a.py", ("--seed", str(seed), "--count", "3", "--reader", "y z")),
            Piece(seed, "b.py", ("--seed", str(seed), "--only", "x")),
        ]


def test_the_report_has_a_row_of_each_piece_and_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.py").write_text(PROGRAM)
    monkeypatch.setattr(soak, "HERE", tmp_path)
    pieces = rounds({"a.py": ["weak", "strong one"]}, {"a.py": ()}, range(2))
    done = sorted(map(run, pieces))
    text = report(done, 0.25)
    assert "4 pieces of the rounds 0 to 1 in 0.25 hours" in text
    rows = ["| round | name | seed |", "|---|---|---|", *(f"| {seed} | {name} | {seed} |" for seed in (0, 1) for name in NAMES)]
    assert "\n".join(rows) in text
    assert text.count("it broke") == 2
    assert "Nothing was found" not in text
    assert "Nothing was found" in report(done[:1], 0.1)


NAMES = ("strong one", "weak")
