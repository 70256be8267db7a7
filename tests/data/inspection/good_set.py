"""A sound data set of two parts in any of three formats, for tests that plant one mistake in it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from resdet.cli import main

NAMES = ["apple", "pear", "quince"]
IMAGES = {"train": 30, "val": 12}


@dataclass
class Thing:
    """An object: its label, its box ``x, y, width, height`` in pixels, and numbers to write in place of the format's own."""

    label: int
    box: list[float]
    raw: tuple[float, ...] | None = None


@dataclass
class Photo:
    """An image: the name of its file, the file's content, the size that its annotation says, and its objects."""

    name: str
    content: bytes
    width: int
    height: int
    things: list[Thing] = field(default_factory=list)


def scene(seed: int, size: tuple[int, int]) -> Image.Image:
    """A smooth random picture of (width, height), like no other."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, form: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@cache
def _content(seed: int, width: int, height: int) -> bytes:
    return encoded(scene(seed, (width, height)), quality=90)


def _things(rng: np.random.Generator, width: int, height: int) -> Iterator[Thing]:
    """Three objects, one of each class, in a third of the image's longer side each; the first one touches an edge."""
    for label in range(3):
        w, h = (int(value) for value in rng.integers(24, 34, 2))
        place = 40 * label + int(rng.integers(1, 6)) * (label > 0)
        x, y = (place, int(rng.integers(2, height - h))) if width > height else (int(rng.integers(2, width - w)), place)
        yield Thing(label, [x, y, w, h])


class GoodSet:
    """The set in memory; change it, ``write`` it, change the files, ``check`` it.

    Attributes:
        parts: the photos of train and val.
        names: the class names.
    """

    def __init__(self, folder: Path, form: str) -> None:
        self.folder, self.form, self.names = folder, form, list(NAMES)
        self.parts: dict[str, list[Photo]] = {}
        for seed, part in enumerate(IMAGES):
            rng = np.random.default_rng(seed)
            sizes = [((124, 96), (96, 124))[index % 2] for index in range(IMAGES[part])]
            self.parts[part] = [
                Photo(f"{part}{index:02}.jpg", _content(100 * seed + index, *size), *size, list(_things(rng, *size)))
                for index, size in enumerate(sizes)
            ]

    @property
    def train(self) -> list[Photo]:
        return self.parts["train"]

    @property
    def things(self) -> list[tuple[Photo, Thing]]:
        """All objects of training with their photos."""
        return [(photo, thing) for photo in self.train for thing in photo.things]

    def image_path(self, part: str, photo: Photo) -> Path:
        return self.folder / {"voc": "JPEGImages"}.get(self.form, f"images/{part}") / photo.name

    def text(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def write(self) -> None:
        for part, photos in self.parts.items():
            for photo in photos:
                path = self.image_path(part, photo)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(photo.content)
            {"coco": self._coco, "voc": self._voc, "yolo": self._yolo}[self.form](part, photos)
        sources = {
            part: {"format": self.form, "root": str(self.folder), "split": part}
            if self.form != "coco"
            else {
                "format": "coco",
                "root": str(self.folder / "images" / part),
                "annotations": str(self.folder / f"{part}.json"),
            }
            for part in self.parts
        }
        run = {"task": "detection", "data": {"train": [sources["train"]], "val": sources["val"]}}
        self.text("run.yaml", json.dumps(run))

    def _coco(self, part: str, photos: list[Photo]) -> None:
        images = [
            {"id": number, "file_name": photo.name, "width": photo.width, "height": photo.height}
            for number, photo in enumerate(photos, 1)
        ]
        things = [(number, thing) for number, photo in enumerate(photos, 1) for thing in photo.things]
        annotations = [
            {"id": key, "image_id": number, "category_id": thing.label + 1, "bbox": list(thing.raw or thing.box)}
            for key, (number, thing) in enumerate(things, 1)
        ]
        categories = [{"id": number, "name": name} for number, name in enumerate(self.names, 1)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        self.text(f"{part}.json", json.dumps(content))

    def _voc(self, part: str, photos: list[Photo]) -> None:
        self.text(f"ImageSets/Main/{part}.txt", "".join(f"{Path(photo.name).stem}\n" for photo in photos))
        for photo in photos:
            root = ET.Element("annotation")
            ET.SubElement(root, "filename").text = photo.name
            size = ET.SubElement(root, "size")
            ET.SubElement(size, "width").text, ET.SubElement(size, "height").text = str(photo.width), str(photo.height)
            for thing in photo.things:
                item = ET.SubElement(root, "object")
                ET.SubElement(item, "name").text = self.names[thing.label]
                box = ET.SubElement(item, "bndbox")
                x, y, w, h = thing.box
                for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), thing.raw or (x + 1, y + 1, x + w, y + h), strict=True):
                    ET.SubElement(box, tag).text = str(value)
            self.text(f"Annotations/{Path(photo.name).stem}.xml", ET.tostring(root, "unicode"))

    def _yolo(self, part: str, photos: list[Photo]) -> None:
        self.text("data.yaml", f"nc: {len(self.names)}\nnames: {json.dumps(self.names)}\n")
        for photo in photos:
            lines = []
            for thing in photo.things:
                x, y, w, h = thing.box
                centred = ((x + w / 2) / photo.width, (y + h / 2) / photo.height, w / photo.width, h / photo.height)
                lines.append(" ".join(map(str, (thing.label, *(thing.raw or centred)))))
            self.text(f"labels/{part}/{Path(photo.name).stem}.txt", "\n".join(lines))

    def check(self, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str, list[str]]:
        """Exit status of ``data check``, what it printed, and its lines of warnings and errors."""
        status = main(["data", "check", "--config", str(self.folder / "run.yaml"), *options])
        captured = capsys.readouterr()
        return status, captured.out, captured.err.splitlines()


Change = Callable[[GoodSet], object]
