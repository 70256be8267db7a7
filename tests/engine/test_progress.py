from __future__ import annotations

import io
import sys

import pytest

from resdet.engine.progress import LiveDisplay, PlainDisplay, describe, make_display

RECORD = {
    "iteration": 20,
    "lr": 0.01,
    "loss": 1.5,
    "loss_cls": 1.0,
    "loss_box": 0.5,
    "time": 0.25,
    "data_time": 0.01,
    "eta": 3723.4,
    "memory": 1234.5,
}
TEXT = "loss 1.5000 (loss_cls 1.0000 loss_box 0.5000)  lr 0.01  0.250 s/it (data 0.010)  eta 1:02:03  1234 MB"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_line_says_what_matters() -> None:
    assert describe(RECORD) == TEXT
    assert describe({"iteration": 20, "eval": {}, "score": 0.51237}) == "evaluation score 0.5124"


def test_display_follows_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(make_display(io.StringIO()), PlainDisplay)
    assert isinstance(make_display(Terminal()), LiveDisplay)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(make_display(), PlainDisplay)


def test_plain_display_prints_log_lines_only() -> None:
    stream = io.StringIO()
    display = PlainDisplay(stream)
    display.start(10, 100)
    for iteration in range(11, 21):
        display.step(iteration, 1.0)
    display.write(RECORD)
    display.write({"iteration": 20, "eval": {}, "score": 0.5})
    display.close()
    assert stream.getvalue().splitlines() == [
        "continuing after iteration 10/100",
        f"20/100  {TEXT}",
        "20/100  evaluation score 0.5000",
    ]


def test_a_line_is_seen_at_once() -> None:
    class Piped(io.StringIO):
        """What has been flushed is what the reader of a pipe sees."""

        seen = ""

        def flush(self) -> None:
            self.seen = self.getvalue()

    stream = Piped()
    PlainDisplay(stream).write(RECORD)
    assert stream.seen == f"20/0  {TEXT}\n"


def test_live_display_draws_one_line_and_gives_the_terminal_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    display = LiveDisplay(stream)
    display.start(19998, 90000)
    assert "19998/90000" in stream.getvalue()
    display.step(20000, 2.5)
    display.write(RECORD)
    display.write({"iteration": 20, "eval": {}, "score": 0.5})
    print("a result")
    display.close()
    text = stream.getvalue()
    assert "20000/90000\x1b[0m loss 1.5000  lr 0.01  0.250 s/it (data 0.010)  eta 1:02:03  1234 MB" in text
    assert "iteration 20: evaluation score 0.5000" in text
    assert text.rstrip().endswith("\x1b[?25h")  # the cursor is shown again
    assert capsys.readouterr().out == "a result\n"


def test_live_display_shows_the_loss_of_each_step_until_a_line_comes() -> None:
    stream = Terminal()
    display = LiveDisplay(stream)
    display.start(0, 10)
    display.step(1, 2.5)
    display.close()
    assert "1/10" in stream.getvalue()
    assert "loss 2.5000" in stream.getvalue()
    stream = Terminal()
    display = LiveDisplay(stream)
    display.start(20, 100)
    display.write(RECORD)
    display.step(21, 9.0)
    display.close()
    assert "21/100" in stream.getvalue()
    assert "loss 1.5000" in stream.getvalue()
    assert "loss 9.0000" not in stream.getvalue()


def test_live_display_may_be_closed_before_it_starts() -> None:
    LiveDisplay(Terminal()).close()
