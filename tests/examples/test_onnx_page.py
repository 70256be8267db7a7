"""The page finds in a browser what resdet finds."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from browsers import chromium
from close_detections import assert_close_detections, edges_of
from PIL import Image
from tiny_detectors import picture, tiny_detector, written

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from serving import serving

import resdet
from resdet.export.export import export_file

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = ROOT / "build" / "onnxruntime-web" / "package" / "dist"  # .ci/run puts it there


class Quiet(SimpleHTTPRequestHandler):
    extensions_map: ClassVar = {
        **SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The page, served with a detector and a photo."""
    if not (RUNTIME / "ort.wasm.min.js").is_file():
        pytest.skip("no onnxruntime-web in build/")
    weights = written(tmp_path / "model.safetensors", tiny_detector())
    export_file(weights, tmp_path / "detector.onnx", resize=True)
    pixels = picture(1, 97, 131).permute(1, 2, 0).numpy()
    Image.fromarray(np.ascontiguousarray(pixels)).save(tmp_path / "photo.png")
    shutil.copy(ROOT / "examples" / "onnx_detect.html", tmp_path)
    (tmp_path / "ort").symlink_to(RUNTIME)
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path)))
    with serving(server):
        yield f"http://127.0.0.1:{server.server_port}/onnx_detect.html"


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    yield from chromium()


def test_the_same_boxes_in_a_browser(driver: Any, address: str, tmp_path: Path) -> None:
    driver.set_script_timeout(100)
    driver.get(address)
    found = driver.execute_async_script(
        "const done = arguments[0];"
        "fetch('photo.png').then((answer) => answer.blob()).then(createImageBitmap)"
        ".then((picture) => detect(picture, picture.width, picture.height))"
        ".then(done, (error) => done(String(error)));"
    )
    assert isinstance(found, list), found
    boxes = torch.tensor([each["box"] for each in found])
    scores = torch.tensor([each["score"] for each in found])
    labels = torch.tensor([each["label"] for each in found])
    detector = resdet.load_detector(tmp_path / "detector.onnx")
    expected = detector.models[0].detect([picture(1, 97, 131)])[0]
    assert len(expected) > 3
    assert_close_detections((boxes, scores, labels), expected, edges=edges_of(tiny_detector().roi_heads.postprocess))
    driver.find_element("css selector", "input").send_keys(str(tmp_path / "photo.png"))
    wanted = f"{expected.labels[0]} {expected.scores[0]:.3f}"
    driver.execute_async_script(
        "const done = arguments[0]; const wait = () =>"
        " document.querySelector('output').textContent ? done() : setTimeout(wait, 50); wait();"
    )
    assert driver.find_element("css selector", "output").text.startswith(wanted[:-1])
