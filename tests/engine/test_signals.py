"""What is asked to stop says so, wherever it runs, and the handlers from before are put back."""

from __future__ import annotations

import errno
import signal

import pytest

from resdet.engine import signals
from resdet.engine.signals import StopSignals
from resdet.system import stop_signals


def test_a_handler_that_is_not_pythons_gives_way_to_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, object]] = []
    # Python says None of a handler that a library in C has set
    monkeypatch.setattr(signals.signal, "signal", lambda number, handler: given.append((number, handler)))
    with StopSignals() as stop:
        assert [number for number, _ in given] == list(stop_signals())
        assert {handler for _, handler in given} == {stop._handle}
        given.clear()
    assert given == [(number, signal.SIG_DFL) for number in stop_signals()]


def test_a_program_without_a_console_stops_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: object) -> int:
        raise OSError(errno.EBADF, "Bad file descriptor")

    with StopSignals() as stop:
        assert stop.received == ""
        with monkeypatch.context() as patch:
            patch.setattr(signals.os, "write", write)
            signal.raise_signal(signal.SIGTERM)
        assert stop.received == "SIGTERM"


def test_the_line_is_one_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    with StopSignals():
        signal.raise_signal(signal.SIGINT)
    assert capfd.readouterr().err == "\nSIGINT: saving after this step; Ctrl-C stops at once\n"
