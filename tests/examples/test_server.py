"""The server: the same boxes as resdet, 4xx for bad input, and limits under load."""

from __future__ import annotations

import asyncio
import io
import json
import runpy
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_detectors import picture, tiny_detector, written

pytest.importorskip("fastapi", reason="fastapi is not installed")

import resdet

CREATE = runpy.run_path(str(Path(__file__).resolve().parents[2] / "examples" / "server.py"))["create_app"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(written(tmp_path_factory.mktemp("server") / "model.safetensors", tiny_detector()))


def photo(seed: int = 0, height: int = 97) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture(seed, height, 131).permute(1, 2, 0).numpy())).save(content, "PNG")
    return content.getvalue()


async def ask(app: Any, body: bytes, query: str = "", path: str = "/detect", pause: float = 0.0) -> tuple[int, Any]:
    """The status and the JSON of an answer; the body comes in two parts, with a pause between them."""
    parts = [{"type": "http.request", "body": body[:100], "more_body": True}, {"type": "http.request", "body": body[100:]}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if len(parts) == 1:
            await asyncio.sleep(pause)
        return parts.pop(0) if parts else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST" if path == "/detect" else "GET",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "headers": [], "scheme": "http",
        "server": ("test", 80), "client": ("test", 1), "root_path": "",
    }  # fmt: skip
    await app(scope, receive, send)
    return sent[0]["status"], json.loads(b"".join(each.get("body", b"") for each in sent[1:]))


def test_it_finds_what_resdet_finds(weights: str) -> None:
    status, found = asyncio.run(ask(CREATE(weights), photo(), "score=0.3"))
    expected = resdet.load_detector(weights).predict(Image.open(io.BytesIO(photo())), score_thresh=0.3)
    assert (status, found["size"]) == (200, [97, 131])
    assert [each["name"] for each in found["detections"]] == [each.name for each in expected]
    assert [each["box"] for each in found["detections"]] == [pytest.approx(list(each.box)) for each in expected]
    assert len(expected) > 3
    assert asyncio.run(ask(CREATE(weights), b"", path="/names")) == (200, ["cat", "dog", "emu"])


@pytest.mark.parametrize(
    ("body", "query", "status", "text"),
    [
        (b"", "", 400, "upload"),
        (b"no picture", "", 400, "upload"),
        (photo()[:200], "", 400, "upload"),
        (photo(height=98), "", 400, "must be at most 12707 pixels, got 98 x 131"),
        (bytes(20_001), "", 413, "at most 20000 bytes"),
        (photo(), "score=2", 422, "less than or equal to 1"),
        (photo(), "score=much", 422, "valid number"),
    ],
)
def test_bad_input(weights: str, body: bytes, query: str, status: int, text: str) -> None:
    found, answer = asyncio.run(ask(CREATE(weights, most_bytes=20_000, most_pixels=97 * 131), body, query))
    assert found == status
    assert text in json.dumps(answer)


def test_slow_uploads_and_slow_answers(weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = CREATE(weights, seconds=0.2, most_waiting=1)
    assert asyncio.run(ask(app, photo(), pause=0.5))[0] == 408
    predict = resdet.inference.detector.Detector.predict

    def slow(*arguments: Any, **options: Any) -> Any:
        time.sleep(0.8)
        return predict(*arguments, **options)

    monkeypatch.setattr(resdet.inference.detector.Detector, "predict", slow)

    async def both() -> list[int]:
        first = (await ask(app, photo()))[0]
        return [first, (await ask(app, photo()))[0]]  # the first one still runs

    assert asyncio.run(both()) == [504, 503]


def test_many_at_once(weights: str) -> None:
    """Each is answered, with what it has found or with 503; what was wrong with some has not harmed the others."""
    app = CREATE(weights, most_waiting=6)
    alone = [asyncio.run(ask(app, photo(seed), "score=0.3"))[1] for seed in range(3)]

    async def all_of_them() -> list[tuple[int, Any]]:
        bodies = [b"broken" if number % 7 == 3 else photo(number % 3) for number in range(40)]
        return await asyncio.gather(*(ask(app, body, "score=0.3") for body in bodies))

    answers = asyncio.run(all_of_them())
    assert {status for status, _ in answers} <= {200, 400, 503}
    good = [(number, answer) for number, (status, answer) in enumerate(answers) if status == 200]
    assert len(good) >= 3
    assert all(answer == alone[number % 3] for number, answer in good)
    assert asyncio.run(ask(app, photo(), "score=0.3")) == (200, alone[0])
