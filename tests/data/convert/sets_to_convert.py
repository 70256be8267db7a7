"""Data sets to convert, and what is read of the converted ones."""

import json
from pathlib import Path

from PIL import Image

from resdet.data.dataset import DetectionDataset
from resdet.data.formats.coco import read_coco
from resdet.data.formats.voc import read_voc
from resdet.data.formats.yolo import read_yolo

NAMES = ["zebra crossing", "cat & <dog>", "ünï: #1"]


def read(to: str, folder: Path, names: list[str] | None = None) -> DetectionDataset:
    """The split "val" of a data set converted to "coco", "voc" or "yolo"."""
    if to == "coco":
        return read_coco(folder / "val", folder / "annotations" / "instances_val.json", names)
    return read_voc(folder, "val", names) if to == "voc" else read_yolo(folder, "val", names)


def a_source(folder: Path, images: list[tuple[str, tuple[int, int], list[dict]]], names: list[str] = NAMES) -> DetectionDataset:
    """A COCO data set of (file name, size, annotations), with ids of its own."""
    content = {"images": [], "annotations": [], "categories": [{"id": 5 + 2 * k, "name": n} for k, n in enumerate(names)]}
    for number, (name, (width, height), objects) in enumerate(images):
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (width, height), (number, 0, 0)).save(path)
        content["images"].append({"id": 900 - 7 * number, "file_name": name, "width": width, "height": height})
        for row in objects:
            content["annotations"].append({"id": 3 * len(content["annotations"]), "image_id": 900 - 7 * number, **row})
    (folder / "instances.json").write_text(json.dumps(content))
    return read_coco(folder / "images", folder / "instances.json")


def objects_of(dataset: DetectionDataset) -> dict[str, list[tuple]]:
    """Image file name -> (class name, float32 box corners) of its objects of training, and its size."""
    found = {}
    for index in range(len(dataset)):
        target = dataset.target(index)
        rows = zip(target.labels.tolist(), target.boxes.tolist(), strict=True)
        found[dataset.path(index).name] = [target.size, *((dataset.names[label], box) for label, box in rows)]
    return found
