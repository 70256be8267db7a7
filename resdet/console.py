"""Text for terminals and files that cannot hold every character."""

from __future__ import annotations

import codecs
import io
from typing import TextIO

_HANDLER = "resdet.spelled"
_SPELLED = {
    "×": "x", "·": "*", "–": "-", "—": "-", "−": "-", "…": "...", "→": "->", "≥": ">=", "≤": "<=", "±": "+-", "²": "^2",
    "³": "^3",
}  # fmt: skip


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


def _spell(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if "\udc80" <= character <= "\udcff":
        return bytes([ord(character) - 0xDC00]), error.start + 1
    return _SPELLED.get(character) or character.encode("ascii", "backslashreplace").decode(), error.start + 1


codecs.register_error(_HANDLER, _spell)
