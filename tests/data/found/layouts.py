"""The layouts of data sets of one's own: their files, and the sources that are found in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

XML = "<annotation><filename>a.jpg</filename><object><name>x</name></object></annotation>"
COCO: dict[str, Any] = {"info": {}, "images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [], "categories": []}


def fill(root: Path, **files: object) -> Path:
    """Write files: an image for None, json for dicts and lists, else text; ``__`` in a name is a slash."""
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            Image.new("RGB", (8, 8)).save(path)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content))
    return root


# files, then (format, root, annotations, split) to train on and to validate on, paths relative to the folder
LAYOUTS: dict[str, tuple[dict[str, object], list[tuple[str, str, str, str]], tuple[str, str, str, str] | None]] = {
    "coco itself": (
        {
            "annotations__instances_train2017.json": COCO,
            "annotations__instances_val2017.json": COCO,
            "annotations__captions_train2017.json": COCO,
            "train2017__a.jpg": None,
            "val2017__a.jpg": None,
        },
        [("coco", "train2017", "annotations/instances_train2017.json", "")],
        ("coco", "val2017", "annotations/instances_val2017.json", ""),
    ),
    "one json and a folder of images": (
        {"labels.json": COCO, "images__a.jpg": None},
        [("coco", "images", "labels.json", "")],
        None,
    ),
    "a json among the images": ({"all.json": COCO, "a.jpg": None}, [("coco", "", "all.json", "")], None),
    "names with their folder": (
        {"all.json": {**COCO, "images": [{"id": 1, "file_name": "images/a.jpg"}]}, "images__a.jpg": None},
        [("coco", "", "all.json", "")],
        None,
    ),
    "roboflow's coco": (
        {
            "train___annotations.coco.json": COCO,
            "train__a.jpg": None,
            "valid___annotations.coco.json": COCO,
            "valid__a.jpg": None,
        },
        [("coco", "train", "train/_annotations.coco.json", "")],
        ("coco", "valid", "valid/_annotations.coco.json", ""),
    ),
    "voc itself": (
        {
            "Annotations__a.xml": XML,
            "JPEGImages__a.jpg": None,
            "ImageSets__Main__train.txt": "a\n",
            "ImageSets__Main__val.txt": "a\n",
            "ImageSets__Main__trainval.txt": "a\n",
        },
        [("voc", "", "", "train")],
        ("voc", "", "", "val"),
    ),
    "voc without image sets": (
        {"Annotations__a.xml": XML, "JPEGImages__a.jpg": None},
        [("voc", "", "", "")],
        None,
    ),
    "labelimg's xml beside images": ({"a.jpg": None, "a.xml": XML}, [("voc", "", "", "")], None),
    "voc in parts": (
        {"train__a.jpg": None, "train__a.xml": XML, "test__a.jpg": None, "test__a.xml": XML},
        [("voc", "train", "", "")],
        ("voc", "test", "", ""),
    ),
    "ultralytics": (
        {
            "data.yaml": "train: images/train\nval: images/val\nnames: [x]\n",
            "images__train__a.jpg": None,
            "images__val__a.jpg": None,
            "labels__train__a.txt": "0 .5 .5 .1 .1\n",
        },
        [("yolo", "", "", "train")],
        ("yolo", "", "", "val"),
    ),
    "a yaml of another name": (
        {"pets.yaml": "path: .\ntrain: images\nnames: {0: x}\n", "images__a.jpg": None},
        [("yolo", "", "pets.yaml", "train")],
        None,
    ),
    "yolo without a yaml": (
        {"classes.txt": "x\n", "images__a.jpg": None, "labels__a.txt": "0 .5 .5 .1 .1\n"},
        [("yolo", "", "", "")],
        None,
    ),
    "yolo in parts without a yaml": (
        {"images__train__a.jpg": None, "labels__train__a.txt": "0 .5 .5 .1 .1\n", "images__val__a.jpg": None},
        [("yolo", "", "", "train")],
        ("yolo", "", "", "val"),
    ),
    "label studio": (
        {"export.json": [{"id": 1, "data": {"image": "a.jpg"}, "annotations": []}], "images__a.jpg": None},
        [("label_studio", "images", "export.json", "")],
        None,
    ),
    "cvat": (
        {"annotations.xml": "<?xml version='1.0'?><annotations><image/></annotations>", "images__a.jpg": None},
        [("cvat", "images", "annotations.xml", "")],
        None,
    ),
    "labelme": (
        {"a.jpg": None, "a.json": {"shapes": [], "imagePath": "a.jpg"}},
        [("labelme", "", "", "")],
        None,
    ),
    "via": (
        {"via.json": {"_via_settings": {}, "_via_img_metadata": {}}, "a.jpg": None},
        [("via", "", "via.json", "")],
        None,
    ),
    "pascal csv": (
        {"labels.csv": "filename,width,height,class,xmin,ymin,xmax,ymax\n", "a.jpg": None},
        [("csv", "", "labels.csv", "")],
        None,
    ),
    "open images": (
        {"train.csv": "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\n", "images__train__a.jpg": None},
        [("csv", "images/train", "train.csv", "")],
        None,
    ),
    "voc's kit, in a folder": (
        {
            "kit__VOC2007__Annotations__a.xml": XML,
            "kit__VOC2007__JPEGImages__a.jpg": None,
            "kit__VOC2007__ImageSets__Main__Train.txt": "a\n",
            "kit__VOC2007__ImageSets__Main__Validation.txt": "a\n",
            "kit__results__VOC2007__x.txt": "",
        },
        [("voc", "kit/VOC2007", "", "Train")],
        ("voc", "kit/VOC2007", "", "Validation"),
    ),
    "xml in folders of parts": (
        {
            **{f"images__{part}__{part}.jpg": None for part in ("train", "test")},
            **{f"annotations__{part}__{part}.xml": XML for part in ("train", "test")},
        },
        [("voc", "", "", "train")],
        ("voc", "", "", "test"),
    ),
    "a yolo export in a folder": (
        {
            "x.v1__data.yaml": "train: ../train/images\nval: ../valid/images\nnames: [x]\n",
            "x.v1__train__images__a.jpg": None,
            "x.v1__train__labels__a.txt": "0 .5 .5 .1 .1\n",
            "x.v1__valid__images__a.jpg": None,
        },
        [("yolo", "x.v1", "", "train")],
        ("yolo", "x.v1", "", "val"),
    ),
    "yolo in parts, classes above them": (
        {"classes.txt": "x\n"}
        | {
            f"{part}__a.{suffix}": text
            for part in ("Train", "valid")
            for suffix, text in (("jpg", None), ("txt", "0 .5 .5 .1 .1"))
        },
        [("yolo", "Train", "classes.txt", "")],
        ("yolo", "valid", "classes.txt", ""),
    ),
    "darknet": (
        {
            "data__obj.data": "train = data/train.txt\nvalid = data/test.txt\nnames = data/obj.names\n",
            "data__obj.names": "x\n",
            "data__train.txt": "data/obj/a.jpg\n",
            "data__obj__a.jpg": None,
            "data__obj__a.txt": "0 .5 .5 .1 .1\n",
        },
        [("yolo", "", "data/obj.data", "train")],
        ("yolo", "", "data/obj.data", "val"),
    ),
    "cvat's jobs": (
        {
            f"job_{job}__{name}": text
            for job in (1, 2)
            for name, text in (("annotations.xml", "<annotations><image/></annotations>"), ("images__a.jpg", None))
        },
        [("cvat", f"job_{job}/images", f"job_{job}/annotations.xml", "") for job in (1, 2)],
        None,
    ),
    "coco's files in capitals": (
        {
            f"{place}__{name}": text
            for part in ("Train", "Val")
            for place, name, text in (("Annotations", f"{part}.json", COCO), (f"Images__{part}", "a.jpg", None))
        },
        [("coco", "Images/Train", "Annotations/Train.json", "")],
        ("coco", "Images/Val", "Annotations/Val.json", ""),
    ),
    "a table of Windows": (
        {"labels.csv": "filename;class;xmin;ymin;xmax;ymax\r\na.jpg;x;1;1;2;2\r\n", "a.jpg": None},
        [("csv", "", "labels.csv", "")],
        None,
    ),
    "a table of keras-retinanet": (
        {"train.csv": "images/a.jpg,1,1,2,2,x\n", "classes.csv": "x,0\n", "images__a.jpg": None},
        [("csv", "images", "train.csv", "")],
        None,
    ),
    "hugging face": (
        {
            "train__metadata.jsonl": '{"file_name": "a.jpg", "objects": {"bbox": [], "categories": []}}\n',
            "train__a.jpg": None,
            "validation__metadata.jsonl": '{"file_name": "a.jpg", "objects": {"bbox": [], "categories": []}}\n',
            "validation__a.jpg": None,
        },
        [("hf_objects", "train", "train/metadata.jsonl", "")],
        ("hf_objects", "validation", "validation/metadata.jsonl", ""),
    ),
}
