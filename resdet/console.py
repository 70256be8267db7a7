"""Text for terminals: of any characters, and such that none of them does more than show."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO, TypeAlias

from resdet.system import reader_has_left

_LONGEST = 4000
_HANDLER = "resdet.spelled"
# controls, line ends of any kind, and marks that turn the direction of writing, with which text can pretend to be another
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_SPELLED = {
    "×": "x", "·": "*", "–": "-", "—": "-", "−": "-", "…": "...", "→": "->", "≥": ">=", "≤": "<=", "±": "+-", "²": "^2",
    "³": "^3",
}  # fmt: skip
Printer: TypeAlias = Callable[[str, str], None]


@dataclass
class Output:
    """How a command tells what it has to tell.

    Attributes:
        json: tables are JSON, in one document at the end, and all other lines go to standard error.
        quiet: only tables, warnings and errors are printed.
        found: the content of the document.
        above: prints a text and its end above a line that is drawn anew all the time; None: there is none.
    """

    json: bool = False
    quiet: bool = False
    found: dict[str, Any] = field(default_factory=dict)
    above: Printer | None = None


output = Output()


@contextlib.contextmanager
def told(found: dict[str, Any], *, as_json: bool, quiet: bool) -> Iterator[None]:
    """A context in which a command tells in another way, see ``Output``; ``show`` fills ``found``."""
    before = (output.json, output.quiet, output.found)
    output.json, output.quiet, output.found = as_json, quiet, found
    try:
        yield
    finally:
        output.json, output.quiet, output.found = before


def show(text: str, found: Mapping[str, Any]) -> None:
    """Print a table, or with ``--json`` add what it holds to the document.

    Args:
        text: the table, see ``say``; "" prints nothing.
        found: the same for programs, as JSON can hold it.
    """
    if output.json:
        output.found.update(found)
    elif text:
        say(text, lines=True, always=True)


def open_closed_streams() -> None:
    """Let standard streams that were closed (``2>&-``) lead nowhere, and come from nowhere.

    Else the next files that are opened get their numbers, and what a library prints.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8", newline="\n"))  # noqa: PTH123, SIM115 - until the process ends


def show_every_character(*streams: TextIO | None) -> None:
    """Let streams print any text: what their encoding lacks, as Windows' cp1252 or plain ASCII do, is spelled.

    ``×`` becomes ``x``, another character its number after a backslash, as Python writes it. The undecodable bytes of a file's
    name come out as they are. A stream that was told another way (``PYTHONIOENCODING=ascii:replace``), or is not Python's own,
    is left alone.
    """
    for stream in streams:
        # those of Python itself, of which the last is that of stderr
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape", "backslashreplace"):
            stream.reconfigure(errors=_HANDLER)


def plain(text: str) -> str:
    """Text from a file as one line that a terminal only shows: control characters and line ends become Python's escapes."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def shortened(text: str) -> str:
    """A message without most of what makes it longer than 4,000 letters: a name of a class may have a hundred thousand."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"


def say(text: str, *, error: bool = False, lines: bool = False, end: str = "\n", always: bool = False) -> None:
    """Print to standard output or (``error``) to standard error what may hold text from files, see ``plain``.

    A reader that has left, as ``| head`` does, is no failure: what follows is not printed.

    Args:
        text: one line; with ``lines`` several, whose parts from files must be plain already where they could hold line ends.
        error: print to standard error.
        lines: keep line ends.
        end: what follows the text.
        always: also with ``--quiet``: a table, a warning or an error.
    """
    if output.quiet and not always:
        return
    shown = "\n".join(map(plain, text.split("\n"))) if lines else plain(text)
    error = error or output.json
    stream = sys.stderr if error else sys.stdout
    try:
        if output.above and stream.isatty():
            output.above(shown, end)
            return
        print(shown, end=end, file=stream, flush=True)
    except OSError as problem:
        # of standard error nothing can be told where it cannot be written: its terminal was closed, or its disk is full
        if not error and not reader_has_left(problem):
            raise
        silence(stream)


def silence(stream: TextIO) -> None:
    """Let a stream that nobody reads any more lead nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _spell(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if "\udc80" <= character <= "\udcff":
        return bytes([ord(character) - 0xDC00]), error.start + 1
    return _SPELLED.get(character) or character.encode("ascii", "backslashreplace").decode(), error.start + 1


codecs.register_error(_HANDLER, _spell)
