"""What somebody does who has photos, and nothing else: one command, in each of the layouts that tools write."""

from __future__ import annotations

import json
import os
import re
import shutil
import urllib.parse
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import resdet
from resdet.cli import main

ROOT = Path(__file__).parents[2]
# what the documents show stands as it is, but for the names of folders and the time there is
SHORT = ["--budget", "25s"]
SMALL = ["data.short_side=[96]", "data.test_short_side=96", "data.max_side=160", "schedule.iterations=8"]


@pytest.fixture(scope="module")
def kangaroo(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quarter of the photos with their xml files, in VOC's folders."""
    source, folder = shared_data / "kangaroo_voc", tmp_path_factory.mktemp("newcomer") / "kangaroo_voc"
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    for part in ("train", "val"):
        names = (source / "ImageSets/Main" / f"{part}.txt").read_text().split()[::4]
        (folder / "ImageSets/Main" / f"{part}.txt").write_text("\n".join(names) + "\n")
        for name in names:
            for file in (*source.glob(f"JPEGImages/{name}.*"), *source.glob(f"Annotations/{name}.xml")):
                (folder / file.parent.name).mkdir(exist_ok=True)
                shutil.copy(file, folder / file.parent.name)
    return folder


@pytest.fixture
def here(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, where the weights are at the place that documents name."""
    weights = tmp_path / "datasets" / "weights" / "resnet18.pth"
    weights.parent.mkdir(parents=True)
    weights.symlink_to(shared_data / "weights" / "resnet18_imagenet_pq.fp16.pth")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def boxes_of(folder: Path) -> Iterator[tuple[Path, tuple[int, int], list[tuple[float, float, float, float]]]]:
    """Of each listed photo: its file, its (width, height), and its boxes ``x, y, width, height``, read without the package."""
    names = [name for part in ("train", "val") for name in (folder / "ImageSets/Main" / f"{part}.txt").read_text().split()]
    for name in names:
        tree = ET.parse(folder / "Annotations" / f"{name}.xml").getroot()

        def number(parent: ET.Element, path: str) -> float:
            return float(parent.findtext(path, ""))

        size = int(number(tree, "size/width")), int(number(tree, "size/height"))
        boxes = [
            (
                number(box, "xmin") - 1,
                number(box, "ymin") - 1,
                number(box, "xmax") - number(box, "xmin") + 1,
                number(box, "ymax") - number(box, "ymin") + 1,
            )
            for box in tree.iter("bndbox")
        ]
        yield next((folder / "JPEGImages").glob(f"{name}.*")), size, boxes


def voc(folder: Path, dest: Path) -> None:
    """The folder as it is."""
    shutil.copytree(folder, dest)


def yolo(folder: Path, dest: Path) -> None:
    """Images, labels and classes.txt, as labelling tools export them: no yaml, no parts."""
    for part in ("images", "labels"):
        (dest / part).mkdir(parents=True)
    (dest / "classes.txt").write_text("kangaroo\n")
    for file, (width, height), boxes in boxes_of(folder):
        shutil.copy(file, dest / "images")
        lines = [
            f"0 {(x + w / 2) / width:.6f} {(y + h / 2) / height:.6f} {w / width:.6f} {h / height:.6f}" for x, y, w, h in boxes
        ]
        (dest / "labels" / f"{file.stem}.txt").write_text("\n".join(lines) + "\n")


def coco(folder: Path, dest: Path) -> None:
    """One json and a folder of images."""
    (dest / "images").mkdir(parents=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for file, (width, height), boxes in boxes_of(folder):
        shutil.copy(file, dest / "images")
        images.append({"id": len(images), "file_name": file.name, "width": width, "height": height})
        annotations += [
            {"id": len(annotations) + place, "image_id": len(images) - 1, "category_id": 3, "bbox": box}
            for place, box in enumerate(boxes)
        ]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 3, "name": "kangaroo"}]}
    (dest / "annotations.json").write_text(json.dumps(content))


def label_studio(folder: Path, dest: Path) -> None:
    """A Label Studio export: percent of the sides, images by the url of its upload."""
    (dest / "images").mkdir(parents=True)
    tasks = []
    for number, (file, (width, height), boxes) in enumerate(boxes_of(folder)):
        shutil.copy(file, dest / "images" / f"0a1b2c3d-{file.name}")
        results = [
            {
                "id": f"{number}-{place}",
                "type": "rectanglelabels",
                "from_name": "label",
                "to_name": "image",
                "original_width": width,
                "original_height": height,
                "image_rotation": 0,
                "value": {
                    "rotation": 0,
                    "x": 100 * x / width,
                    "y": 100 * y / height,
                    "width": 100 * w / width,
                    "height": 100 * h / height,
                    "rectanglelabels": ["kangaroo"],
                },
            }
            for place, (x, y, w, h) in enumerate(boxes)
        ]
        url = f"/data/upload/1/{urllib.parse.quote(f'0a1b2c3d-{file.name}')}"
        tasks.append({"id": number + 1, "data": {"image": url}, "annotations": [{"id": number, "result": results}]})
    (dest / "project-1-at-2026-01-01.json").write_text(json.dumps(tasks))


LAYOUTS: dict[str, Callable[[Path, Path], None]] = {"voc": voc, "yolo": yolo, "coco": coco, "label_studio": label_studio}


def shown_commands() -> list[list[str]]:
    """The commands of README and docs/own_data.md that train on a folder alone."""
    text = (ROOT / "README.md").read_text() + (ROOT / "docs/own_data.md").read_text()
    lines = re.findall(r"^resdet (train-det --data .*?)(?:\s+#.*)?$", text, re.MULTILINE)
    return [line.split() for line in lines]


def test_the_documents_show_the_one_command() -> None:
    commands = shown_commands()
    assert len(commands) >= 2
    assert all(command[:2] == ["train-det", "--data"] for command in commands)
    assert any(len(command) == 3 for command in commands)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_command_from_a_folder_to_a_detector(
    layout: str, kangaroo: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    LAYOUTS[layout](kangaroo, here / "photos")
    command = next(command for command in shown_commands() if len(command) == 3)
    assert main([*command[:2], "photos", *SHORT, *SMALL]) == 0
    err = capsys.readouterr().err
    assert re.search(r"plan: +resnet18, shorter side 96, 8 steps of 2 images, about .* on \d+ threads", err), err
    assert "1 class: kangaroo" in err
    run = here / "runs" / "photos"
    for name in ("config.yaml", "model.safetensors", "metrics.json", "report/detections.png"):
        assert (run / name).is_file(), name
    assert ("split:" in err) == (layout != "voc")
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["bbox"]["AP"] is not None
    # the run file that was written is one for the next time, and prediction needs nothing but the model
    assert main(["eval", "--config", str(run / "config.yaml"), "--output", str(here / "again")]) == 0
    assert json.loads((here / "again" / "metrics.json").read_text())["bbox"] == metrics["bbox"]


def test_a_second_time_offers_another_folder_and_resume_goes_on(
    kangaroo: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coco(kangaroo, here / "photos")
    command = ["train-det", "--data", "photos", *SHORT, *SMALL]
    assert main(command) == 0
    assert main(command) == 2
    assert os.path.join("runs", "photos_2") in capsys.readouterr().err  # noqa: PTH118
    assert main([*command, "--resume"]) == 0


def test_python_makes_the_same_call(kangaroo: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coco(kangaroo, here / "photos")
    small = {name: json.loads(value) for name, value in (text.split("=") for text in SMALL)}
    run = resdet.train(data="photos", budget="25s", output="mine", **small)
    assert run.iteration == 8
    assert run.folder == Path("mine")
    assert run.metrics["bbox"]["AP"] is not None
    assert run.model.names == ("kangaroo",)


def test_split_lists_are_those_of_data_split(kangaroo: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yolo(kangaroo, here / "photos")
    assert main(["data", "split", "photos", "lists", "--share", "0.25"]) == 0
    train, val = ((here / "lists" / f"{part}.txt").read_text().split() for part in ("train", "val"))
    assert not set(train) & set(val)
    assert len(train) + len(val) == len(list((here / "photos" / "images").iterdir()))
    assert abs(len(val) - 0.25 * (len(train) + len(val))) <= 2
    assert main(["data", "split", "photos", "lists"]) == 2
    assert "there already" in capsys.readouterr().err
