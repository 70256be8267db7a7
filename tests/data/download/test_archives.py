"""Archives: good ones unpack, evil ones are refused and leave nothing outside their folder."""

import io
import random
import re
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from resdet.data.download.archives import unpack
from resdet.errors import DataError

FILES = {"top/a.txt": b"hello", "top/deep er/b.bin": bytes(range(256)) * 5000, "top/empty": b""}


def a_tar(path: Path, files: dict[str, bytes] = FILES, change: Callable[[tarfile.TarInfo], object] = lambda _: None) -> Path:
    with tarfile.open(path, f"w:{path.suffix[1:]}" if path.suffix in (".gz", ".bz2", ".xz") else "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            change(info)
            archive.addfile(info, io.BytesIO(content))
    return path


def a_zip(path: Path, files: dict[str, bytes] = FILES, mode: int = 0, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("top/folder/"), b"")
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = method
            archive.writestr(info, content)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.tar.bz2", "x.tar.xz", "x.zip"])
def test_files_come_out_whole(tmp_path: Path, name: str) -> None:
    archive = (a_zip if name.endswith("zip") else a_tar)(tmp_path / name)
    unpack(archive, tmp_path / "all")
    assert contents(tmp_path / "all") == FILES
    unpack(archive, tmp_path / "without", skips=1)
    assert contents(tmp_path / "without") == {key.removeprefix("top/"): value for key, value in FILES.items()}


def test_a_tar_that_ends_in_a_zip_is_a_tar(tmp_path: Path) -> None:
    inner = a_zip(tmp_path / "inner.zip").read_bytes()
    unpack(a_tar(tmp_path / "x.tar", {"inner.zip": inner}), tmp_path / "to")
    assert contents(tmp_path / "to") == {"inner.zip": inner}


EVIL_NAMES = ["/etc/x", "../x", "top/../../x", "C:\\x", "..\\x"]


@pytest.mark.parametrize("name", EVIL_NAMES)
@pytest.mark.parametrize("make", [a_tar, a_zip])
def test_names_that_lead_out(tmp_path: Path, name: str, make: Callable[..., Path]) -> None:
    archive = make(tmp_path / "evil", {"good": b"1", name: b"2"})
    with pytest.raises(DataError, match="file name must be relative and stay in"):
        unpack(archive, tmp_path / "to" / "here")
    assert contents(tmp_path).keys() <= {"evil", "to/here/good"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_of_a_tar(tmp_path: Path, kind: bytes) -> None:
    def change(info: tarfile.TarInfo) -> None:
        info.type, info.linkname, info.size = kind, "/etc/passwd", 0

    with pytest.raises(DataError, match=r"'top/a.txt' must be a file or a folder, it is a link or a device"):
        unpack(a_tar(tmp_path / "x.tar", change=change), tmp_path / "to")
    assert list((tmp_path / "to").rglob("*")) == []


def test_links_of_a_zip(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be a file or a folder"):
        unpack(a_zip(tmp_path / "x.zip", {"link": b"/etc/passwd"}, stat.S_IFLNK | 0o777), tmp_path / "to")
    assert contents(tmp_path / "to") == {}


def test_limits(tmp_path: Path) -> None:
    archive = a_zip(tmp_path / "x.zip", {"zeros": bytes(10_000_000)})  # some 10 kB packed
    assert archive.stat().st_size < 20_000
    with pytest.raises(DataError, match="holds more than 1000000 files or 9999999 bytes"):
        unpack(archive, tmp_path / "a", most_bytes=9_999_999)
    unpack(archive, tmp_path / "b", most_bytes=10_000_000)
    with pytest.raises(DataError, match="holds more than 2 files"):
        unpack(a_tar(tmp_path / "x.tar"), tmp_path / "c", most_files=2)


SMALL = {"a.bin": random.Random(0).randbytes(700), "deep/b.bin": random.Random(1).randbytes(900), "c": b""}
SIZES = {name: len(content) for name, content in SMALL.items()}
TARS = ["x.tar", "x.tar.gz", "x.tar.bz2", "x.tar.xz"]
ZIPS = {"stored": zipfile.ZIP_STORED, "deflated": zipfile.ZIP_DEFLATED, "bzip2": zipfile.ZIP_BZIP2, "lzma": zipfile.ZIP_LZMA}


def packed(folder: Path, kind: str) -> Path:
    return a_tar(folder / kind, SMALL) if kind in TARS else a_zip(folder / f"{kind}.zip", SMALL, method=ZIPS[kind])


def unpacked(archive: Path, content: bytes) -> tuple[dict[str, bytes], str]:
    """The files that come out of a damaged archive, and the text of the DataError, "" without one."""
    archive.write_bytes(content)
    folder = archive.parent / "to"
    try:
        unpack(archive, folder)
        said = ""
    except DataError as error:
        said = str(error)
    files = contents(folder)
    shutil.rmtree(folder)
    return files, said


@pytest.mark.parametrize("kind", [*TARS, *ZIPS])
def test_cut_short(tmp_path: Path, kind: str) -> None:
    archive = packed(tmp_path, kind)
    whole = archive.read_bytes()
    # the zeros that end a tar may be missing
    end = len(whole.rstrip(b"\0")) if kind == "x.tar" else len(whole)
    for length in range(0, end, 37):
        files, said = unpacked(archive, whole[:length])
        if kind == "x.tar" and length % tarfile.BLOCKSIZE == 0 and not said:
            continue  # which may be the end of a file, and so of a tar
        assert "is not an archive that can be unpacked" in said, length
        assert files.items() <= SMALL.items(), length


@pytest.mark.parametrize("kind", [*TARS, *ZIPS])
def test_flipped_bytes(tmp_path: Path, kind: str) -> None:
    archive = packed(tmp_path, kind)
    whole = archive.read_bytes()
    told = 0
    for place in range(0, len(whole), 61 if kind == "x.tar" else 23):
        damaged = bytearray(whole)
        damaged[place] ^= 1 + place % 255
        files, said = unpacked(archive, bytes(damaged))
        told += bool(said)
        if kind in ZIPS:
            assert set(files.values()) <= set(SMALL.values()), place
        elif kind == "x.tar" and not said:
            assert {name: len(content) for name, content in files.items()} == SIZES, place
        elif not said:
            assert files == SMALL, place
    assert told > (5 if kind == "x.tar" else 50)


@pytest.mark.parametrize(
    ("place", "value", "reason"), [(8, 97, "compression"), (6, 1, "encrypted")], ids=["a way of compression", "a password"]
)
def test_what_a_zip_needs_and_is_not_there(tmp_path: Path, place: int, value: int, reason: str) -> None:
    content = bytearray(packed(tmp_path, "deflated").read_bytes())
    for start, shift in ((content.index(b"PK\3\4", 5), 0), (content.index(b"PK\1\2", content.index(b"PK\1\2") + 1), 2)):
        content[start + place + shift] = value  # of the local header, and of the directory's entry
    files, said = unpacked(tmp_path / "x.zip", bytes(content))
    assert re.search(rf"x\.zip: is not an archive that can be unpacked: .*{reason}", said)
    assert files == {}


def test_a_member_of_a_zip_without_a_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("n"), b"1")
    content = (tmp_path / "x.zip").read_bytes().replace(b"n1", b"\0" + b"1")
    files, said = unpacked(tmp_path / "x.zip", content.replace(b"n", b"\0"))
    assert "file name must be relative and stay in" in said
    assert files == {}


def test_a_size_below_zero(tmp_path: Path) -> None:
    """tarfile would go back by it, and read the same again and again."""
    headers = []
    for size in (0, -tarfile.BLOCKSIZE):
        info = tarfile.TarInfo("a")
        info.size = size
        headers.append(info.tobuf(tarfile.GNU_FORMAT))
    (tmp_path / "x.tar").write_bytes(b"".join(headers) + bytes(2 * tarfile.BLOCKSIZE))
    with pytest.raises(DataError, match=r"is not an archive that can be unpacked: 'a' of -512 bytes"):
        unpack(tmp_path / "x.tar", tmp_path / "to")


def test_the_systems_errors_are_no_word_on_the_archive(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        unpack(tmp_path / "gone.tar", tmp_path / "to")
    archive = a_tar(tmp_path / "x.tar", {"n" * 300: b"1"})
    with pytest.raises(OSError, match="too long"):
        unpack(archive, tmp_path / "there")


def test_text_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_text("<html>404</html>")
    with pytest.raises(DataError, match="is not an archive that can be unpacked"):
        unpack(tmp_path / "x.tar", tmp_path / "to")
