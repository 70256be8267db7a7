"""Unpacking archives from elsewhere: plain files and folders only, and only below the folder that was asked for."""

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

from resdet.data.formats.annotations import unsafe_name
from resdet.errors import DataError

# COCO's training images are the most: 118,288 files, 19 GB
MOST_FILES = 1_000_000
MOST_BYTES = 100 << 30
_PIECE = 1 << 20
# what tarfile, zipfile and what they unpack with say of a damaged file, and of one that asks for more than they can
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,  # numbers that cannot be
    OverflowError,
    NotImplementedError,  # a zip's way of compression, unknown or of one bit too many
    RuntimeError,  # a zip's member is encrypted, by the same bit or in earnest
)


class _Member(NamedTuple):
    """A file of an archive, or, without ``open``, a folder."""

    name: str
    size: int
    open: Callable[[], IO[bytes]] | None


class _TarEntry(tarfile.TarInfo):
    """A header that is damaged, or cut short, is an error; to tarfile it is the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _TarEntry:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if not buf.strip(b"\0"):  # the end, marked by zeros or not
                raise
            raise tarfile.ReadError(str(error)) from error


def unpack(
    archive: str | Path, folder: str | Path, *, skips: int = 0, most_files: int = MOST_FILES, most_bytes: int = MOST_BYTES
) -> None:
    """Unpack a ``.zip`` or ``.tar`` (compressed or not) archive into ``folder``, which must not exist.

    Args:
        archive: the file.
        folder: where to; files get new permissions and dates.
        skips: how many leading folders of each path are dropped; what lies above them is left out.
        most_files: files and folders at most.
        most_bytes: bytes at most, unpacked.

    Raises:
        DataError: when the archive is damaged or cut short, is too large, needs what is not there (a password, a way of
            compression), or has a member that is a link or a device or would leave the folder. What was unpacked until then
            remains, no file of it cut short. All checksums are compared that there are: a plain tar has none of its files'
            content, and is whole where it ends after a file; a zip has none of its list of files.
        OSError: when the archive cannot be read, or the folder not be written.
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
        # a bad bzip2 or gzip is an OSError too, but not one of the system's; EINVAL is a place before the file's start
        if isinstance(error, OSError) and error.strerror is not None and error.errno != errno.EINVAL:
            raise
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"{archive}: is not an archive that can be unpacked: {reason}") from error


def _members(archive: Path) -> Iterator[_Member]:
    # a tar may end in a zip, which is_zipfile would take it for
    if not tarfile.is_tarfile(archive) and zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                kind = stat.S_IFMT(info.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise DataError(f"{archive}: {info.filename!r} must be a file or a folder, it is a link or a device")
                # not is_dir(), which wants a name of one letter at least
                is_folder = info.filename.endswith("/")
                yield _Member(info.filename, info.file_size, None if is_folder else partial(zipped.open, info))
        return
    with tarfile.open(archive, tarinfo=_TarEntry) as tarred:
        for entry in tarred:
            if entry.size < 0:  # tarfile would go back by it, again and again
                raise tarfile.ReadError(f"{entry.name!r} of {entry.size} bytes")
            if not (entry.isreg() or entry.isdir()):
                raise DataError(f"{archive}: {entry.name!r} must be a file or a folder, it is a link or a device")
            content: Any = partial(tarred.extractfile, entry)  # which is None for what is no file
            yield _Member(entry.name, entry.size, None if entry.isdir() else content)
        stream: Any = tarred.fileobj
        while stream.read(_PIECE):  # at its end is the checksum
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
