"""Files: JSON in, and anything out so that a reader never meets half of it."""

from __future__ import annotations

import contextlib
import csv
import errno
import hashlib
import json
import math
import os
import re
import shutil
import stat
import struct
import tempfile
import time
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from resdet import system
from resdet.errors import DataError

_SPECIAL = (
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_MADE_UP = ("/proc/", "/sys/")
# how files are called while they are written, so that one whose writer was killed can be told from all others
_UNFINISHED = ".resdet-unfinished"
_ABANDONED_S = 3600.0  # nobody has written to such a file for so long
_SYSTEM_ERROR = re.compile(r"\(os error ([0-9]+)\)")
_ALMOST_NONE = 1 << 24  # bytes left on a disk that is as good as full
# how file systems say that a file has one name alone
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)

# what numpy and zipfile raise for a damaged .npz file
NPZ_DAMAGE = (
    AttributeError, EOFError, KeyError, MemoryError, OSError, OverflowError, RuntimeError, SyntaxError, TypeError, ValueError,
    struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def atomic_write(path: str | Path, write: Callable[[Path], object], previous: Path | None = None) -> None:
    """Call ``write(temporary_path)``, then fsync it and rename it to ``path``: the file is old or new, never between.

    Args:
        path: the file to make; its folder is made when missing.
        write: fills the temporary file, which lies in the same folder.
        previous: what the file that is replaced is called from then on, in the same folder; None: it goes.

    Raises:
        OSError: when the folder cannot be written; the temporary file is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_UNFINISHED)
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
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                removed.append(path)
    return removed


def _last_written(path: Path) -> float:
    """When a file was written to, or a folder or anything in it; a link into it counts too, whatever the age of its file."""
    return max(each.lstat().st_mtime for each in (path, *path.rglob("*")))


@contextlib.contextmanager
def unfinished_folder(wanted: Path) -> Iterator[Path]:
    """A folder beside the path, in which to make what then gets that name; it is removed in the end.

    Those of killed processes are removed first. The folder around them is made when missing.
    """
    wanted.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(wanted.parent)
    name = f".{wanted.name}."
    with tempfile.TemporaryDirectory(_UNFINISHED, name, wanted.parent, ignore_cleanup_errors=True) as folder:
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


def cache_folder() -> Path:
    """Where the toolkit keeps what can be made again: ``resdet`` in ``XDG_CACHE_HOME``, or in ``.cache`` of the home folder."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "resdet"


def write_text(path: str | Path, text: str) -> None:
    """Write text as UTF-8, its lines ended by LF on every system, atomically."""
    atomic_write(path, lambda temporary: temporary.write_bytes(text.encode()))


def sha256_of(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with regular(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_json(path: str | Path, value: Any, *, indent: int | None = 1) -> None:
    """Write ``value`` as strict JSON (NaN is refused), atomically."""
    write_text(path, json.dumps(value, indent=indent, allow_nan=False) + "\n")


def write_csv(path: str | Path, header: Sequence[str], rows: Iterable[Sequence[object]], *, exact: bool = False) -> None:
    """Write a header and rows as CSV (RFC 4180: lines end in CR LF; None is an empty cell), atomically.

    A text that a spreadsheet would take for a formula gets an apostrophe before it.

    Args:
        path: the file.
        header: the names of the columns.
        rows: the cells.
        exact: for programs that want every text as it is.
    """

    def cells(row: Sequence[object]) -> Sequence[object]:
        return row if exact else [_no_formula(cell) if isinstance(cell, str) else cell for cell in row]

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
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


def identity(path: str | Path) -> tuple[object, int]:
    """What two paths have in common that are one file, by a link or in other letters; where there is none, its place."""
    with contextlib.suppress(OSError):
        status = os.stat(path)  # noqa: PTH116
        if status.st_ino:  # some file systems do not number their files
            return status.st_dev, status.st_ino
    return os.path.realpath(path), 0


def walk_files(folder: str | Path) -> Iterator[str]:
    """The files below a folder, links followed, each folder's in no order; a link back to a folder above is not."""

    def walk(path: str, above: frozenset[tuple[object, int]]) -> Iterator[str]:
        here = identity(path)
        if here in above:
            return
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir():
                    yield from walk(entry.path, above | {here})
                else:
                    yield entry.path

    return walk(os.fspath(folder), frozenset())


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


def json_ready(value: Any) -> Any:
    """``value`` with None for numbers that JSON does not have, and lists for tuples."""
    if isinstance(value, Mapping):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_ready(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
