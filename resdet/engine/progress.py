"""Shows the progress of training: one live line on a terminal, elsewhere one plain line for each log interval."""

from __future__ import annotations

import contextlib
import datetime as dt
import sys
from typing import Any, Protocol, TextIO

from rich.progress import MofNCompleteColumn, Progress, TextColumn

from resdet.console import output
from resdet.progress import screen, shared


class ProgressDisplay(Protocol):
    """Shows log lines, and steps between them."""

    def start(self, iteration: int, iterations: int) -> None:
        """Begin at ``iteration`` of ``iterations``."""

    def step(self, iteration: int, loss: float) -> None:
        """Show that ``iteration`` steps are done, the last with this loss."""

    def write(self, record: dict[str, Any]) -> None:
        """Show a log line."""

    def close(self) -> None:
        """Give the terminal back."""


def make_display(stream: TextIO | None = None) -> ProgressDisplay:
    """The display for ``stream`` (standard error when not given), live where it is a terminal."""
    stream = stream or sys.stderr
    if output.quiet:
        return NoDisplay()
    return LiveDisplay(stream) if stream.isatty() else PlainDisplay(stream)


class NoDisplay:
    """Shows nothing."""

    def start(self, iteration: int, iterations: int) -> None:
        """Show nothing."""

    def step(self, iteration: int, loss: float) -> None:
        """Show nothing."""

    def write(self, record: dict[str, Any]) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Leave the stream as it is."""


class PlainDisplay:
    """A line of text for each log line: for files and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._iterations = 0

    def start(self, iteration: int, iterations: int) -> None:
        """Remember the length of the run, and print where a resumed run continues."""
        self._iterations = iterations
        if iteration:
            self._print(f"continuing after iteration {iteration}/{iterations}")

    def step(self, iteration: int, loss: float) -> None:
        """Show nothing."""

    def write(self, record: dict[str, Any]) -> None:
        """Print the line."""
        self._print(f"{record['iteration']}/{self._iterations}  {describe(record)}")

    def close(self) -> None:
        """Leave the stream as it is."""

    def _print(self, text: str) -> None:
        with contextlib.suppress(OSError):  # the terminal was closed, or the disk of the file is full: training goes on
            print(text, file=self._stream, flush=True)


class LiveDisplay:
    """One line at the foot of a terminal; evaluations scroll by above it."""

    def __init__(self, stream: TextIO) -> None:
        columns = (MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
        # standard output is for results only
        self._progress = Progress(*columns, console=screen(stream), redirect_stdout=False, refresh_per_second=4)
        self._task = self._progress.add_task("")
        self._above = contextlib.ExitStack()
        self._logged = False

    def start(self, iteration: int, iterations: int) -> None:
        """Show the line."""
        self._progress.update(self._task, completed=iteration, total=iterations)
        with contextlib.suppress(OSError):
            self._progress.start()
        self._above.enter_context(shared(self._progress))

    def step(self, iteration: int, loss: float) -> None:
        """Count the step, and show its loss until the first log line comes."""
        self._progress.update(self._task, completed=iteration)
        if not self._logged:
            self._progress.update(self._task, description=f"loss {loss:.4f}")

    def write(self, record: dict[str, Any]) -> None:
        """Show the numbers of the line, or print those of an evaluation."""
        if "eval" in record:
            text = f"iteration {record['iteration']}: {describe(record)}"
            with contextlib.suppress(OSError):
                self._progress.console.print(text, markup=False, highlight=False)
        else:
            self._progress.update(self._task, description=describe(record, each_loss=False))
            self._logged = True

    def close(self) -> None:
        """Draw the line a last time and give the terminal back."""
        self._above.close()
        with contextlib.suppress(OSError):
            self._progress.stop()


def describe(record: dict[str, Any], each_loss: bool = True) -> str:
    """A log line for people: ``loss 1.2345 (loss_cls 0.5000 …)  lr 0.01  0.312 s/it (data 0.010)  eta 0:12:03  1234 MB``.

    Without each loss it fits a terminal of 80 columns.
    """
    if "eval" in record:
        return f"evaluation score {record['score']:.4f}"
    known = {"iteration", "lr", "loss", "time", "data_time", "eta", "memory"}
    parts = " ".join(f"{name} {value:.4f}" for name, value in record.items() if name not in known)
    return (
        f"loss {record['loss']:.4f}{f' ({parts})' if each_loss and parts else ''}  lr {record['lr']:.4g}  "
        f"{record['time']:.3f} s/it (data {record['data_time']:.3f})  "
        f"eta {dt.timedelta(seconds=round(record['eta']))}  {record['memory']:.0f} MB"
    )
