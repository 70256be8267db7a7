"""Writes files so that a reader never meets half of one."""

from __future__ import annotations

import contextlib
import csv
import errno
import functools
import json
import math
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from resdet import system

# how files are called while they are written, so that one whose writer was killed can be told from all others
_UNFINISHED = ".resdet-unfinished"
_LONGEST = 200  # bytes of a name that stand in its temporary one, of 255 that most file systems allow
_ABANDONED_S = 3600.0  # nobody has written to such a file for so long
_SYSTEM_ERROR = re.compile(r"\(os error ([0-9]+)\)")
_ALMOST_NONE = 1 << 24  # bytes left on a disk that is as good as full
# how file systems say that a file has one name alone
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def atomic_write(path: str | Path, write: Callable[[Path], object], previous: Path | None = None) -> None:
    """Call ``write(temporary_path)``, then fsync it and rename it to ``path``: the file is old or new, never between.

    What killed processes have left unfinished in the folder is removed first, see ``remove_unfinished``.

    Args:
        path: the file to make; its folder is made when missing.
        write: fills the temporary file, which lies in the same folder.
        previous: what the file that is replaced is called from then on, in the same folder; None: it goes.

    Raises:
        OSError: when the folder cannot be written; the temporary file is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _tidied(path.parent)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_hidden(path), suffix=_UNFINISHED)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        umask = os.umask(0)
        os.umask(umask)
        with contextlib.suppress(PermissionError):  # a file system without permissions may refuse
            temporary.chmod(0o666 & ~umask)  # mkstemp's 0600 would hide results from a shared group
        if previous is not None and path.exists():
            _also_called(path, previous)
        system.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):  # gone, or still open where Windows then keeps it: the first error is what counts
            temporary.unlink()
        number, reason = _of_the_system(error, temporary)
        if number:  # it names the file that was wanted, and not the temporary one
            raise OSError(number, reason, str(path)) from error
        raise


def _hidden(path: Path) -> str:
    """How the name of a temporary file for a path begins: with the path's own, or as much of it as leaves room for the rest."""
    return os.fsencode(f".{path.name}")[:_LONGEST].decode(errors="ignore") + "."


def _of_the_system(error: BaseException, temporary: Path) -> tuple[int, str]:
    """The number and the words of the system's error, when writing a temporary file met one; 0 when it did not."""
    if isinstance(error, OSError):
        own = error.filename in (None, str(temporary))
        return (error.errno, error.strerror) if own and error.errno and error.strerror else (0, "")
    # what safetensors and torch, which write files by themselves, say in their own errors
    if told := _SYSTEM_ERROR.search(str(error)):
        return int(told[1]), os.strerror(int(told[1]))
    if isinstance(error, RuntimeError) and any(word in str(error) for word in ("PytorchStreamWriter", "inline_container")):
        full = shutil.disk_usage(temporary.parent).free < _ALMOST_NONE
        return (errno.ENOSPC, os.strerror(errno.ENOSPC)) if full else (errno.EIO, "it cannot be written; is the disk full?")
    return 0, ""


def remove_unfinished(folder: Path, *, own: bool = False) -> list[Path]:
    """Remove and return what killed processes have left: files of ``atomic_write`` and folders of ``unfinished_folder``.

    Args:
        folder: the folder, not those in it.
        own: nobody else can be writing there, for this process holds its lock; else only files are removed to which nobody has
            written for an hour.
    """
    removed = []
    for path in folder.glob(f".*{_UNFINISHED}"):
        with contextlib.suppress(OSError):  # gone meanwhile, or not ours to remove
            if own or time.time() - _last_written(path) > _ABANDONED_S:
                path.unlink() if path.is_symlink() or not path.is_dir() else shutil.rmtree(path)
                removed.append(path)
    return removed


@functools.lru_cache(maxsize=1024)
def _tidied(folder: Path) -> None:
    """``remove_unfinished``, once a process: among a million pictures a look takes a second."""
    remove_unfinished(folder)


def _last_written(path: Path) -> float:
    """When a file was written to, or a folder or anything in it; a link into it counts too, whatever the age of its file."""
    inside = () if path.is_symlink() else path.rglob("*")
    return max(each.lstat().st_mtime for each in (path, *inside))


@contextlib.contextmanager
def unfinished_folder(wanted: Path) -> Iterator[Path]:
    """A folder beside the path, in which to make what then gets that name; it is removed in the end.

    Those of killed processes are removed first. The folder around them is made when missing.
    """
    wanted.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(wanted.parent)
    try:
        made = tempfile.TemporaryDirectory(_UNFINISHED, _hidden(wanted), wanted.parent, ignore_cleanup_errors=True)
    except OSError as error:  # it names what was wanted, and not the temporary folder
        raise OSError(error.errno, error.strerror, str(wanted)) from error
    with made as folder:
        yield Path(folder)


def _also_called(path: Path, other: Path) -> None:
    """Give a file a second name, in place of what was called so; where file systems have no second names, the name alone."""
    spare = other.with_name(f".{other.name}.link")
    spare.unlink(missing_ok=True)
    try:
        os.link(path, spare)  # not by Path.hardlink_to, whose arguments are the other way round
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        system.replace(path, other)
        return
    system.replace(spare, other)
    spare.unlink(missing_ok=True)  # still there where both names meant this file already


def write_text(path: str | Path, text: str) -> None:
    """Write text as UTF-8, its lines ended by LF on every system, atomically."""
    atomic_write(path, lambda temporary: temporary.write_bytes(text.encode()))


def write_json(path: str | Path, value: Any, *, indent: int | None = 1) -> None:
    """Write ``value`` as strict JSON (NaN is refused), atomically."""
    write_text(path, json.dumps(value, indent=indent, allow_nan=False) + "\n")


def write_csv(path: str | Path, header: Sequence[str], rows: Iterable[Sequence[object]], *, exact: bool = False) -> None:
    """Write a header and rows as CSV (RFC 4180: lines end in CR LF; None is an empty cell), atomically.

    A text that a spreadsheet would take for a formula gets an apostrophe before it. Bytes of a file's name that are no text are
    spelled, as Python writes them.

    Args:
        path: the file.
        header: the names of the columns.
        rows: the cells.
        exact: for programs that want every text as it is.
    """

    def cells(row: Sequence[object]) -> Sequence[object]:
        return row if exact else [_no_formula(cell) if isinstance(cell, str) else cell for cell in row]

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            table = csv.writer(file)
            table.writerow(cells(header))
            table.writerows(map(cells, rows))

    atomic_write(path, write)


def _no_formula(text: str) -> str:
    if not text.startswith(("=", "+", "-", "@", "\t", "\r")):
        return text
    with contextlib.suppress(ValueError):  # -1.5 is a number
        float(text)
        return text
    return f"'{text}"


def json_ready(value: Any) -> Any:
    """``value`` with None for numbers that JSON does not have, and lists for tuples."""
    if isinstance(value, Mapping):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_ready(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
