"""Which parts of a prediction count as done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from resdet.distributed.ranks import ALONE
from resdet.errors import DataError
from resdet.prediction.parts import Parts

FILES = ("a", "b", "c", "d")
BAD = "c"


class Killed(BaseException):
    pass


def parts(folder: Path, names: tuple[str, ...] = FILES, asked: object = "x", resume: bool = True) -> Parts:
    given = [[(folder / name, name)] for name in names]
    return Parts(folder / "out", asked, given, ALONE, resume=resume)


def worked(some: Parts, names: tuple[str, ...] = FILES, last: str = "") -> list[str]:
    """The names that were worked on, until the one that is the ``last``."""
    done = []

    def work(number: int, add: Callable[[dict], None]) -> None:
        if names[number] == last:
            raise Killed
        done.append(names[number])
        add({"name": names[number]})
        if names[number] == BAD:
            raise DataError("c: broken")
        add({"name": names[number] * 2})

    try:
        some.work(work)
    except Killed:
        assert last
    return done


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).write_text(name)
    assert worked(parts(tmp_path), last="d") == ["a", "b", "c"]
    return tmp_path


def test_all_that_is_sound_is_not_repeated(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some = parts(folder)
    assert "2 of 4 parts were done before" in capsys.readouterr().err
    assert worked(some) == ["c", "d"]
    assert [(number, row["name"]) for number, row in some.rows()] == [
        (0, "a"), (0, "aa"), (1, "b"), (1, "bb"), (2, "c"), (3, "d"), (3, "dd"),
    ]  # fmt: skip
    assert some.problems() == ["c: broken"]
    some.forget()
    assert not list((folder / "out").iterdir())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda folder: (folder / "b").write_text("longer"), ["b", "c", "d"]),
        (lambda folder: (folder / "b").unlink(), ["b", "c", "d"]),
    ],
)
def test_a_file_that_changed(folder: Path, change: Callable[[Path], object], expected: list[str]) -> None:
    change(folder)
    assert worked(parts(folder)) == expected


def test_other_files_and_other_options(folder: Path) -> None:
    names = ("0", "b", "d")
    assert worked(parts(folder, names), names) == ["0", "d"]
    assert worked(parts(folder, asked="y")) == list(FILES)


def test_without_resume_nothing_is_done(folder: Path) -> None:
    other = parts(folder, ("e",))
    worked(other, ("e",))
    assert worked(parts(folder, resume=False)) == list(FILES)
    assert [row["name"] for _, row in other.rows()] == ["e", "ee"]  # another prediction into the same folder


def test_the_progress_counts_files_and_not_batches_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    monkeypatch.setattr("resdet.prediction.parts.track", lambda items, *given: told.append(given) or items)
    file = (tmp_path / "a.png", "a")
    Parts(tmp_path / "out", {}, [[file] * 3, [file]], ALONE, resume=False).work(lambda number, add: None)
    assert told == [(4, "files", [3, 1])]
