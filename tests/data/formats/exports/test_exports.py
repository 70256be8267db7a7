"""What labelling programs export: the same two objects in the words of each, and everything that may be odd about it."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from resdet.config.schema import DetectionSourceConfig
from resdet.data.dataset import DetectionDataset
from resdet.data.sources.detection import build_dataset
from resdet.errors import ConfigError, DataError

SIZE = (40, 20)  # width, height
BOXES = [[4.0, 2.0, 14.0, 12.0], [20.0, 5.0, 30.0, 15.0]]  # a cat and a dog of a.jpg; b.jpg has no object

LABEL_STUDIO = [
    {
        "id": 7,
        "data": {"image": "/data/upload/3/0a1b2c3d-a.jpg"},
        "annotations": [
            {
                "result": [
                    {
                        "type": "rectanglelabels",
                        "original_width": 40,
                        "original_height": 20,
                        "image_rotation": 0,
                        "value": {"x": 10, "y": 10, "width": 25, "height": 50, "rotation": 0, "rectanglelabels": ["cat"]},
                    },
                    {
                        "type": "rectanglelabels",
                        "original_width": 40,
                        "original_height": 20,
                        "value": {"x": 50, "y": 25, "width": 25, "height": 50, "rectanglelabels": ["dog"]},
                    },
                ]
            }
        ],
    },
    {"id": 8, "data": {"image": "http://localhost:8080/data/local-files/?d=photos%2Fb.jpg"}, "annotations": [{"result": []}]},
]
CVAT = """<?xml version="1.0"?><annotations><version>1.1</version><meta><job><id>1</id></job></meta>
<image id="0" name="a.jpg" width="40" height="20">
<box label="cat" occluded="0" xtl="4.00" ytl="2" xbr="14" ybr="12"><attribute name="sex">m</attribute></box>
<box label="dog" xtl="20" ytl="5" xbr="30" ybr="15"/></image>
<image id="1" name="b.jpg" width="40" height="20"><tag label="good"/></image></annotations>"""
VIA = {
    "a.jpg1234": {
        "filename": "a.jpg",
        "size": 1234,
        "regions": [
            {
                "shape_attributes": {"name": "rect", "x": 4, "y": 2, "width": 10, "height": 10},
                "region_attributes": {"animal": "cat"},
            },
            {
                "shape_attributes": {"name": "rect", "x": 20, "y": 5, "width": 10, "height": 10},
                "region_attributes": {"animal": "dog"},
            },
        ],
        "file_attributes": {},
    },
    "b.jpg99": {"filename": "b.jpg", "size": 99, "regions": [], "file_attributes": {}},
}
PASCAL = """filename,width,height,class,xmin,ymin,xmax,ymax
a.jpg,40,20,cat,4,2,14,12
a.jpg,40,20,dog,20,5,30,15
b.jpg,40,20,,,,,
"""
OPEN_IMAGES = """ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf
a,xclick,cat,1,0.1,0.35,0.1,0.6,0,0,0
a,xclick,dog,1,0.5,0.75,0.25,0.75,0,0,0
b,xclick,,,,,,,,,
"""
HF = [
    {"file_name": "a.jpg", "objects": {"bbox": [[4, 2, 10, 10], [20, 5, 10, 10]], "categories": ["cat", "dog"]}},
    {"file_name": "b.jpg", "objects": {"bbox": [], "categories": []}},
]
HF_ROWS = [
    {"file_name": "a.jpg", "objects": [{"bbox": [4, 2, 10, 10], "label": "cat"}, {"bbox": [20, 5, 10, 10], "label": "dog"}]},
    {"file_name": "b.jpg", "width": 40, "height": 20, "objects": []},
]
LABELME = {
    "photos/a.json": {
        "version": "5.2.1",
        "shapes": [
            {"label": "cat", "points": [[14, 12], [4, 2]], "shape_type": "rectangle", "group_id": None},
            {"label": "dog", "points": [[20.0, 5.0], [30.0, 15.0]], "shape_type": "rectangle"},
        ],
        "imagePath": "a.jpg",
        "imageData": "AAAA",
        "imageHeight": 20,
        "imageWidth": 40,
    },
    "photos/b.json": {"shapes": [], "imagePath": "b.jpg"},
}


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


GOOD = {
    "label_studio": ("label_studio", "export.json", json.dumps(LABEL_STUDIO)),
    "cvat": ("cvat", "annotations.xml", CVAT),
    "via": ("via", "via.json", json.dumps(VIA)),
    "via project": ("via", "via.json", json.dumps({"_via_settings": {}, "_via_img_metadata": VIA, "_via_attributes": {}})),
    "pascal csv": ("csv", "_annotations.csv", PASCAL),
    "open images csv": ("csv", "boxes.csv", OPEN_IMAGES),
    "hf columns": ("hf_objects", "metadata.jsonl", lines(HF)),
    "hf rows": ("hf_objects", "metadata.jsonl", lines(HF_ROWS)),
    "labelme": ("labelme", "", ""),
}


def source(folder: Path, form: str, name: str = "", text: str = "") -> DetectionSourceConfig:
    """A source of a format whose images are photos/a.jpg and photos/b.jpg below its root."""
    (folder / "photos").mkdir(exist_ok=True)
    for image in "ab":
        Image.new("RGB", SIZE).save(folder / "photos" / f"{image}.jpg")
    if name:
        (folder / name).write_text(text, encoding="utf-8")
    else:
        for file, content in LABELME.items():
            (folder / file).write_text(json.dumps(content))
    return DetectionSourceConfig(form, str(folder), str(folder / name) if name else "")


def read(*arguments: Any, names: list[str] | None = None) -> tuple[DetectionDataset, list[str]]:
    """The data set of ``source``, and its warnings without the source's name."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = build_dataset([source(*arguments)], names)
    return dataset, [str(each.message).split(": ", 1)[1] for each in caught]


def problems(*arguments: Any, names: list[str] | None = None) -> list[str]:
    config = source(*arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DataError) as caught:
            build_dataset([config], names)
    return list(caught.value.problems)


@pytest.mark.parametrize("kind", GOOD)
def test_the_same_set_in_every_format(kind: str, tmp_path: Path) -> None:
    dataset, told = read(tmp_path, *GOOD[kind])
    assert dataset.names == ("cat", "dog")
    assert [dataset.path(index).name for index in range(2)] == ["a.jpg", "b.jpg"]
    assert dataset.sizes.tolist() == [[20, 40]] * 2
    assert dataset.target(0).boxes.tolist() == BOXES
    assert dataset.target(0).labels.tolist() == [0, 1]
    assert not len(dataset.target(1))
    assert dataset.load(0)[0].size == SIZE
    found = "images are found by their file names alone, not at the paths or URLs that the file writes"
    places = 0 if kind == "labelme" else 1 if kind == "label_studio" else 2  # ?d=photos/b.jpg is a path from the root on
    assert [each.split(", the first")[0] for each in told] == [f"{2 if places else 0} {found}"] * bool(places)


@pytest.mark.parametrize("kind", GOOD)
def test_classes_are_those_asked_for(kind: str, tmp_path: Path) -> None:
    assert read(tmp_path, *GOOD[kind], names=["cow", "dog", "cat"])[0].labels.tolist() == [2, 1]
    told = problems(tmp_path, *GOOD[kind], names=["dog", "cta"])
    assert "class 'cat' is not among the classes asked for (did you mean 'cta'?)" in told[0]
    assert told[2].endswith("uses class 'cat'")
    assert len(told) == 3


@pytest.mark.parametrize("kind", GOOD)
def test_an_image_that_is_not_there(kind: str, tmp_path: Path) -> None:
    form, name, text = GOOD[kind]
    config = source(tmp_path, form, name, text)
    (tmp_path / "photos" / "a.jpg").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DataError, match=r"no such image file: .*a\b|no image called '[^']*a\b") as caught:
            build_dataset([config])
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("kind", [kind for kind in GOOD if kind != "labelme"])
def test_names_never_lead_out_of_the_root(kind: str, tmp_path: Path) -> None:
    form, name, text = GOOD[kind]
    (tmp_path / "root").mkdir()
    Image.new("RGB", SIZE).save(tmp_path / "x.jpg")
    for away in ("../x.jpg", str(tmp_path / "x.jpg")):
        told = problems(tmp_path / "root", form, name, text.replace("b.jpg", away).replace("\nb,", f"\n{away},"))
        assert any("must be relative and stay in the images' folder" in line or "no such image file" in line for line in told)


@pytest.mark.parametrize("form", ["label_studio", "cvat", "via", "csv", "hf_objects"])
def test_the_file_must_be_there_and_of_its_kind(form: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"option 'data.train.annotations' must name a file, got ''"):
        build_dataset([DetectionSourceConfig(form, str(tmp_path))])
    for text in ("", "hello", "5", "[5]", '{"a": 5}', "<a/>", '"', "\0", "[" * 100_000):
        assert problems(tmp_path, form, "file", text)[0].startswith(str(tmp_path / "file")), text
    path = tmp_path / "file"
    path.write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(DataError, match="file"):
        build_dataset([DetectionSourceConfig(form, str(tmp_path), str(path))])
