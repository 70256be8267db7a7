"""What ``import resdet`` offers, and its types."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from documents import mypy

import resdet

TYPES = """
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from typing_extensions import assert_type

import resdet
from resdet.structures import ClassScore, Detection

detector = resdet.load_detector("m")
assert_type(detector, resdet.Detector)
assert_type(detector.predict("a.jpg"), resdet.Detections)
assert_type(detector.predict(Path("a.jpg"), score_thresh=0.5), resdet.Detections)
assert_type(detector.predict(Image.new("L", (2, 2))), resdet.Detections)
assert_type(detector.predict(np.zeros((2, 2, 3), np.uint8), color="bgr"), resdet.Detections)
assert_type(detector.predict(torch.zeros(3, 2, 2)), resdet.Detections)
assert_type(detector.predict(["a.jpg", Path("b.jpg")]), list[resdet.Detections])
assert_type(detector.predict((Path("b.jpg"),)), list[resdet.Detections])
assert_type(detector.predict(Path("photos").glob("*.jpg")), Iterator[resdet.Detections])
assert_type(detector.stream("photos"), Iterator[resdet.Detections])
assert_type(detector.predict("a.jpg")[0], Detection)
assert_type(detector.predict("a.jpg")[:2], resdet.Detections)
assert_type(detector.predict("a.jpg").above(0.5).draw(), Image.Image)

classifier = resdet.load_classifier("m")
assert_type(classifier, resdet.ImageClassifier)
assert_type(classifier.predict("a.jpg", top=2), resdet.Classification)
assert_type(classifier.predict("a.jpg")[0], ClassScore)
assert_type(classifier.predict(["a.jpg"]), list[resdet.Classification])
assert_type(classifier.stream("clip.mp4"), Iterator[resdet.Classification])

localizer = resdet.load_localizer("m")
assert_type(localizer, resdet.Localizer)
assert_type(localizer.predict("a.jpg", ["cat"]), resdet.Detections)
assert_type(localizer.predict(["a.jpg"], ["cat"]), list[resdet.Detections])
assert_type(localizer.predict(iter(["a.jpg"]), classes=["cat"]), Iterator[resdet.Detections])

assert_type(resdet.load("m"), resdet.Detector | resdet.ImageClassifier | resdet.Localizer)
resdet.save(resdet.create_model("resnet18", names=["cat"]), "m")
resdet.save(resdet.load("m"), Path("m"))
"""


@pytest.mark.parametrize("name", resdet.__all__)
def test_every_name_is_what_its_home_holds(name: str) -> None:
    value = getattr(resdet, name)
    if name == "__version__":
        return
    home, attribute = resdet._HOMES[name]
    assert value is getattr(importlib.import_module(home), attribute)
    assert name in dir(resdet)


def test_no_name_is_left_out() -> None:
    assert {*resdet._HOMES, "__version__"} == set(resdet.__all__)
    with pytest.raises(AttributeError, match="module 'resdet' has no attribute 'load_detectors'"):
        _ = resdet.load_detectors


@pytest.mark.slow
def test_types(tmp_path: Path) -> None:
    right, wrong = tmp_path / "right.py", tmp_path / "wrong.py"
    right.write_text(TYPES + "".join(f"resdet.{name}\n" for name in resdet.__all__), encoding="utf-8")
    checked = mypy(right)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    wrong.write_text("import resdet\nresdet.load_detector('m').predict('a.jpg').label\n", encoding="utf-8")
    assert '"Detections" has no attribute "label"' in mypy(wrong).stdout
