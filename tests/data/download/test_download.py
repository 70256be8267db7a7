"""Downloads from a server of this machine: whole, interrupted, resumed, refused, wrong."""

import errno
import hashlib
import io
import os
import re
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from serving import serving

from resdet.cli import main
from resdet.data.download import fetch as module
from resdet.data.download.fetch import PUBLISHED, Archive, Published, download, fetch
from resdet.errors import DataError, ResdetError


def a_tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


CONTENT = a_tar({f"kit/VOC/{n}.txt": bytes([n]) * 300_000 for n in range(10)})


class Server(ThreadingHTTPServer):
    """Serves ``content``; ``cuts`` are the bytes after which the next answers break off; it remembers the ranges asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.cuts: list[int] = []
        self.ranges: list[str | None] = []
        self.knows_ranges = True
        self.says_length = True
        self.status = 200


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        content, start = self.server.content, 0
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        if asked and self.server.knows_ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        body = content[start:]
        if self.server.says_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.cuts.pop(0)] if self.server.cuts else body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as running:
        yield running


def archive(server: Server, name: str = "kit.tar", md5: str = "", **options: object) -> Archive:
    url = f"http://127.0.0.1:{server.server_address[1]}/pub/{name}"
    return Archive(url, md5 or hashlib.md5(server.content).hexdigest(), ("VOC",), 1, **options)


def silent(*_: object) -> None:
    """Report nothing."""


def test_a_data_set_arrives_and_a_second_call_asks_for_nothing(server: Server, tmp_path: Path) -> None:
    steps: list[tuple] = []
    dataset = Published("", (archive(server),))
    download(dataset, tmp_path, lambda *step: steps.append(step))
    assert {path.name: path.read_bytes() for path in (tmp_path / "VOC").iterdir()} == {
        f"{n}.txt": bytes([n]) * 300_000 for n in range(10)
    }
    assert [path.name for path in (tmp_path / ".download").iterdir()] == ["kit.tar.json"]
    assert [step[0] for step in dict.fromkeys((step[0],) for step in steps)] == ["fetching", "verifying", "unpacking"]
    assert ("fetching", "kit.tar", len(CONTENT), len(CONTENT)) in steps
    download(dataset, tmp_path, lambda *step: steps.append(step))
    assert (steps[-1][0], server.ranges) == ("already there", [None])
    for path in (tmp_path / "VOC").iterdir():  # taken away: fetched again
        path.unlink()
    (tmp_path / "VOC").rmdir()
    download(dataset, tmp_path, silent)
    assert len(list((tmp_path / "VOC").iterdir())) == 10


def test_two_archives_fill_one_folder(server: Server, tmp_path: Path) -> None:
    download(Published("", (archive(server),)), tmp_path, silent)
    server.content = a_tar({"kit/VOC/more/x.txt": b"x", "kit/VOC/3.txt": b"new"})
    download(Published("", (archive(server, "more.tar"),)), tmp_path, silent)
    assert (tmp_path / "VOC" / "more" / "x.txt").read_bytes() == b"x"
    assert (tmp_path / "VOC" / "3.txt").read_bytes() == b"new"
    assert len((tmp_path / "VOC" / "4.txt").read_bytes()) == 300_000


def test_an_interrupted_transfer_goes_on_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.cuts = [1_000_000, 700_000]
    path = fetch(archive(server).remote, tmp_path, silent, pause_s=0)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1000000-", "bytes=1700000-"]


def test_a_transfer_that_always_breaks_is_continued_by_the_next_call(server: Server, tmp_path: Path) -> None:
    server.cuts = [100_000] * 5
    with pytest.raises(
        ResdetError, match=r"kit\.tar: broke off after 500000 bytes: .*; the same command goes on from there"
    ) as caught:
        fetch(archive(server).remote, tmp_path, silent, pause_s=0)
    assert caught.value.exit_status == 1
    assert (tmp_path / "kit.tar.part").stat().st_size == 500_000
    assert fetch(archive(server).remote, tmp_path, silent, pause_s=0).read_bytes() == CONTENT
    assert server.ranges[-1] == "bytes=500000-"


@pytest.mark.parametrize("says_length", [True, False])
def test_a_server_without_ranges_begins_anew(server: Server, tmp_path: Path, says_length: bool) -> None:
    server.knows_ranges, server.says_length = False, says_length
    (tmp_path / "kit.tar.part").write_bytes(b"x" * 1000)
    assert fetch(archive(server).remote, tmp_path, silent, pause_s=0).read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-"]


def test_a_part_that_is_already_whole(server: Server, tmp_path: Path) -> None:
    (tmp_path / "kit.tar.part").write_bytes(CONTENT)
    assert fetch(archive(server).remote, tmp_path, silent, pause_s=0).read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_dropped(server: Server, tmp_path: Path) -> None:
    (tmp_path / "kit.tar.part").write_bytes(CONTENT + b"more")
    assert fetch(archive(server).remote, tmp_path, silent, pause_s=0).read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT) + 4}-", None]


def test_a_wrong_file_is_deleted_and_told(server: Server, tmp_path: Path) -> None:
    wrong = Published("", (archive(server, md5="0" * 32),))
    found = hashlib.md5(CONTENT).hexdigest()
    with pytest.raises(DataError, match=rf"is not the published file: {len(CONTENT)} bytes of md5 {found}, expected 0000"):
        download(wrong, tmp_path, silent)
    assert list((tmp_path / ".download").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == [".download"]


def test_a_refusal_is_told_at_once(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(ResdetError, match=r"kit\.tar: the server answers 404 Not Found"):
        fetch(archive(server).remote, tmp_path, silent, pause_s=0)
    assert len(server.ranges) == 1


def test_no_server(server: Server, tmp_path: Path) -> None:
    nowhere = archive(server)
    server.server_close()
    with pytest.raises(ResdetError, match=r"broke off after 0 bytes: .*refused"):
        fetch(nowhere.remote, tmp_path, silent, pause_s=0)


def test_an_evil_archive_changes_nothing_outside(server: Server, tmp_path: Path) -> None:
    server.content = a_tar({"kit/VOC/good": b"1", "../../evil": b"2"})
    with pytest.raises(DataError, match="file name must be relative"):
        download(Published("", (archive(server),)), tmp_path / "deep" / "er", silent)
    assert [path for path in tmp_path.rglob("*") if path.name in ("evil", "VOC", "kit.tar")] == [
        tmp_path / "deep" / "er" / ".download" / "kit.tar.unpacked" / "VOC"
    ]


def test_the_command(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PUBLISHED", {"voc2007": Published(str(tmp_path / "standard"), (archive(server),))})
    assert main(["data", "download", "voc2007"]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path}/standard: voc2007 is complete\n"
    lines = captured.err.splitlines()
    assert lines[-2:] == ["kit.tar: verifying", "kit.tar: unpacking"]
    assert all(re.fullmatch(r"kit\.tar: fetching \d\.\d of 3\.0 MB", line) for line in lines[:-2])
    assert main(["data", "download", "voc2007", str(tmp_path / "mine")]) == 0
    assert (tmp_path / "mine" / "VOC" / "1.txt").exists()
    capsys.readouterr()
    server.status = 503
    assert main(["data", "download", "voc2007", str(tmp_path / "third")]) == 1
    assert capsys.readouterr().err.startswith(f"error: {archive(server).url}: the server answers 503")
    with pytest.raises(SystemExit):
        main(["data", "download", "voc2010"])


def test_the_published_sets() -> None:
    assert set(PUBLISHED) == {"voc2007", "voc2012", "coco2017"}
    archives = [item for dataset in PUBLISHED.values() for item in dataset.archives]
    assert len({item.name for item in archives}) == len(archives) == 6
    assert all(re.fullmatch(r"[0-9a-f]{32}", item.md5) for item in archives)


def test_files_move_to_another_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def another_disk(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    (tmp_path / "from" / "deep").mkdir(parents=True)
    (tmp_path / "from" / "deep" / "a").write_text("1")
    monkeypatch.setattr(os, "rename", another_disk)
    monkeypatch.setattr(os, "replace", another_disk)
    module._move_into(tmp_path / "from", tmp_path / "to")
    assert (tmp_path / "to" / "deep" / "a").read_text() == "1"
    assert not (tmp_path / "from").exists()
