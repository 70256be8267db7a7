"""How far work is, on terminals alone."""

from __future__ import annotations

import contextlib
import io
import re
import sys

import pytest

from resdet.console import say, told
from resdet.engine.progress import LiveDisplay, NoDisplay, make_display
from resdet.progress import track


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal in the place of standard error; in a fixture pytest would put its own back before the test."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    return stream


def seen(stream: io.StringIO) -> str:
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", stream.getvalue())


def test_a_terminal_shows_what_how_many_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    items = track(range(3), 3, "images")
    assert next(items) == 0
    assert list(items) == [1, 2]
    assert re.search(r"images 0/3 -:--:--", seen(terminal))
    assert terminal.getvalue().rstrip("\r").endswith("\x1b[?25h")  # the cursor is back, and the line is gone


def test_parts_count_for_what_is_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    display = LiveDisplay(terminal)
    display.start(0, 10)
    items = track(["a", "b"], 6, "images", [4, 2])
    counts = [[task.completed for task in display._progress.tasks if task.description == "images"] for _ in items]
    display.close()
    assert counts == [[0], [4]]
    assert len(display._progress.tasks) == 1  # the run's own


def test_files_and_quiet_terminals_show_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    with told({}, as_json=False, quiet=True):
        assert list(track(range(3), 3, "images")) == [0, 1, 2]
        assert isinstance(make_display(), NoDisplay)
    assert terminal.getvalue() == ""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert list(track(range(3), 3, "images")) == [0, 1, 2]
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]


@pytest.mark.parametrize("no_color", ["", "1"])
def test_no_color(no_color: str, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    list(track(range(3), 3, "images"))
    assert bool(re.search(r"\x1b\[\d+m", terminal.getvalue())) is not bool(no_color)


def test_lines_come_above_the_one_that_is_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    piped = io.StringIO()
    for _ in track(range(1), 1, "files"):
        say("note: [bold]a[/bold] :smile:", error=True)
        monkeypatch.setattr(sys, "stdout", piped)
        say("for a program")
    assert "\nnote: [bold]a[/bold] :smile:\n" in seen(terminal).replace("\r", "\n")
    assert piped.getvalue() == "for a program\n"


def test_an_error_in_the_work_gives_the_terminal_back(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)

    def work() -> None:
        for _ in track(range(3), 3, "images"):
            raise ValueError("broken")

    with contextlib.suppress(ValueError):
        work()
    assert terminal.getvalue().rstrip("\r").endswith("\x1b[?25h")
    list(track(range(1), 1, "again"))
    assert "again 0/1" in seen(terminal)
