"""What other programs write in their own way: each makes a sound set odd, and says how it must be read all the same."""

import shutil
from collections.abc import Callable
from typing import Any, NamedTuple

from PIL import Image
from spoiled_sets import BOX, Lab

FRACTIONS = (2 / 20, 1 / 10, 8 / 20, 5 / 10)  # left, top, right and bottom of BOX in a set's images


class Odd(NamedTuple):
    """What is written, what is read of it, how it is made, and what the warning says; "" for none."""

    form: str
    written: str
    read: str
    change: Callable[[Lab], Any]
    note: str = ""


class Mistake(NamedTuple):
    """One cause, and the one problem that tells it."""

    form: str
    what: str
    change: Callable[[Lab], Any]
    message: str


def rows(section: str, **values: Any) -> Callable[[Lab], None]:
    """Set values in every row of a section; a value that is a function is given the old one, None takes a key away."""

    def change(lab: Lab) -> None:
        for row in lab.content[section]:
            for key, value in values.items():
                row[key] = value(row.get(key)) if callable(value) else value

    return change


def without(section: str, *keys: str) -> Callable[[Lab], None]:
    def change(lab: Lab) -> None:
        lab.content[section] = [{key: row[key] for key in row if key not in keys} for row in lab.content[section]]

    return change


def each(*changes: Callable[[Lab], Any]) -> Callable[[Lab], None]:
    def change(lab: Lab) -> None:
        for one in changes:
            one(lab)

    return change


def moved(old: str, new: str) -> Callable[[Lab], Any]:
    """Rename a file or a folder of the set."""

    def change(lab: Lab) -> None:
        (lab.folder / new).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(lab.folder / old, lab.folder / new)

    return change


def text(name: str, content: str) -> Callable[[Lab], None]:
    return lambda lab: lab.text(name, content.replace("ROOT", str(lab.folder)))


def in_xml(old: str, new: str) -> Callable[[Lab], None]:
    """Replace text in the XML of a.jpg."""

    def change(lab: Lab) -> None:
        path = lab.folder / "Annotations" / "a.xml"
        before = path.read_text()
        assert old in before
        path.write_text(before.replace(old, new))

    return change


def row_of(shape: str) -> Callable[[Lab], None]:
    """The one line of a.jpg's label file; l, t, r, b stand for the sides of its box, x, y, w, h for its centre and size."""
    left, top, right, bottom = FRACTIONS
    numbers = {"l": left, "t": top, "r": right, "b": bottom, "w": right - left, "h": bottom - top}
    numbers |= {"x": (left + right) / 2, "y": (top + bottom) / 2}
    return text("labels/train/a.txt", " ".join(str(numbers.get(word, word)) for word in shape.split()))


def outline(lab: Lab) -> None:
    """A polygon with the box of the object, in place of the box."""
    x, y, w, h = BOX
    row = lab.content["annotations"][0]
    row |= {"bbox": [], "segmentation": [[x, y, x + w, y, x + w, y + h / 2], [x + 1, y + 1, x + 2, y + 1, x + 2, y + h]]}


def runs(lab: Lab) -> None:
    """A run-length mask of the object, in place of the box."""
    (x, y, w, h), height = BOX, 10
    counts = [x * height + y, h, *[height - h, h] * (w - 1)]
    del lab.content["annotations"][0]["bbox"]
    lab.content["annotations"][0]["segmentation"] = {"size": [10, 20], "counts": [*counts, 200 - sum(counts)]}


def no_set(lab: Lab) -> None:
    lab.keys, lab.split = [], ""


FROM_HEADER = "size, which is taken from the image"
XML_SIZE = "<size><width>20</width><height>10</height></size>"
PAINT = "<pose>Unspecified</pose>"
ODD = [
    Odd("coco", "`area`, `iscrowd` null", "as if missing", rows("annotations", area=None, iscrowd=None)),
    Odd("coco", "ids as text or 1.0", "the integers", each(
        rows("images", id=str), rows("annotations", image_id=float), rows("categories", id=float)
    ), "(image|annotation|category) rows have '(id|image_id)' as"),
    Odd("coco", "image ids that are no numbers", "1, 2, …", each(
        rows("images", id=lambda old: f"x{old}"), rows("annotations", image_id=lambda old: f"x{old}")
    ), "2 image ids are no numbers"),
    Odd("coco", "no annotation ids", "1, 2, …", without("annotations", "id"), "2 annotations have no id"),
    Odd("coco", "numbers of a box as text", "the numbers", rows("annotations", bbox=lambda old: [str(v) for v in old]),
        "2 annotations have a 'bbox' of texts"),
    Odd("coco", "no `width`, `height`, or null", "those of the image's header", rows("images", width=None),
        f"2 images have no {FROM_HEADER}"),
    Odd("coco", "`images\\a.jpg`", "`images/a.jpg`", each(
        moved("images/a.jpg", "images/x/a.jpg"), moved("images/b.jpg", "images/x/b.jpg"),
        rows("images", file_name=lambda old: f"x\\{old}"),
    ), "2 file names are written with backslashes"),
    Odd("coco", "`a%20b.jpg`", "`a b.jpg`", each(
        moved("images/a.jpg", "images/a b.jpg"), lambda lab: lab.content["images"][0].update(file_name="a%20b.jpg")
    ), r"1 file names are encoded as in a URL"),
    Odd("coco", "absolute names below `root`", "the rest of the name",
        lambda lab: lab.content["images"][0].update(file_name=f"{lab.images}/a.jpg"), "1 file names are absolute paths"),
    Odd("coco", "`C:\\photos\\a.jpg`, a path of another computer", "the one image of this name below `root`",
        lambda lab: lab.content["images"][0].update(file_name="C:\\photos\\a.jpg"), "1 images are found by their file names"),
    Odd("coco", "names without the folder that images lie in", "the one image of this name below `root`", each(
        moved("images/a.jpg", "images/x/a.jpg"), rows("images", width=None)
    ), f"1 images are found by their file names|2 images have no {FROM_HEADER}"),
    Odd("coco", "é as one character or as two", "the same", each(
        moved("images/a.jpg", "images/e\u0301.jpg"), lambda lab: lab.content["images"][0].update(file_name="\u00e9.jpg")
    ), "1 images are found by their file names"),
    Odd("coco", "polygons without `bbox`", "the box around them", outline, "1 objects have no box, .* outline"),
    Odd("coco", "a mask (RLE) without `bbox`", "the box around it", runs, "1 objects have no box, .* outline"),
    Odd("coco", "a category without objects that has the name of another", "without it",
        lambda lab: lab.content["categories"].insert(0, {"id": 0, "name": "cat", "supercategory": "none"}),
        "1 categories without objects have the name of another and are left out, the first: category id 0"),
    Odd("coco", "a category without objects above all others", "without it", each(
        lambda lab: lab.content["categories"][0].update(supercategory="pets"),
        lambda lab: lab.content["categories"].insert(0, {"id": 0, "name": "pets", "supercategory": "none"}),
    ), "1 categories without objects are above all others and are left out, the first: category id 0"),
    Odd("voc", "image size 0", "that of the image's header", in_xml(XML_SIZE, XML_SIZE.replace("20", "0")),
        f"1 xml files without an image {FROM_HEADER}"),
    Odd("voc", "no image size", "that of the image's header", in_xml(XML_SIZE, ""),
        f"1 xml files without an image {FROM_HEADER}"),
    Odd("voc", "`a.jpg` in the image set", "`a`", lambda lab: lab.keys.__setitem__(0, "a.jpg"), "1 lines have the suffix"),
    Odd("voc", "`x\\a` in the image set", "`x/a`", each(
        moved("Annotations/a.xml", "Annotations/x/a.xml"), moved("JPEGImages/a.jpg", "JPEGImages/x/a.jpg"),
        lambda lab: lab.keys.__setitem__(0, "x\\a"),
    ), "1 lines are written with backslashes"),
    Odd("voc", "an image of another suffix", "the one image of this name", moved("JPEGImages/a.jpg", "JPEGImages/a.jpeg"),
        r"1 images are called otherwise .*a\.jpeg, not a\.jpg"),
    Odd("voc", "an image in other letters", "the one image of this name", moved("JPEGImages/a.jpg", "JPEGImages/A.JPG"),
        r"1 images are called otherwise .*A\.JPG, not a\.jpg"),
    Odd("voc", "`Difficult`", "`difficult`", in_xml("<bndbox>", "<Difficult>0</Difficult><bndbox>"),
        "1 objects have <Difficult>0</Difficult>, read as difficult 0"),
    Odd("voc", "difficult `Unspecified`", "0", in_xml("<bndbox>", "<difficult>Unspecified</difficult><bndbox>"),
        "1 objects have <difficult>Unspecified</difficult>, read as difficult 0"),
    Odd("voc", "difficult `True`, `False`", "1, 0", in_xml("<bndbox>", "<difficult>False</difficult><bndbox>"),
        "1 objects have <difficult>False</difficult>, read as difficult 0"),
    Odd("voc", "no ImageSets", "without `split`: every xml", no_set),
    Odd("voc", "xml files beside their images", "without `split`: every xml", each(
        *[moved(f"Annotations/{key}.xml", f"JPEGImages/{key}.xml") for key in "ab"], no_set
    )),
    Odd("voc", "folders in folders", "without `split`: every xml, with the nearest image of its name", each(
        moved("Annotations/a.xml", "train/annots/a.xml"), moved("JPEGImages/a.jpg", "train/pictures/a.png"), no_set
    )),
    Odd("yolo", "polygons", "the box around them", row_of("0 l t r t r b"), "1 lines are polygons, read as the boxes"),
    Odd("yolo", "turned boxes (OBB)", "the box around them", row_of("0 l t r t r b l b"), "1 lines are turned boxes"),
    Odd("yolo", "class `0.0`", "0", row_of("0.0 x y w h"), "1 lines have a class that is written as a fraction"),
    Odd("yolo", "a confidence as sixth number", "the box without it", row_of("0 x y w h 0.9"), "1 lines have a sixth number"),
    Odd("yolo", "keypoints, with `kpt_shape`", "the box without them", each(
        row_of("0 x y w h .1 .2 2 .3 .4 2"), text("data.yaml", "names: [cat]\nkpt_shape: [2, 3]\n")
    ), "1 lines have keypoints, which are left out"),
    Odd("yolo", "`path:` below `root`", "entries from there on", each(
        moved("images", "sub/images"), moved("labels", "sub/labels"),
        text("data.yaml", "path: sub\ntrain: images/train\nnames: [cat]\n"),
    )),
    Odd("yolo", "absolute entries below `root`", "the rest of the path",
        text("data.yaml", "train: ROOT/images/train\nnames: [cat]\n"), "1 paths are absolute and lead below"),
    Odd("yolo", "`/content/x/images/train`, a path of another computer", "`images/train`",
        text("data.yaml", "train: /content/x/images/train\nnames: [cat]\n"), "1 paths are those of another computer"),
    Odd("yolo", "`names: {'0': cat}`", "0: cat", text("data.yaml", "names: {'0': cat}\n")),
    Odd("yolo", "`Train:`, `Validation:` in the yaml", "`train:`, `val:`", each(
        moved("images/train", "images/Train"), moved("labels/train", "labels/Train"),
        text("data.yaml", "Train: images/Train\nnames: [cat]\n"),
    )),
    Odd("yolo", "label files in UTF-16", "their text", lambda lab: (lab.folder / "labels/train/a.txt").write_text(
        (lab.folder / "labels/train/a.txt").read_text(), encoding="utf-16"
    )),
    Odd("yolo", "no yaml, `classes.txt`", "its names",
        each(text("classes.txt", "cat\n"), lambda lab: (lab.folder / "data.yaml").unlink())),
    Odd("yolo", "Darknet's `obj.data`", "its list and names", each(
        lambda lab: (lab.folder / "data.yaml").unlink(), text("obj.names", "cat\n"),
        text("obj.data", "classes = 1\ntrain = data/train.txt\nnames = data/obj.names\n"),
        text("train.txt", "images/train/a.jpg\nimages/train/b.jpg\n"),
    ), "1 paths begin with a folder 'data' that is not there"),
    Odd("yolo", "CVAT's `data/obj_train_data/a.jpg`", "`obj_train_data/a.jpg`", each(
        moved("images/train", "obj_train_data"),
        *[moved(f"labels/train/{key}.txt", f"obj_train_data/{key}.txt") for key in "ab"],
        text("train.txt", "data/obj_train_data/a.jpg\ndata/obj_train_data/b.jpg\n"),
        text("data.yaml", "train: train.txt\nnames: [cat]\n"),
    ), "2 paths begin with a folder 'data' that is not there"),
    Odd("yolo", "`images\\train\\a.jpg` in a list, `images\\train` in the yaml", "with slashes", each(
        text("data.yaml", "train: [lists\\train.txt]\nnames: [cat]\n"),
        text("lists/train.txt", "..\\images\\train\\a.jpg\n..\\images\\train\\b.jpg\n"),
    ), "3 paths are written with backslashes"),
    Odd("yolo", "label files beside images in `images`", "those", each(
        *[moved(f"labels/train/{key}.txt", f"images/train/{key}.txt") for key in "ab"]
    ), "2 label files lie beside their images"),
    Odd("yolo", "label files in a folder of another name", "without `split`: those of the nearest image", each(
        *[moved(f"labels/train/{key}.txt", f"annots/{key}.txt") for key in "ab"], moved("images/train", "Photos"), no_set
    ), "2 label files lie in folders of other names"),
    Odd("yolo", "no entry of the split, `train/images`", "that folder", each(
        moved("images/train", "train/images"), moved("labels/train", "train/labels")
    )),
]  # fmt: skip


def many(line: str) -> Callable[[Lab], None]:
    """Twenty images with two such lines each."""

    def change(lab: Lab) -> None:
        for number in range(20):
            Image.new("RGB", (20, 10)).save(lab.images / f"{number}.jpg")
            lab.text(f"labels/train/{number}.txt", f"{line}\n{line}\n")

    return change


MISTAKES = [
    Mistake("coco", "categories counted from 0", rows("annotations", category_id=0),
            r"annotation id 1: category_id 0 is not among the file's categories \(and 1 more like it\)"),
    Mistake("coco", "captions", lambda lab: lab.content.update(annotations=[{"id": 1, "image_id": 1, "caption": "a cat"}]),
            "holds COCO's captions; boxes are in its instances_"),
    Mistake("coco", "another suffix", moved("images/a.jpg", "images/a.JPG"),
            r"no such image file: .*a\.jpg \(the file is there with another suffix: a\.JPG\)"),
    Mistake("coco", "one file under two ids", rows("images", file_name="a.jpg"),
            r"image id 2: its file is that of image id 1 too: .*a\.jpg"),
    Mistake("coco", "two categories of one name with objects", each(
        lambda lab: lab.content["categories"].append({"id": 2, "name": "cat"}),
        lambda lab: lab.content["annotations"][1].update(category_id=2),
    ), "category id 2: name 'cat' is used twice"),
    Mistake("voc", "no list", lambda lab: lab.keys.clear(),
            "there is no such folder: without a split, every annotation is read"),
    Mistake("yolo", "names from 1", each(many("0 .5 .5 .1 .1"), text("data.yaml", "names: {1: cat}\n")),
            r"'names' must have the keys 0 … 0, got \[1\]"),
    Mistake("yolo", "an unknown class on every line", many("4 .5 .5 .1 .1"),
            r"a class from 0 to 0 .*class 4.*got '4 \.5 \.5 \.1 \.1' \(and 39 more like it\)"),
    Mistake("yolo", "pixels", many("0 120 80 30 30"), r"\(values above 1: pixels\?\), got '0 120 .*' \(and 39 more like it\)"),
    Mistake("yolo", "six numbers", many("0 .5 .5 .1 .1 7"), r"\(6 numbers: a confidence\? .*\(and 39 more like it\)"),
    Mistake("yolo", "eight numbers", many("0 .5 .5 .1 .1 .1 .1 .3"), r"\(8 numbers: a polygon\? .*\(and 39 more like it\)"),
    Mistake("yolo", "path elsewhere", text("data.yaml", "path: /data/set\ntrain: img\nnames: [cat]\n"),
            r"'train': no such folder of images: .*/img \(its path '/data/set' leads to no folder below"),
]  # fmt: skip
