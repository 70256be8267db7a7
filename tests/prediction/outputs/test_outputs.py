"""What ``predict --format`` writes, read back: by COCO's tools, by our readers, by hand."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import defusedxml.ElementTree
import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO

from resdet.config.schema import DetectionSourceConfig
from resdet.data.sources.detection import build_dataset
from resdet.prediction.outputs import OUTPUTS, Output
from resdet.structures import Detections

NAMES = ("cat", "=dog")
BOXES = [[1.5, 2.25, 11.0, 20.75], [30.0, 10.0, 60.0, 47.5]]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.fixture
def found(picture: Path) -> Detections:
    return Detections(
        torch.tensor(BOXES), torch.tensor([0.875, 0.5]), torch.tensor([1, 0]), (48, 64), NAMES, str(picture), str(picture)
    )


def written(name: str, folder: Path, *given: tuple[Detections, str]) -> Path:
    output: Output = OUTPUTS[name](folder, NAMES)
    for found, place in given:
        output.add(found, place)
    output.close()
    return folder


def frame(found: Detections) -> Detections:
    return Detections(found.boxes[:0], found.scores[:0], found.labels[:0], found.size, NAMES, 12, "clip.mp4")


def test_coco_results_are_loaded_by_cocos_tools(found: Detections, picture: Path, tmp_path: Path) -> None:
    folder = written("coco", tmp_path / "out", (found, "a"), (frame(found), "clip_000012"), (found, "b"))
    coco = COCO(str(folder / "coco" / "images.json"))
    results = coco.loadRes(str(folder / "coco" / "results.json"))
    assert [(image["id"], image["file_name"], image.get("frame")) for image in coco.loadImgs([1, 2, 3])] == [
        (1, str(picture), None),
        (2, "clip.mp4", 12),
        (3, str(picture), None),
    ]
    rows = results.loadAnns(results.getAnnIds(imgIds=[3]))
    assert [(coco.cats[row["category_id"]]["name"], row["bbox"], row["score"]) for row in rows] == [
        ("=dog", [1.5, 2.25, 9.5, 18.5], 0.875),
        ("cat", [30.0, 10.0, 30.0, 37.5], 0.5),
    ]


def test_yolo_labels_are_read_back(found: Detections, tmp_path: Path) -> None:
    folder = written("yolo", tmp_path / "out", (found, "sub/a"), (frame(found), "empty")) / "yolo"
    assert (folder / "classes.txt").read_text() == "cat\n=dog\n"
    assert (folder / "labels" / "empty.txt").read_text() == ""
    for line, box, label, score in zip(
        (folder / "labels" / "sub" / "a.txt").read_text().splitlines(), BOXES, (1, 0), (0.875, 0.5), strict=True
    ):
        number, x, y, width, height, confidence = map(float, line.split())
        assert (number, confidence) == (label, score)
        corners = [64 * (x - width / 2), 48 * (y - height / 2), 64 * (x + width / 2), 48 * (y + height / 2)]
        assert corners == pytest.approx(box, abs=1e-9)


def test_voc_files_are_read_back(found: Detections, picture: Path, tmp_path: Path) -> None:
    folder = written("voc", tmp_path / "out", (found, "a")) / "voc"
    root = defusedxml.ElementTree.parse(folder / "Annotations" / "a.xml").getroot()
    assert [float(item.findtext("confidence")) for item in root.iter("object")] == [0.875, 0.5]
    (folder / "JPEGImages").mkdir()
    (folder / "JPEGImages" / "a.png").write_bytes(picture.read_bytes())
    dataset = build_dataset([DetectionSourceConfig("voc", str(folder))], None)
    assert [dataset.names[label] for label in dataset.labels] == ["=dog", "cat"]
    # to the nearest edge of a pixel
    assert dataset.boxes.tolist() == [[2, 2, 9, 19], [30, 10, 30, 38]]


def test_a_table_for_people(found: Detections, picture: Path, tmp_path: Path) -> None:
    folder = written("csv", tmp_path / "out", (found, "a"), (frame(found), "b"))
    with (folder / "detections.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["'=dog", "cat"]  # a spreadsheet must not compute a name
    assert [[float(row[side]) for side in ("x1", "y1", "x2", "y2")] for row in rows] == BOXES
    assert {(row["file"], row["frame"]) for row in rows} == {(str(picture), "")}


def test_label_studio_tasks(found: Detections, picture: Path, tmp_path: Path) -> None:
    folder = written("labelstudio", tmp_path / "out", (found, "a"), (replace(frame(found), path="a #1+é.mp4"), "b"))
    tasks = json.loads((folder / "labelstudio.json").read_text())
    addresses = [parse_qs(urlsplit(task["data"]["image"]).query)["d"] for task in tasks]
    assert addresses == [[str(picture)], ["a #1+é.mp4"]]
    prediction = tasks[0]["predictions"][0]
    assert prediction["score"] == 0.875
    assert tasks[1]["predictions"][0]["result"] == []
    for region, (x1, y1, x2, y2), name in zip(prediction["result"], BOXES, ("=dog", "cat"), strict=True):
        value = region["value"]
        assert (region["type"], value["rectanglelabels"]) == ("rectanglelabels", [name])
        assert [value["x"] * 0.64, value["y"] * 0.48] == pytest.approx([x1, y1])
        assert [value["width"] * 0.64, value["height"] * 0.48] == pytest.approx([x2 - x1, y2 - y1])


def test_label_studios_export_of_it_is_a_data_set(found: Detections, picture: Path, tmp_path: Path) -> None:
    """Accepted as they are, the predictions become annotations, which our reader takes."""
    folder = written("labelstudio", tmp_path / "out", (found, "a"))
    tasks = json.loads((folder / "labelstudio.json").read_text())
    for task in tasks:
        task["annotations"] = [{"result": task.pop("predictions")[0]["result"]}]
        task["data"]["image"] = f"/data/local-files/?d={picture.name}"
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    dataset = build_dataset([DetectionSourceConfig("label_studio", str(tmp_path), str(tmp_path / "export.json"))], None)
    expected = [[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in BOXES]
    assert dataset.boxes.tolist() == [pytest.approx(box) for box in expected]


def test_crops_are_the_pixels_of_the_boxes(found: Detections, picture: Path, tmp_path: Path) -> None:
    folder = written("crops", tmp_path / "out", (found, "sub/a"), (frame(found), "b"))
    crops = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    assert crops == ["crops/_dog/sub/a_1.png", "crops/cat/sub/a_2.png"]
    pixels = np.asarray(Image.open(picture))
    assert np.array_equal(np.asarray(Image.open(folder / crops[0])), pixels[2:21, 1:11])
    assert np.array_equal(np.asarray(Image.open(folder / crops[1])), pixels[10:48, 30:60])


def test_rows(found: Detections, picture: Path, tmp_path: Path) -> None:
    rows = json.loads((written("json", tmp_path / "out", (found, "a")) / "predictions.json").read_text())
    assert [each["box"] for each in rows[0]["detections"]] == BOXES
    assert (rows[0]["file"], rows[0]["width"], rows[0]["height"]) == (str(picture), 64, 48)


@pytest.mark.parametrize("name", ["yolo", "voc", "crops"])
def test_names_that_leave_no_room_for_their_endings(name: str, found: Detections, picture: Path, tmp_path: Path) -> None:
    """As long as file systems allow, of a picture and of frames; classes of any length, and alike but for their signs."""
    names = ("é" * 5000, f"{'é' * 5000}!")
    long = replace(found, names=names)
    output = OUTPUTS[name](tmp_path / "out", names)
    places = ["sub/" + "é" * 125, *(f"{'v' * 251}_{number:06}" for number in range(2))]
    for place in places:
        output.add(long, place)
    output.close()
    files = [path for path in (tmp_path / "out" / name).rglob("*.*") if path.is_file() and path.name != "classes.txt"]
    assert len(files) == len(places) * (len(found) if name == "crops" else 1)
    if name == "crops":
        assert len(list((tmp_path / "out" / "crops").iterdir())) == len(names)


def test_each_class_has_a_folder_of_its_own(found: Detections, tmp_path: Path) -> None:
    names = ("a b", "A_b")
    output = OUTPUTS["crops"](tmp_path, names)
    output.add(replace(found, names=names), "x")
    output.close()
    crops = {path.relative_to(tmp_path / "crops").as_posix() for path in (tmp_path / "crops").rglob("*.png")}
    assert crops == {"A_b_2/x_1.png", "a_b/x_2.png"}


def test_names_that_are_no_text(found: Detections, picture: Path, tmp_path: Path) -> None:
    """A file whose name has bytes of another encoding and control characters, and a class whose name has a lone surrogate."""
    names = ("\x01cat\udc80", "dog")
    odd = replace(found, names=names, path=f"{tmp_path}/caf\udce9\x02\n.png", image=Image.open(picture))
    for name, kind in OUTPUTS.items():
        output = kind(tmp_path / name, names)
        output.add(odd, "a")
        output.close()
    root = defusedxml.ElementTree.parse(tmp_path / "voc/voc/Annotations/a.xml").getroot()
    assert root.findtext("filename") == "caf\\udce9\\x02\\n.png"
    assert root.findtext("object[2]/name") == "\\x01cat\\udc80"
    with (tmp_path / "csv/detections.csv").open(newline="", encoding="utf-8") as file:
        assert [row["file"] for row in csv.DictReader(file)] == [f"{tmp_path}/caf\\udce9\x02\n.png"] * 2
    assert json.loads((tmp_path / "json/predictions.json").read_text())[0]["file"] == odd.path
    assert (tmp_path / "yolo/yolo/classes.txt").read_text(encoding="utf-8") == "\x01cat\\udc80\ndog\n"
