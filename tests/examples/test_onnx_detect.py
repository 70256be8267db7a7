"""The example finds what resdet finds, without it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_detectors import picture, tiny_detector, written

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import resdet
from resdet.export.export import export_file

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "onnx_detect.py"
# neither package can be imported, wherever it is installed
WITHOUT = "import runpy, sys; sys.modules['torch'] = sys.modules['resdet'] = None; del sys.argv[0]; runpy.run_path(sys.argv[0])"


def test_it_prints_what_resdet_finds(tmp_path: Path) -> None:
    weights = written(tmp_path / "model.safetensors", tiny_detector())
    model = export_file(weights, tmp_path / "detector.onnx", resize=True).path
    photos = [tmp_path / f"{seed}.png" for seed in range(2)]
    for seed, photo in enumerate(photos):
        Image.fromarray(np.ascontiguousarray(picture(seed, 97, 131).permute(1, 2, 0).numpy())).save(photo)
    command = [sys.executable, "-c", WITHOUT, str(SCRIPT), str(model), *map(str, photos)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = [
        f"{found.path}: {each.name} {each.score:.3f} at " + ", ".join(f"{side:.1f}" for side in each.box)
        for found in resdet.load_detector(weights, device="cpu").predict(list(photos), score_thresh=0.5)
        for each in found
    ]
    assert len(lines) > 3
    for line, expected in zip(printed.splitlines(), lines, strict=True):
        (text, numbers), (wanted, sides) = (each.split(" at ") for each in (line, expected))
        assert text.rsplit(" ", 1)[0] == wanted.rsplit(" ", 1)[0]
        assert float(text.rsplit(" ", 1)[1]) == pytest.approx(float(wanted.rsplit(" ", 1)[1]), abs=2e-3)
        assert [float(side) for side in numbers.split(", ")] == pytest.approx(
            [float(side) for side in sides.split(", ")], abs=0.11
        )
