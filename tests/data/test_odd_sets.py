"""What other programs write is read with a word of it, and a mistake with one cause is told once."""

import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from odd_sets import MISTAKES, ODD, Mistake, Odd
from pycocotools import mask
from spoiled_sets import BOX, FORMATS, Lab

from resdet.cli import main
from resdet.config.schema import DetectionSourceConfig
from resdet.data.formats.coco_mend import outline_box
from resdet.data.sources.detection import build_dataset


def made(folder: Path, form: str, change: object) -> Lab:
    lab = Lab(folder, form)
    change(lab)
    lab.finish()
    return lab


@pytest.mark.parametrize("odd", ODD, ids=[f"{each.form} {each.written}" for each in ODD])
def test_what_is_odd_is_read_and_counted(odd: Odd, tmp_path: Path) -> None:
    lab = made(tmp_path, odd.form, odd.change)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = build_dataset([DetectionSourceConfig(**lab.source())], ["cat"])
    told = [str(each.message) for each in caught]
    assert all(re.search(odd.note, line) for line in told), told
    assert bool(told) == bool(odd.note)
    assert all(line.startswith(str(tmp_path)) for line in told)
    assert (len(dataset), dataset.labels.tolist(), dataset.difficult.tolist()) == (2, [0, 0], [False, False])
    assert np.allclose(dataset.boxes, BOX, atol=1e-9)
    assert np.allclose(dataset.areas, BOX[2] * BOX[3])
    assert dataset.sizes.tolist() == [[10, 20]] * 2
    for index in range(2):
        dataset.load(index)


@pytest.mark.parametrize("mistake", MISTAKES, ids=[f"{each.form} {each.what}" for each in MISTAKES])
def test_one_cause_is_one_problem(mistake: Mistake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = made(tmp_path, mistake.form, mistake.change)
    if mistake.what == "no list":
        (tmp_path / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
        (tmp_path / "ImageSets" / "Main").rmdir()
    source = lab.source()
    words = [f"--{key}={value}" for key, value in source.items()]
    assert main(["data", "check", *words]) == (2 if mistake.what == "no list" else 3)
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("warning: ")]
    assert len(lines) == 1, lines
    assert re.search(mistake.message, lines[0]), lines
    assert str(tmp_path) in lines[0]


@pytest.mark.parametrize("form", FORMATS)
def test_objects_that_are_given_twice_are_counted(form: str, tmp_path: Path) -> None:
    lab = Lab(tmp_path, form)
    lab.content["annotations"].append({**lab.content["annotations"][0], "id": 3})
    for path in (tmp_path / "Annotations" / "a.xml", tmp_path / "labels" / "train" / "a.txt"):
        one = path.read_text()
        item = one[one.find("<object>") : one.find("</annotation>")] if path.suffix == ".xml" else one
        path.write_text(one.replace(item, item + item))
    lab.finish()
    with pytest.warns(UserWarning, match=r"1 objects are given twice, with the same image, class and box, .*a\.jpg") as caught:
        dataset = build_dataset([DetectionSourceConfig(**lab.source())])
    assert len(caught) == 1
    assert len(dataset.labels) == 3


@pytest.mark.parametrize("form", ["coco", "voc"])
def test_fractions_in_place_of_pixels_are_suspected(form: str, tmp_path: Path) -> None:
    lab = Lab(tmp_path, form)
    for key in "ab":
        lab.annotate(key, (0.1, 0.2, 0.5, 0.3))
    lab.finish()
    with pytest.warns(UserWarning, match="every box lies within the first pixel; .* are these fractions of the image"):
        build_dataset([DetectionSourceConfig(**lab.source())])
    lab.annotate("a", (0.1, 0.2, 5, 3))  # one that cannot be
    (tmp_path / "instances.json").write_text(json.dumps(lab.content))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build_dataset([DetectionSourceConfig(**lab.source())])


def test_boxes_of_outlines_against_pycocotools() -> None:
    random = np.random.default_rng(5)
    for _ in range(200):
        height, width = random.integers(1, 40, 2).tolist()
        pixels = np.zeros((height, width), np.uint8)
        top, left = random.integers(0, height), random.integers(0, width)
        pixels[top : top + random.integers(1, 30), left : left + random.integers(1, 30)] = 1
        pixels &= (random.random((height, width)) < random.choice([0.1, 0.9])).astype(np.uint8)
        packed = mask.encode(np.asfortranarray(pixels))
        runs = np.flatnonzero(np.diff(np.r_[0, pixels.ravel("F"), 1 - pixels.ravel("F")[-1]])).tolist()
        plain = {"size": [height, width], "counts": np.diff([0, *runs]).tolist()}
        text = {"size": [height, width], "counts": packed["counts"].decode()}
        expected = mask.toBbox(packed).tolist() if pixels.any() else None
        assert outline_box(text) == expected
        assert outline_box(plain) == expected
    assert outline_box([1.0, 2.0, 5.0, 2.0, 3.0, 9.5]) == [1, 2, 4, 7.5]
    for broken in (
        [],
        [[]],
        [["a", 1]],
        {},
        {"size": [0, 0], "counts": [1, 2]},
        {"size": [4, 4], "counts": "ü"},
        {"size": [4, 4], "counts": "o" * 99},
        5,
    ):
        assert outline_box(broken) is None
