"""A server of this machine in place of those that publish weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType

import pytest
from serving import serving

from resdet.models.backbones.weights import published as module
from resdet.models.backbones.weights.published import PublishedWeights


class Server(ThreadingHTTPServer):
    """Serves ``content`` under every name; the first ``cut`` bytes of it, once, where that is not 0; counts what is asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = b""
        self.cut = 0
        self.asked: list[str | None] = []

    def address(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/models/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked, content, start = self.headers.get("Range"), self.server.content, 0
        self.server.asked.append(asked)
        if asked:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if asked else 200)
        self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:][: self.server.cut or None])
        self.server.cut = 0

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def weights_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A running server; ``folder`` becomes the working folder, and the caches lie below it."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "caches"))
    for variable in ("TORCH_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("time.sleep", lambda _: None)
    with serving(Server()) as running:
        yield running


def publish(monkeypatch: pytest.MonkeyPatch, name: str, weights: PublishedWeights) -> None:
    """Make these the only published weights."""
    table: Mapping[str, PublishedWeights] = MappingProxyType({name: weights})
    monkeypatch.setattr(module, "PUBLISHED_WEIGHTS", table)
    monkeypatch.setattr("resdet.models.backbones.weights.find.PUBLISHED_WEIGHTS", table)
