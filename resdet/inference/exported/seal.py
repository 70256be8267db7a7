"""The checksum that an exported file carries: whether it, and the weights beside it, are those that `resdet export` wrote."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

from resdet.errors import DataError
from resdet.files import regular
from resdet.models.wrong_files import mistaken

BLANK = "0" * 8
"""What stands in the place of the checksum while it is computed."""
# as ``ExportFacts.to_text`` writes it, and as XML escapes that
_PLACE = re.compile(rb'"resizes": (?:true|false), "checksum": "([0-9a-f]{8})"'.replace(b'"', b'(?:"|&quot;)'))


def seal(path: Path) -> None:
    """Write the checksum of a file, and of the ``.bin`` beside an ``.xml``, in the place that is blank."""
    content = bytearray(path.read_bytes())
    if place := _place(content):
        content[slice(*place.span(1))] = _checksum(path, content, place.span(1)).encode()
    path.write_bytes(content)


def check_whole(path: Path) -> None:
    """A DataError where a file cannot be read, is of another kind than its name says, is cut off, or is not as it was written.

    The last is seen where it carries a checksum, of itself and of the weights beside it: files of earlier releases carry none,
    nor do those of other programs. A runtime is given what has passed: its code is not made for graphs with a bit turned over.
    """
    content = _read(path)
    if problem := mistaken(path):
        raise DataError(f"{path}: {problem}")
    if _is_xml(path) and not content.rstrip().endswith(b"</net>"):
        raise DataError(f"{path}: is no graph of OpenVINO, or cut off: must end with </net>")
    if not _is_xml(path) and not _is_message(content):
        raise DataError(f"{path}: is no graph of ONNX, or cut off: its {len(content)} bytes are no whole message of Protobuf")
    place = _place(content)
    if place is None:
        return
    written, found = place[1].decode(), _checksum(path, content, place.span(1))
    if found != written:
        files = " or ".join(map(str, files_of(path)))
        raise DataError(
            f"{files}: differs from what `resdet export` wrote: the checksum is {found}, it was written with {written}; "
            "it must be exported or copied again"
        )


def _place(content: bytes | bytearray) -> re.Match[bytes] | None:
    """Where the checksum stands, or None: near the end, behind all weights, so that they need not be searched."""
    at = content.rfind(b"checksum")
    while at >= 0:
        if place := _PLACE.search(content, max(at - 40, 0), at + 40):
            return place
        at = content.rfind(b"checksum", 0, at)
    return None


def _checksum(path: Path, content: bytes | bytearray, place: tuple[int, int]) -> str:
    """The CRC-32 of a file with a blank checksum, and of its weights after it."""
    view, (start, stop) = memoryview(content), place
    found = zlib.crc32(view[stop:], zlib.crc32(BLANK.encode(), zlib.crc32(view[:start])))
    for weights in files_of(path)[1:]:
        if not weights.exists():
            raise DataError(f"{weights}: no such file; it holds the numbers of {path}")
        found = zlib.crc32(_read(weights), found)
    return f"{found:08x}"


def _is_message(content: bytes) -> bool:
    """Whether bytes are fields of Protobuf from beginning to end; what is in the fields is not looked at."""
    place = 0
    try:
        while place < len(content):
            tag, place = _number(content, place)
            if tag < 8:  # there is no field 0
                return False
            if tag % 8 == 0:
                _, place = _number(content, place)
            elif tag % 8 == 2:
                length, place = _number(content, place)
                place += length
            else:
                place += {1: 8, 5: 4}[tag % 8]
    except (IndexError, KeyError):
        return False
    return place == len(content)


def _number(content: bytes, place: int) -> tuple[int, int]:
    """A whole number of 7 bits a byte, the last ones first, and where it ends."""
    number, shift = 0, 0
    while shift < 64:
        number += (content[place] & 127) << shift
        place, shift = place + 1, shift + 7
        if content[place - 1] < 128:
            return number, place
    raise IndexError


def files_of(path: Path) -> list[Path]:
    """What an exported file is made of: itself, and of an ``.xml`` the ``.bin`` with its numbers."""
    return [path, path.with_suffix(".bin")] if _is_xml(path) else [path]


def _is_xml(path: Path) -> bool:
    return path.suffix.lower() == ".xml"


def _read(path: Path) -> bytes:
    try:
        return regular(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
