"""How far work on many things is: a line on a terminal with the time left, and nothing elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from itertools import chain, repeat
from typing import TYPE_CHECKING, TextIO, TypeVar

from resdet import console

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

ItemT = TypeVar("ItemT")
_shared: list[Progress] = []  # of a terminal, the display that others add their lines to


def track(items: Iterable[ItemT], total: int | None, what: str, sizes: Iterable[int] = ()) -> Iterator[ItemT]:
    """The items, counted on a terminal while they are used.

    Args:
        items: what is worked on; the next one is asked for when the work on one is done.
        total: how many there are; None: it is not known, and neither is the time left.
        what: what they are called, "images".
        sizes: what each item counts for, as parts of many do; 1 where nothing is given.
    """
    if console.output.quiet or not sys.stderr.isatty():
        yield from items
        return
    with _display(sys.stderr) as display:
        task = display.add_task(what, total=total)
        try:
            counts = chain(sizes, repeat(1))
            for item in items:
                yield item
                display.advance(task, next(counts))
        finally:
            display.remove_task(task)


@contextlib.contextmanager
def shared(display: Progress) -> Iterator[None]:
    """A context in which ``track`` adds its line to this display, and ``say`` prints above it."""
    _shared.append(display)
    before, console.output.above = console.output.above, _printer(display.console)
    try:
        yield
    finally:
        _shared.remove(display)
        console.output.above = before


def screen(stream: TextIO) -> Console:
    """A terminal for rich that shows no more when it is closed; rich itself would end the program."""
    from rich.console import Console

    class Screen(Console):
        def on_broken_pipe(self) -> None:
            self.quiet = True

    return Screen(file=stream)


@contextlib.contextmanager
def _display(stream: TextIO) -> Iterator[Progress]:
    if _shared:
        yield _shared[-1]
        return
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), MofNCompleteColumn(), TimeRemainingColumn())
    display = Progress(*columns, console=screen(stream), redirect_stdout=False, refresh_per_second=4, transient=True)
    with contextlib.suppress(OSError):
        display.start()
    try:
        with shared(display):
            yield display
    finally:
        with contextlib.suppress(OSError):  # the terminal was closed
            display.stop()


def _printer(terminal: Console) -> console.Printer:
    def above(text: str, end: str) -> None:
        terminal.print(text, end=end, markup=False, highlight=False, emoji=False, soft_wrap=True)

    return above
