"""The Python that documents show, and the files that it reads."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import tiny_classifiers
import tiny_detectors
import tiny_localizers
from PIL import Image
from videos import written_video

import resdet

# of a detector that is trained for moments
RUN_FILE = """
task: detection
from_scratch: true
model:
  backbone: {name: resnet18, width: 4}
  anchors: {sizes: [16, 32]}
data:
  train: [{format: coco, root: ., annotations: instances_val.json}]
  val: {format: coco, root: ., annotations: instances_val.json}
  short_side: [64]
  max_side: 96
  test_short_side: 64
  workers: 0
schedule: {iterations: 3}
run: {batch: 1, kernels: torch}
output: runs/mine_trained
"""


def python_blocks(markdown: str) -> list[tuple[int, str]]:
    """The blocks marked as Python: of each the line before its first, counted from 1, and its text."""
    return [
        (markdown[: found.start(1)].count("\n"), found[1])
        for found in re.finditer(r"^```python\n(.*?)^```$", markdown, re.MULTILINE | re.DOTALL)
    ]


def as_module(markdown: str) -> str:
    """The blocks one after the other, each at the lines that it has in the document, so that an error names them."""
    lines: list[str] = []
    for start, code in python_blocks(markdown):
        lines += [""] * (start - len(lines)) + code.splitlines()
    return "\n".join(lines) + "\n"


def mypy(*files: Path) -> subprocess.CompletedProcess[str]:
    """What mypy says of files outside of the package, as strict as it is with that."""
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", *map(str, files)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=900,
        check=False,
    )


def make_files(folder: Path) -> None:
    """What the documents take for granted: pictures, a video, model files of every task, results to score."""
    pixels = tiny_detectors.picture(1).permute(1, 2, 0).numpy()
    (folder / "photos").mkdir()
    for name in ("photo.jpg", "photos/a.jpg", "photos/b.png"):
        Image.fromarray(pixels).save(folder / name)
    written_video(folder / "clip.avi", [pixels, np.flip(pixels, 1)])
    (folder / "clip.avi").replace(folder / "clip.mp4")  # OpenCV looks at what a file holds, not at its name
    for run, seed in (("mine", 1), ("other", 2)):
        (folder / "runs" / run).mkdir(parents=True)
        detector = tiny_detectors.tiny_detector(seed)
        tiny_detectors.written(folder / "runs" / run / "model.safetensors", detector)
    tiny_classifiers.written(folder / "classifier.safetensors")
    tiny_localizers.written(folder / "localizer.safetensors", tiny_localizers.tiny_rpn())
    resdet.save(resdet.create_model("resnet18", num_classes=2), folder / "resnet18.safetensors")
    resdet.save(resdet.create_model("resnet50", num_classes=2), folder / "resnet50.safetensors")
    truth = {
        "images": [{"id": 1, "file_name": "photo.jpg", "width": 96, "height": 64}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 5, 20, 20], "area": 400, "iscrowd": 0}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (folder / "instances_val.json").write_text(json.dumps(truth))
    (folder / "mine.yaml").write_text(RUN_FILE)
    found = [{"image_id": 1, "category_id": 1, "bbox": [5, 5, 20, 20], "score": 0.5}]
    (folder / "detections.json").write_text(json.dumps(found))
