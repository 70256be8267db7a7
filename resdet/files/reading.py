"""Reads files: text, JSON, and what any file is made of."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from resdet.errors import DataError

_SPECIAL = (
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_MADE_UP = ("/proc/", "/sys/")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# what numpy and zipfile raise for a damaged .npz file
NPZ_DAMAGE = (
    AttributeError, EOFError, KeyError, MemoryError, OSError, OverflowError, RuntimeError, SyntaxError, TypeError, ValueError,
    struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def regular(path: str | Path) -> Path:
    """The path of a file that can be read to its end; asked before opening, which alone may wait for ever or wake a device.

    Raises:
        OSError: there is nothing, or a FIFO, a socket, a device or a file of /proc, which the system makes up while it is read.
    """
    path = Path(path)
    status = path.stat()
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):  # a folder is told of by whoever opens it
        kind = next((name for test, name in _SPECIAL if test(status.st_mode)), "something else")
        raise OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))
    if status.st_size == 0 and os.path.realpath(path).startswith(_MADE_UP):
        raise OSError(errno.EINVAL, "it is made up by the system, not a file", str(path))
    return path


def sha256_of(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with regular(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_text(path: str | Path) -> str:
    """The text of a file in UTF-8 or, as some Windows programs write it, in UTF-16 with its mark; line ends are as they are.

    Raises:
        OSError: the file cannot be read.
        UnicodeDecodeError: it is not text.
    """
    return decoded(regular(path).read_bytes())


def decoded(content: bytes, errors: str = "strict") -> str:
    """The text that bytes are, see ``read_text``."""
    return content.decode("utf-16" if content.startswith(_UTF_16) else "utf-8-sig", errors)


def read_json(path: str | Path, each_object: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """The value that a JSON file holds.

    Args:
        path: the file.
        each_object: what to put in place of each object, innermost first; what it leaves out takes no memory.

    Raises:
        DataError: the file cannot be read, or is not JSON.
    """
    try:
        return parse_json(regular(path).read_bytes(), each_object)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path}: is not JSON: {error}") from error


def parse_json(text: str | bytes, each_object: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """The value of a JSON text; ``each_object`` is as for ``read_json``.

    Raises:
        ValueError: it is not JSON, is nested deeper than Python follows, or has a number of more than 4,300 digits.
    """
    try:
        return json.loads(text, object_hook=each_object)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
