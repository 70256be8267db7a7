"""The program in C++ finds what resdet finds; it is built with the headers of the Python package openvino."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_detectors import picture, tiny_detector, written

pytest.importorskip("onnx")
pytest.importorskip("openvino")

import resdet
from resdet.export.export import export_file

SOURCE = Path(__file__).resolve().parents[2] / "examples" / "detect.cpp"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    folder = Path(pytest.importorskip("openvino").__file__).parent
    libraries = [str(path) for path in (folder / "libs").glob("libopenvino.so.*")]
    if not shutil.which("g++") or not (folder / "include").is_dir() or not libraries:
        pytest.skip("no g++, or no headers in the package openvino")
    target = tmp_path / "detect"
    options = ["-std=c++17", "-Wall", "-I", str(folder / "include"), str(SOURCE), "-o", str(target)]
    subprocess.run(["g++", *options, *libraries, f"-Wl,-rpath,{folder / 'libs'}"], check=True, timeout=300)
    return target


def test_it_prints_what_resdet_finds(program: Path, tmp_path: Path) -> None:
    weights = written(tmp_path / "model.safetensors", tiny_detector())
    model = export_file(weights, tmp_path / "detector.onnx", resize=True).path
    photo = tmp_path / "photo.ppm"
    Image.fromarray(np.ascontiguousarray(picture(1, 97, 131).permute(1, 2, 0).numpy())).save(photo)
    done = subprocess.run([str(program), str(model), str(photo)], capture_output=True, text=True, check=True, timeout=100)
    expected = resdet.load_detector(model).models[0].detect([picture(1, 97, 131)])[0].above(0.5)
    lines = done.stdout.splitlines()
    assert len(lines) == len(expected) > 3
    for line, each in zip(lines, expected, strict=True):
        (label, score), sides = (part.split() for part in line.split(" at "))
        assert int(label) == each.label
        assert float(score) == pytest.approx(each.score, abs=1.5e-4)
        assert [float(side.strip(",")) for side in sides] == pytest.approx(list(each.box), abs=0.015)
    photo.write_bytes(photo.read_bytes()[:-10])
    failed = subprocess.run([str(program), str(model), str(photo)], capture_output=True, text=True, check=False, timeout=100)
    assert (failed.returncode, failed.stderr) == (1, f"{photo}: ends too early\n")
