"""Fetches published files, continues after an interruption, verifies them, and unpacks data sets where run files look."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from types import MappingProxyType

from resdet import system
from resdet.data.download.archives import unpack
from resdet.errors import DataError, ResdetError
from resdet.files import write_json

# called with the current action, the name of the archive, the bytes done so far and the total bytes (None: unknown)
Report = Callable[[str, str, int, "int | None"], None]

_PIECE = 1 << 20
_ATTEMPTS = 5
_TIMEOUT_S = 60


@dataclass(frozen=True)
class Remote:
    """A published file.

    Attributes:
        url: its address.
        algorithm: of its checksum, a name that ``hashlib`` knows.
        digits: the hexadecimal digits that the checksum begins with; "" where nothing is published.
    """

    url: str
    algorithm: str = "sha256"
    digits: str = ""

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Archive:
    """One file of a data set.

    Attributes:
        url: the address of the file.
        md5: the MD5 checksum of the whole file.
        makes: the folders or files that unpacking creates below the data set's folder.
        skips: the number of leading folders dropped from each path in the archive.
    """

    url: str
    md5: str
    makes: tuple[str, ...]
    skips: int = 0

    @property
    def name(self) -> str:
        """The file's name."""
        return self.remote.name

    @property
    def remote(self) -> Remote:
        """The archive as it is published; its publishers give MD5 sums."""
        return Remote(self.url, "md5", self.md5)


@dataclass(frozen=True)
class Published:
    """A data set: the folder where the run files expect it, and its archives."""

    folder: str
    archives: tuple[Archive, ...]


_VOC = "http://host.robots.ox.ac.uk/pascal/VOC"
_COCO = "http://images.cocodataset.org"
_VOC2007 = ("VOC2007/Annotations", "VOC2007/ImageSets/Main", "VOC2007/JPEGImages")
_VOC2012 = ("VOC2012/Annotations", "VOC2012/ImageSets/Main", "VOC2012/JPEGImages")
_INSTANCES = ("annotations/instances_train2017.json", "annotations/instances_val2017.json")
PUBLISHED: Mapping[str, Published] = MappingProxyType(
    {
        "voc2007": Published(
            "datasets/voc",
            (
                Archive(f"{_VOC}/voc2007/VOCtrainval_06-Nov-2007.tar", "c52e279531787c972589f7e41ab4ae64", _VOC2007, 1),
                Archive(f"{_VOC}/voc2007/VOCtest_06-Nov-2007.tar", "b6e924de25625d8de591ea690078ad9f", _VOC2007, 1),
            ),
        ),
        "voc2012": Published(
            "datasets/voc",
            (Archive(f"{_VOC}/voc2012/VOCtrainval_11-May-2012.tar", "6cd6e144f989b92b3379bac3b3de84fd", _VOC2012, 1),),
        ),
        "coco2017": Published(
            "datasets/coco",
            (
                Archive(f"{_COCO}/annotations/annotations_trainval2017.zip", "f4bbac642086de4f52a3fdda2de5fa2c", _INSTANCES),
                Archive(f"{_COCO}/zips/val2017.zip", "442b8da7639aecaf257c1dceb8ba8c80", ("val2017",)),
                Archive(f"{_COCO}/zips/train2017.zip", "cced6f7f71b7629ddf16f17bbcfab6b2", ("train2017",)),
            ),
        ),
    }
)


def download(dataset: Published, folder: str | Path, report: Report, *, pause_s: float = 2.0) -> None:
    """Fetch, verify and unpack the archives that ``folder`` does not hold yet.

    An archive is downloaded to ``folder/.download``. After an interruption the download continues from there, when the server
    supports it. A verified archive is unpacked beside it, its files are moved into place, and the archive is deleted. A small
    file stays to mark it as done.

    Args:
        dataset: the data set to fetch.
        folder: the folder to unpack into.
        report: called with the progress.
        pause_s: seconds to wait before another attempt; the wait grows each time.

    Raises:
        ResdetError: when a server refuses, or the transfer breaks off too often; the next call continues.
        DataError: when a file differs from the published one, or an archive is broken or unsafe; the file is deleted.
        OSError: when the folder cannot be written.
    """
    folder = Path(folder)
    for archive in dataset.archives:
        done = folder / ".download" / f"{archive.name}.json"
        if done.is_file() and all((folder / path).exists() for path in archive.makes):
            report("already there", archive.name, 0, None)
            continue
        file = fetch(archive.remote, folder / ".download", report, pause_s=pause_s)
        report("unpacking", archive.name, 0, None)
        beside = folder / ".download" / f"{archive.name}.unpacked"
        shutil.rmtree(beside, ignore_errors=True)
        try:
            unpack(file, beside, skips=archive.skips)
        except DataError:
            file.unlink()
            raise
        _move_into(beside, folder)
        write_json(done, {"url": archive.url, "md5": archive.md5})
        file.unlink()


def fetch(remote: Remote, folder: Path, report: Report, *, pause_s: float = 2.0) -> Path:
    """Fetch a file into ``folder``, continuing an earlier download, and verify it; returns its path.

    Raises:
        ResdetError, DataError, OSError: as ``download``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file, part = folder / remote.name, folder / f"{remote.name}.part"
    if not file.is_file():
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                _continue(remote, part, report)
                break
            except urllib.error.HTTPError as error:
                raise ResdetError(f"{remote.url}: the server answers {error.code} {error.reason}") from error
            except (HTTPException, urllib.error.URLError, ConnectionError, TimeoutError) as error:
                if attempt == _ATTEMPTS:
                    have = part.stat().st_size if part.exists() else 0
                    reason = getattr(error, "reason", None) or error
                    raise ResdetError(
                        f"{remote.url}: broke off after {have} bytes: {reason}; the same command goes on from there"
                    ) from error
                time.sleep(pause_s * attempt)
        system.replace(part, file)
    report("verifying", remote.name, 0, None)
    if not (found := _checksum(file, remote.algorithm)).startswith(remote.digits):
        size = file.stat().st_size
        file.unlink()
        raise DataError(
            f"{remote.url}: is not the published file: {size} bytes of {remote.algorithm} {found}, expected "
            f"{remote.digits}; it was deleted"
        )
    return file


def _continue(remote: Remote, part: Path, report: Report) -> None:
    """Fetch the bytes that ``part`` lacks; raises HTTPException or ConnectionError when the transfer ends early."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(remote.url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310
    try:
        answer: HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310  # http, from a fixed list
    except urllib.error.HTTPError as error:
        # the server has nothing left to send: the download is complete, or it is of another file
        if error.code == 416 and (error.headers.get("Content-Range") or "").endswith(f"/{have}"):
            return
        if error.code == 416:
            part.unlink()
            raise ConnectionError("the server has less than was fetched before") from error
        raise
    with answer:
        if answer.status != 206 or not (answer.headers.get("Content-Range") or "").startswith(f"bytes {have}-"):
            have = 0  # the server starts from the first byte again
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length and length.isdecimal() else None
        with part.open("ab" if have else "wb") as file:
            while piece := answer.read(_PIECE):
                file.write(piece)
                have += len(piece)
                report("fetching", remote.name, have, total)
    if total is not None and have < total:
        raise ConnectionError(f"{total - have} bytes are missing")


def _checksum(path: Path, algorithm: str) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)  # against accidents, not forgery
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _move_into(source: Path, folder: Path) -> None:
    """Move the files below ``source`` to the same places below ``folder``, and remove ``source``."""
    for parent, _, files in os.walk(source):
        target = folder / Path(parent).relative_to(source)
        target.mkdir(parents=True, exist_ok=True)
        for name in files:
            shutil.move(Path(parent, name), target / name)  # the target may be a link to another disk
    shutil.rmtree(source)
