"""Sound data sets in three formats, and every defect of docs/data.md's table to spoil them with."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

SIZE = (20, 10)
BOX = (2, 1, 6, 4)  # x, y, width, height
FORMATS = ("coco", "voc", "yolo")
Change = Callable[["Lab"], object]


class Lab:
    """A sound data set of two images with an object each, in one of the formats, and the means to spoil it."""

    def __init__(self, folder: Path, form: str) -> None:
        self.folder, self.form, self.split = folder, form, "train"
        self.images = folder / {"coco": "images", "voc": "JPEGImages", "yolo": "images/train"}[form]
        self.images.mkdir(parents=True)
        for name in ("a.jpg", "b.jpg"):
            Image.effect_noise(SIZE, 60).convert("RGB").save(self.images / name)
        self.keys = ["a", "b"]
        self.sizes = {"a": SIZE, "b": SIZE}
        self.content = {
            "images": [{"id": n, "file_name": f"{key}.jpg", "width": 20, "height": 10} for n, key in enumerate(self.keys, 1)],
            "annotations": [{"id": n, "image_id": n, "category_id": 1, "bbox": list(BOX)} for n in (1, 2)],
            "categories": [{"id": 1, "name": "cat"}],
        }
        for key in self.keys:
            self.annotate(key, BOX)
        self.text("data.yaml", "names: [cat]\n")

    def text(self, name: str, text: str | bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)

    def annotate(self, key: str, box: tuple, name: str = "cat", label: str = "0") -> None:
        """Replace the object of an image; the box is in pixels."""
        x, y, w, h = map(float, box)
        self.content["annotations"][key == "b"]["bbox"] = [x, y, w, h]
        corners = zip(("xmin", "ymin", "xmax", "ymax"), (x + 1, y + 1, x + w, y + h), strict=True)
        tags = "".join(f"<{tag}>{value}</{tag}>" for tag, value in corners)
        size = "<size><width>{}</width><height>{}</height></size>".format(*self.sizes[key])
        self.text(
            f"Annotations/{key}.xml",
            f"<annotation>{size}<object><name>{name}</name><bndbox>{tags}</bndbox></object></annotation>",
        )
        self.text(f"labels/train/{key}.txt", f"{label} {(x + w / 2) / 20} {(y + h / 2) / 10} {w / 20} {h / 10}\n")

    def finish(self) -> None:
        """Write the files that tell of all images, where nothing else is in their place."""
        if self.keys:
            self.text("ImageSets/Main/train.txt", "\n".join(self.keys))
        if not (self.folder / "instances.json").exists():
            self.text("instances.json", json.dumps(self.content))

    def source(self) -> dict[str, Any]:
        """What a run file says of it."""
        if self.form == "coco":
            return {"format": "coco", "root": str(self.images), "annotations": str(self.folder / "instances.json")}
        return {"format": self.form, "root": str(self.folder), "split": self.split}

    def check(self) -> list[str]:
        """The command line that checks it as a part of a run, whose classes are known."""
        self.finish()
        self.text("run.yaml", json.dumps({"task": "detection", "data": {"train": [self.source()], "names": ["cat"]}}))
        return ["data", "check", "--config", str(self.folder / "run.yaml")]


def by_format(coco: Change, voc: Change, yolo: Change) -> Change:
    return lambda lab: {"coco": coco, "voc": voc, "yolo": yolo}[lab.form](lab)


def image(**values: object) -> Change:
    return lambda lab: lab.content["images"][0].update(values)


def names_of(coco: str, voc: str, yolo: str) -> Change:
    """A file name in the instances json, in VOC's image set, in a text file that data.yaml names."""

    def yolo_list(lab: Lab) -> None:
        lab.text("data.yaml", "names: [cat]\ntrain: list.txt\n")
        lab.text("list.txt", f"{yolo}\nimages/train/b.jpg\n")

    return by_format(image(file_name=coco), lambda lab: lab.keys.__setitem__(0, voc), yolo_list)


def resized(lab: Lab) -> None:
    lab.content["images"][0].update(width=21)
    lab.sizes["a"] = (21, 10)
    lab.annotate("a", BOX)


def bomb() -> str:
    """10 MB of XML whose entities stand for one another: a reader that believes it needs 10^9 times as much."""
    lines = [f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10)]
    return f'<!DOCTYPE a [<!ENTITY e0 "{"x" * 10_000_000}">{"".join(lines)}]><a>&e9;</a>'


def aliases() -> str:
    lines = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
    return "\n".join(["a0: &a0 [x, x, x]", *lines, "names: *a19"])


def shorten(lab: Lab) -> None:
    path = lab.images / "a.jpg"
    path.write_bytes(path.read_bytes()[:-60])


def boxed(*box: float) -> Change:
    return lambda lab: lab.annotate("a", box)


FINE = (0, r"data\.train\[0\]: 2 images \(0 without objects\), 2 objects")
# defect -> what makes it, and (exit status, what is said) of coco, voc, yolo
DEFECTS: dict[str, tuple[Change, tuple[int, str], tuple[int, str], tuple[int, str]]] = {
    "missing image": (
        lambda lab: (lab.images / "a.jpg").unlink(),
        (3, r"instances\.json: image id 1: no such image file: .*a\.jpg"),
        (3, r"a\.xml: no such image file: .*a\.jpg"),
        (3, r"a\.txt: a label file without an image"),
    ),
    "truncated image": (shorten, *[(3, r"a\.jpg: cannot be read as an image: image file is truncated")] * 3),
    "file that is no image": (
        lambda lab: (lab.images / "a.jpg").write_text("hello"),
        *[(3, r"a\.jpg: cannot be read as an image: cannot identify image file")] * 3,
    ),
    "wrong image size": (resized, *[(3, r"a\.jpg: is 20 x 10 pixels, its annotation says 21 x 10")] * 2, FINE),
    "box partly outside": (
        boxed(15, 5, 9, 9),
        *[(0, r"warning: .* 1 boxes reach out .* clipped, by 4 pixels at most: .*")] * 3,
    ),
    "box wholly outside": (
        boxed(25, 5, 2, 2),
        *[(3, r"box lies wholly outside its image of 20 x 10 pixels, got \[25, 5, 2, 2\]")] * 3,
    ),
    "box of zero size": (
        boxed(4, 5, 0, 2),
        *[(0, "warning: .* 1 boxes without area are left out of training, the first: .*")] * 3,
    ),
    "box of negative size": (boxed(4, 5, -3, 2), *[(3, r"box must have a positive width and height, got \[4, 5, -3, 2\]")] * 3),
    "NaN": (boxed(4, float("nan"), 2, 2), *[(3, r"box must be finite, got \[\d*, nan, ")] * 3),
    "infinity": (boxed(4, 5, float("inf"), 2), *[(3, r"box must be finite, got \[(4|nan|-inf), 5, inf, 2\]")] * 3),
    "unknown class": (
        by_format(
            lambda lab: lab.content["annotations"][0].update(category_id=9),
            lambda lab: lab.annotate("a", BOX, name="cut"),
            lambda lab: lab.annotate("a", BOX, label="1"),
        ),
        (3, r"annotation id 1: category_id 9 is not among the file's categories"),
        (3, r"class 'cut' is not among the classes asked for \(did you mean 'cat'\?\)"),
        (3, r"a\.txt: line 1: must be 'class x y width height', a class from 0 to 0"),
    ),
    "other class names than the run's": (
        by_format(
            lambda lab: lab.content["categories"][0].update(name="cut"),
            lambda lab: lab.annotate("a", BOX, name="cut"),
            lambda lab: lab.text("data.yaml", "names: [cut]"),
        ),
        *[(3, r"only in the file: cut; only asked for: ")] * 3,
    ),
    "image twice": (
        by_format(
            lambda lab: lab.content["images"][1].update(id=1),
            lambda lab: lab.keys.append("a"),
            lambda lab: Image.new("RGB", SIZE).save(lab.images / "a.png"),
        ),
        (3, r"image id 1: id 1 is used twice"),
        (3, r"train\.txt: image 'a' is listed twice"),
        (3, r"a\.png: its label file .*a\.txt is that of images/train/a\.jpg too"),
    ),
    "annotation id twice": (
        lambda lab: lab.content["annotations"][1].update(id=1),
        (3, r"annotation id 1: id 1 is used twice"),
        FINE,
        FINE,
    ),
    "absolute path": (
        names_of("/a.jpg", "/a", "/images/train/a.jpg"),
        *[(3, r"file name must be relative and stay in .*got '/")] * 3,
    ),
    "path with ..": (
        names_of("../a.jpg", "../a", "../a.jpg"),
        *[(3, r"file name must be relative and stay in .*got '\.\./a")] * 3,
    ),
    "huge file name": (
        names_of("x" * 5000, "x" * 5000, "x" * 5000),
        (3, r"no such image file: .*xxx"),
        (3, r"xxx\.xml: cannot be read: File name too long"),
        (3, r"xxx: cannot be read as an image: File name too long"),
    ),
    "broken syntax": (
        by_format(
            lambda lab: lab.text("instances.json", '{"images": ['),
            lambda lab: lab.text("Annotations/a.xml", "<a><size>"),
            lambda lab: lab.text("labels/train/a.txt", "0 .5 .5 1"),
        ),
        (3, r"instances\.json: is not JSON: .*line 1"),
        (3, r"a\.xml: is not XML that can be read: .*line 1"),
        (3, r"a\.txt: line 1: must be 'class x y width height', .* and four numbers, got '0 \.5 \.5 1'"),
    ),
    "nesting that explodes": (
        by_format(
            lambda lab: lab.text("instances.json", "[" * 10_000_000),
            lambda lab: lab.text("Annotations/a.xml", bomb()),
            lambda lab: lab.text("data.yaml", aliases()),
        ),
        (3, r"instances\.json: is not JSON: it is nested too deeply"),
        (3, r"a\.xml: is not XML that can be read: EntitiesForbidden"),
        (3, r"data\.yaml: 'names': class 0 must be text"),
    ),
    "bytes that are no text": (
        by_format(
            lambda lab: lab.text("instances.json", b"\xff\xfe\x00"),
            lambda lab: lab.text("Annotations/a.xml", b"\xff\xfe\x00"),
            lambda lab: lab.text("labels/train/a.txt", b"\xff\xfe\x00"),
        ),
        (3, r"instances\.json: is not JSON"),
        (3, r"a\.xml: is not XML that can be read"),
        (3, r"a\.txt: cannot be read: 'utf-16.*' codec"),
    ),
}

# what the table of the document adds to the exit status; of all formats, or of one
REMARKS = {
    "missing image": {"yolo": "label file without an image"},
    "wrong image size": {"yolo": "sizes are the images' own"},
    "box partly outside": dict.fromkeys(FORMATS, "warning, clipped in training"),
    "box of zero size": dict.fromkeys(FORMATS, "warning, evaluation only"),
    "other class names than the run's": dict.fromkeys(FORMATS, "the difference"),
    "image twice": {"yolo": "two images, one label file"},
    "annotation id twice": dict.fromkeys(("voc", "yolo"), "has no ids"),
    "broken syntax": {"yolo": "file and line"},
    "nesting that explodes": {"voc": "entities are refused"},
}
