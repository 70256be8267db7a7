"""A conversion counts what it does not read: outlines, supercategories, licences, VOC's pose and truncated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from resdet.cli import main

XML = """<annotation><folder>JPEGImages</folder><filename>a.jpg</filename><source><database>mine</database></source>
<size><width>8</width><height>6</height><depth>3</depth></size><segmented>0</segmented>
<object><name>dog</name><pose>Left</pose><truncated>1</truncated><difficult>0</difficult>
<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>4</xmax><ymax>4</ymax></bndbox></object>
<object><name>dog</name><pose>Unspecified</pose><truncated>1</truncated><occluded>0</occluded>
<bndbox><xmin>2</xmin><ymin>2</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></object></annotation>"""


def notes(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[str]:
    assert main(["data", *map(str, arguments)]) == 0
    return [line for line in capsys.readouterr().err.splitlines() if "not read" in line]


def test_fields_of_coco_that_are_not_read_are_counted(
    tiny_coco: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = ["--format", "coco", "--root", tiny_coco.images, "--annotations", tiny_coco.annotations]
    assert notes(capsys, "convert", *source, "--to", "voc", tmp_path / "plain") == []
    content = tiny_coco.read()
    for row in content["annotations"][:3]:
        row["segmentation"] = [[1, 2, 3, 4, 5, 6]]
    content["annotations"][3] |= {"segmentation": [], "attributes": {"blurred": True}, "score": None, "ignore": 0}
    content["categories"][0]["supercategory"] = "thing"
    content["images"][1]["license"] = 4
    content |= {"licenses": [{"id": 4}, {"id": 5}], "info": {"year": 2026}, "videos": []}
    tiny_coco.write(content)
    expected = [
        "note: 'license' of images is not read: 1 lost",
        "note: 'segmentation' of annotations is not read: 3 lost",
        "note: 'attributes' of annotations is not read: 1 lost",
        "note: 'supercategory' of categories is not read: 1 lost",
        "note: 'licenses' is not read: 2 lost",
        "note: 'info' is not read: 1 lost",
    ]
    assert notes(capsys, "convert", *source, "--to", "coco", tmp_path / "coco") == expected
    assert notes(capsys, "fix", *source, "--output", tmp_path / "fixed") == expected


def test_fields_of_voc_that_are_not_read_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (tmp_path / "voc" / name).mkdir(parents=True)
    (tmp_path / "voc/Annotations/a.xml").write_text(XML)
    (tmp_path / "voc/Annotations/b.xml").write_text("not of the set")
    (tmp_path / "voc/ImageSets/Main/train.txt").write_text("a\n")
    Image.new("RGB", (8, 6)).save(tmp_path / "voc/JPEGImages/a.jpg")
    source = ["--format", "voc", "--root", tmp_path / "voc", "--split", "train"]
    assert notes(capsys, "convert", *source, "--to", "yolo", tmp_path / "yolo") == [
        "note: 'source' of images is not read: 1 lost",
        "note: 'pose' of objects is not read: 1 lost",
        "note: 'truncated' of objects is not read: 2 lost",
    ]
