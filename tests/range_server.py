"""A server of this machine that serves a folder, parts of files too, and notes what it was asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from serving import serving


class RangeServer(ThreadingHTTPServer):
    """Serves the files of ``folder``.

    Attributes:
        asked: (file, first byte, last byte) of each part that was sent.
        failing: so many of the next requests get the status 503.
        ranges: whether it knows of parts.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.asked: list[tuple[str, int, int]] = []
        self.failing = 0
        self.ranges = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: RangeServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._send(b"")

    def do_GET(self) -> None:
        self._send(None)

    def _send(self, body: bytes | None) -> None:
        name = self.path.lstrip("/")
        path = self.server.folder / name
        if self.server.failing > 0:
            self.server.failing -= 1
            self._answer(503, b"")
        elif not path.is_file():
            self._answer(404, b"")
        else:
            content, found = path.read_bytes(), re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            if found and self.server.ranges:
                first, last = map(int, found.groups())
                self.server.asked.append((name, first, last))
                self._answer(206, content[first : last + 1], body, **{"Content-Range": f"bytes {first}-{last}/{len(content)}"})
            else:
                self._answer(200, content, body)

    def _answer(self, status: int, content: bytes, body: bytes | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), "Accept-Ranges": "bytes", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content if body is None else body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def range_server(folder: Path) -> Iterator[RangeServer]:
    """A running server of a folder."""
    with serving(RangeServer(folder)) as running:
        yield running
