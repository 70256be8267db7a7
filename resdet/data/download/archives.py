"""Unpacks archives safely: only plain files and folders, and only below the target folder."""

from __future__ import annotations

import errno
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from resdet.data.formats.file_names import unsafe_name
from resdet.errors import DataError
from resdet.wording import reason_of

# the largest archive is COCO's training images: 118,288 files, 19 GB
MOST_FILES = 1_000_000
MOST_BYTES = 100 << 30
_PIECE = 1 << 20
# the errors that tarfile, zipfile and their decompressors raise for a damaged file, and for features that they do not support
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,  # a header holds impossible numbers
    OverflowError,
    NotImplementedError,  # a zip's compression method is unknown, perhaps because a bit is damaged
    RuntimeError,  # a zip's member is encrypted, or a damaged bit says so
)


class _Member(NamedTuple):
    """A file of an archive, or a folder when it has no ``open``."""

    name: str
    size: int
    open: Callable[[], IO[bytes]] | None


class _TarEntry(tarfile.TarInfo):
    """Treats a header that is damaged or cut short as an error; tarfile would take it for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _TarEntry:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if not buf.strip(b"\0"):  # the end of the archive, with or without its mark of zeros
                raise
            raise tarfile.ReadError(str(error)) from error


def unpack(
    archive: str | Path, folder: str | Path, *, skips: int = 0, most_files: int = MOST_FILES, most_bytes: int = MOST_BYTES
) -> None:
    """Unpack a ``.zip`` or ``.tar`` (compressed or not) archive into ``folder``, which must not exist.

    Args:
        archive: the file.
        folder: the folder to unpack into; files get new permissions and dates.
        skips: the number of leading folders dropped from each path; members above them are left out.
        most_files: the largest allowed number of files and folders.
        most_bytes: the largest allowed number of unpacked bytes.

    Raises:
        DataError: when the archive is damaged, cut short or too large, needs a password or an unknown compression, or has a
            member that is a link or a device or would leave the folder. The files unpacked until then stay, and all of them
            are complete. Every checksum in the archive is compared. Some damage has none: a plain tar has no checksums of its
            files' content and counts as complete when it ends after a file, and a zip has no checksum of its list of files.
        OSError: when the archive cannot be read, or the folder cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True)
    total = 0
    try:
        for count, member in enumerate(_members(Path(archive)), 1):
            total += member.size
            if count > most_files or total > most_bytes:
                raise DataError(f"{archive}: holds more than {most_files} files or {most_bytes} bytes")
            if problem := unsafe_name(member.name):
                raise DataError(f"{archive}: {problem}")
            parts = PurePosixPath(member.name).parts[skips:]
            if parts:
                _write(member, folder.joinpath(*parts))
    except (*_DAMAGE, OSError) as error:
        # bad bzip2 or gzip data is an OSError too, but without a system error; EINVAL comes from a seek before the file's start
        if isinstance(error, OSError) and error.strerror is not None and error.errno != errno.EINVAL:
            raise
        raise DataError(f"{archive}: is not an archive that can be unpacked: {reason_of(error, 300)}") from error


def _members(archive: Path) -> Iterator[_Member]:
    # tar first: a tar may end in a zip, and is_zipfile would then take it for a zip
    if not tarfile.is_tarfile(archive) and zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                kind = stat.S_IFMT(info.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise DataError(f"{archive}: {info.filename!r} must be a file or a folder, it is a link or a device")
                # not is_dir(), which fails on an empty name
                is_folder = info.filename.endswith("/")
                yield _Member(info.filename, info.file_size, None if is_folder else partial(zipped.open, info))
        return
    with tarfile.open(archive, tarinfo=_TarEntry) as tarred:
        for entry in tarred:
            if entry.size < 0:  # tarfile would go back by that size and loop forever
                raise tarfile.ReadError(f"{entry.name!r} of {entry.size} bytes")
            if not (entry.isreg() or entry.isdir()):
                raise DataError(f"{archive}: {entry.name!r} must be a file or a folder, it is a link or a device")
            content: Any = partial(tarred.extractfile, entry)  # it returns None for members that are not files
            yield _Member(entry.name, entry.size, None if entry.isdir() else content)
        stream: Any = tarred.fileobj
        while stream.read(_PIECE):  # the checksum is compared at the end of the stream
            pass


def _write(member: _Member, path: Path) -> None:
    if member.open is None:
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with member.open() as source, path.open("wb") as target:
            while piece := source.read(_PIECE):
                target.write(piece)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
