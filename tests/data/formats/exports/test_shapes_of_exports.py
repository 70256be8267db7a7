"""Shapes that are no upright boxes, and the other words that each program has: what is read of them, and what is told."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_exports import CVAT, HF, LABEL_STUDIO, OPEN_IMAGES, PASCAL, SIZE, VIA, lines, problems, read

from resdet.data.formats.exports import pictures
from resdet.data.formats.exports.shapes import around, around_ellipse, around_turned


def turned(points: np.ndarray, degrees: float, pivot: tuple[float, float]) -> list[float]:
    """The box around points that are turned clockwise, where y goes down."""
    radians = math.radians(degrees)
    matrix = np.array([[math.cos(radians), -math.sin(radians)], [math.sin(radians), math.cos(radians)]])
    moved = (points - pivot) @ matrix.T + pivot
    low, high = moved.min(0), moved.max(0)
    return [*low, *(high - low)]


@pytest.mark.parametrize("degrees", [0, 30, 90, 135, -45, 300])
def test_boxes_around_turned_shapes_against_their_points(degrees: float) -> None:
    corners = np.array([[3, 4], [13, 4], [13, 9], [3, 9]], float)
    for pivot in ((3, 4), (8, 6.5)):
        assert np.allclose(around_turned((3, 4, 10, 5), degrees, pivot), turned(corners, degrees, pivot))
    angles = np.linspace(0, 2 * np.pi, 100_001)
    rim = np.stack([8 + 5 * np.cos(angles), 6 + 2 * np.sin(angles)], 1)
    assert np.allclose(around_ellipse(8, 6, 5, 2, degrees), turned(rim, degrees, (8, 6)), atol=1e-6)
    assert around([(1, 5), (4, 2), (3, 3)]) == (1, 2, 3, 3)
    with pytest.raises(ValueError, match="unpack"):
        around([])


def studio(value: dict[str, Any], **others: Any) -> str:
    """A task with one result; its value in hundredths of 40 x 20 pixels."""
    result = {"type": "x", "original_width": 40, "original_height": 20, "value": value, **others}
    return json.dumps([{"id": 1, "data": {"image": "photos/a.jpg"}, "annotations": [{"result": [result]}]}])


def cvat(shape: str) -> str:
    return f'<annotations><image id="0" name="photos/a.jpg" width="40" height="20">{shape}</image></annotations>'


TRACK = (
    "<annotations><track id='5' label='cat'><box frame='0' outside='0' xtl='4' ytl='2' xbr='14' ybr='12'/>"
    "<box frame='0' outside='1' xtl='1' ytl='1' xbr='9' ybr='9'/></track></annotations>"
)


def via(shape: dict[str, Any], attributes: Any = None) -> str:
    region = {"shape_attributes": shape, "region_attributes": {"class": "cat"} if attributes is None else attributes}
    return json.dumps({"a": {"filename": "photos/a.jpg", "regions": {"0": region}}})


POLYGON = [[10, 20], [35, 70], [20, 90]]  # hundredths
MIN = [
    {
        "image": "photos/a.jpg",
        "id": 3,
        "label": [{"x": 10, "y": 10, "width": 25, "height": 50, "rectanglelabels": ["cat"]}],
        "annotator": 1,
    }
]
TWO_STEPS = json.loads(studio({"x": 10, "y": 10, "width": 25, "height": 50}, type="rectangle", id="q"))
TWO_STEPS[0]["annotations"][0]["result"].append(
    {"type": "labels", "id": "q", "value": {"x": 10, "y": 10, "width": 25, "height": 50, "labels": ["cat"]}}
)
TWICE = json.loads(json.dumps(LABEL_STUDIO[:1]))
TWICE[0]["annotations"] = [{"was_cancelled": True, "result": []}, *TWICE[0]["annotations"], {"result": []}]
RELATED = json.loads(json.dumps(LABEL_STUDIO[:1]))
RELATED[0]["annotations"][0]["result"] += [
    {"type": "relation", "from_id": "q", "to_id": "r", "direction": "right"},
    {"type": "keypointlabels", "value": {"x": 5, "y": 5, "width": 0.3, "keypointlabels": ["eye"]}},
]
RECT = {"name": "rect", "x": 4, "y": 2, "width": 10, "height": 10}
ROOT_TWO = math.sqrt(2)
# format, text, the first box (x1, y1, x2, y2), what is told
READ: dict[str, tuple[str, str, list[float], str]] = {
    "studio polygon": (
        "label_studio",
        studio({"points": POLYGON, "polygonlabels": ["cat"]}),
        [4, 4, 14, 18],
        "polygons are read",
    ),
    "studio ellipse": (
        "label_studio",
        studio({"x": 50, "y": 50, "radiusX": 10, "radiusY": 25, "ellipselabels": ["cat"]}),
        [16, 5, 24, 15],
        "ellipses are read",
    ),
    "studio turned": (
        "label_studio",
        studio({"x": 50, "y": 10, "width": 10, "height": 30, "rotation": 90, "rectanglelabels": ["cat"]}),
        [14, 2, 20, 6],
        "turned boxes are read",
    ),
    "studio two steps": ("label_studio", json.dumps(TWO_STEPS), [4, 2, 14, 12], ""),
    "studio without size": (
        "label_studio",
        studio({"x": 10, "y": 10, "width": 25, "height": 50, "labels": ["cat"]}).replace("original", "other"),
        [4, 2, 14, 12],
        "",
    ),
    "studio minimal": ("label_studio", json.dumps(MIN), [4, 2, 14, 12], ""),
    "studio twice": ("label_studio", json.dumps(TWICE), [4, 2, 14, 12], "tasks have several annotations|by their file names"),
    "cvat polygon": ("cvat", cvat('<polygon label="cat" points="4,2;14.0,3;9,12"/>'), [4, 2, 14, 12], "shapes <polygon>"),
    "cvat ellipse": ("cvat", cvat('<ellipse label="cat" cx="9" cy="7" rx="5" ry="5"/>'), [4, 2, 14, 12], "shapes <ellipse>"),
    "cvat mask": (
        "cvat",
        cvat('<mask label="cat" rle="1, 2" left="4" top="2" width="10" height="10"/>'),
        [4, 2, 14, 12],
        "shapes <mask>",
    ),
    "cvat turned": (
        "cvat",
        cvat('<box label="cat" xtl="10" ytl="5" xbr="16" ybr="11" rotation="45"/>'),
        [13 - 3 * ROOT_TWO, 8 - 3 * ROOT_TWO, 13 + 3 * ROOT_TWO, 8 + 3 * ROOT_TWO],
        "turned boxes are read",
    ),
    "cvat points": (
        "cvat",
        cvat('<points label="x" points="4,2"/><box label="cat" xtl="4" ytl="2" xbr="14" ybr="12"/>'),
        [4, 2, 14, 12],
        "shapes <points> are left out",
    ),
    "via circle": ("via", via({"name": "circle", "cx": 9, "cy": 7, "r": 5}), [4, 2, 14, 12], "shape 'circle' are read"),
    "via ellipse": (
        "via",
        via({"name": "ellipse", "cx": 9, "cy": 7, "rx": 2, "ry": 5, "theta": math.pi / 2}),
        [4, 5, 14, 9],
        "shape 'ellipse' are read",
    ),
    "via polygon": (
        "via",
        via({"name": "polygon", "all_points_x": [4, 14, 9], "all_points_y": [2, 5, 12]}),
        [4, 2, 14, 12],
        "shape 'polygon' are read",
    ),
    "via ticked": ("via", via(RECT, {"kind": {"cat": True, "dog": False}}), [4, 2, 14, 12], ""),
    "via several attributes": ("via", via(RECT, {"colour": "red", "Class": "cat"}), [4, 2, 14, 12], ""),
    "cvat tracks": ("cvat", TRACK, [4, 2, 14, 12], "1 images are found by their file names"),
    "studio relations and key points": (
        "label_studio",
        json.dumps(RELATED),
        [4, 2, 14, 12],
        "type 'keypointlabels'|by their file",
    ),
    "csv decimal comma": (
        "csv",
        "image;xmin;ymin;xmax;ymax;label\r\nphotos/a.jpg;4,0;2,0;14,0;12,0;cat\r\n",
        [4, 2, 14, 12],
        "",
    ),
    "csv makesense": (
        "csv",
        "label_name,bbox_x,bbox_y,bbox_width,bbox_height,image_name,image_width,image_height\ncat,4,2,10,10,photos/a.jpg,40,20\n",
        [4, 2, 14, 12],
        "",
    ),
    "csv of keras-retinanet": (
        "csv",
        "photos/b.jpg,,,,,\nphotos/a.jpg,22,2,38,12,cat\n",
        [22, 2, 38, 12],
        "2 lines are read as path,xmin,ymin,xmax,ymax,class, for no first line names the columns",
    ),
    "csv x1": ("csv", "image,x1,y1,x2,y2,label\nphotos/a.jpg,4,2,14,12,cat\n", [4, 2, 14, 12], ""),
    "csv bom": ("csv", "\ufefffilename,class,xmin,ymin,xmax,ymax\nphotos/a.jpg,cat,4,2,14,12\n", [4, 2, 14, 12], ""),
    "hf twice nested": (
        "hf_objects",
        lines([{"file_name": "photos/a.jpg", "objects": {"bbox": [[4, 2, 10, 10]], "category": ["cat"], "area": [100]}}]),
        [4, 2, 14, 12],
        "",
    ),
}


@pytest.mark.parametrize("kind", READ)
def test_what_is_read(kind: str, tmp_path: Path) -> None:
    form, text, box, note = READ[kind]
    Image.new("RGB", SIZE).save(tmp_path / "frame_000000.PNG")
    dataset, told = read(tmp_path, form, "file", text)
    assert dataset.names[0] == "cat"
    assert np.allclose(dataset.target(int(dataset.path(0).name == "b.jpg")).boxes[0], box, atol=1e-5)
    assert bool(told) == bool(note)
    assert all(any(part in line for part in note.split("|")) for line in told), told


def test_regions_without_attributes_are_one_class(tmp_path: Path) -> None:
    dataset, told = read(tmp_path, "via", "file", via(RECT, {}))
    assert dataset.names == ("object",)
    assert "1 regions have no attribute, so that their class is 'object'" in told[0]


def test_classes_that_are_numbers_keep_their_order(tmp_path: Path) -> None:
    rows = [{"file_name": "photos/a.jpg", "objects": {"bbox": [[1, 1, 5, 5]] * 3, "categories": [10, 9, 0]}}]
    dataset, _ = read(tmp_path, "hf_objects", "file", lines(rows))
    assert (dataset.names, dataset.labels.tolist()) == (("0", "9", "10"), [2, 1, 0])


def test_open_images_has_groups_and_names_of_its_classes(tmp_path: Path) -> None:
    table = OPEN_IMAGES.replace(",cat,", ",/m/01,").replace(",dog,", ",/m/02,").replace("0,0,0\nb", "0,0,1\nb")
    (tmp_path / "class-descriptions-boxable.csv").write_text('/m/01,Cat\n/m/02,"Dog, large"\n', "utf-16")
    dataset, _ = read(tmp_path, "csv", "boxes.csv", table)
    assert dataset.names == ("Cat", "Dog, large")
    assert (dataset.crowd.tolist(), dataset.ignore.tolist()) == ([False, True], [False, True])


def test_tasks_that_nobody_has_annotated_are_left_out(tmp_path: Path) -> None:
    tasks = [*LABEL_STUDIO, {"id": 9, "data": {"image": "c.jpg"}, "annotations": []}]
    dataset, told = read(tmp_path, "label_studio", "file", json.dumps(tasks))
    assert len(dataset) == 2
    assert any("1 tasks have no annotation and are left out, the first: task id 9" in line for line in told)


def test_the_folder_of_an_export_tells_files_of_one_name_apart(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.jpg").write_bytes(b"")
    text = CVAT.replace('"a.jpg"', '"C:\\\\x\\photos\\a.jpg"')
    assert read(tmp_path, "cvat", "file", text)[0].path(0) == tmp_path / "photos" / "a.jpg"
    assert "no such image file" in problems(tmp_path, "cvat", "file", CVAT)[0]  # two of the name, neither nearer


def spoiled(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


BROKEN: dict[str, tuple[str, str, str]] = {
    "studio key": (
        "label_studio",
        studio({"x": 1, "width": 3, "height": 3, "labels": ["c"]}),
        "the key 'y' is missing",
    ),
    "studio class": ("label_studio", studio({"x": 1, "y": 1, "width": 3, "height": 3}), "a shape without a class"),
    "studio rotation": (
        "label_studio",
        studio({"x": 1, "y": 1, "width": 3, "height": 3, "labels": ["c"]}, image_rotation=90),
        "image_rotation must be 0, got 90",
    ),
    "cvat tracks": (
        "cvat",
        TRACK.replace("frame='0'", "frame='7'"),
        "frame 7: no such image file",
    ),
    "cvat root": ("cvat", "<annotation/>", "must be CVAT's <annotations>, got <annotation>"),
    "cvat number": ("cvat", spoiled(CVAT, '"4.00"', '"left"'), "image 0: is not an image of CVAT"),
    "cvat entity": ("cvat", '<!DOCTYPE a [<!ENTITY b "c">]><annotations>&b;</annotations>', "EntitiesForbidden"),
    "via 3": ("via", json.dumps({"file": {}, "metadata": {}}), "is a project of VIA 3; export it as COCO"),
    "via class": ("via", via(RECT, {"a": "x", "b": "y"}), "which attribute is the class? It has 'a', 'b'"),
    "via none": ("via", via(RECT, {"a": ""}), "which attribute is the class? It has none that is filled in"),
    "via shape": ("via", via({"name": "star"}), "'star' is no shape that is known"),
    "csv header": ("csv", "a,b,c\n", "its first line must name columns like filename,width"),
    "csv number": (
        "csv",
        spoiled(PASCAL, "4,2,14", "4,two,14"),
        "line 2: xmin,ymin,xmax,ymax,height,width must be numbers",
    ),
    "csv class": ("csv", spoiled(PASCAL, ",cat,", ",,"), "line 2: class must not be empty"),
    "csv fields": ("csv", spoiled(PASCAL, "14,12", "14"), "line 2: must have 8 fields"),
    "csv falling": (
        "csv",
        "photos/a.jpg,4,2,14,12,cat\nphotos/a.jpg,24,2,14,12,cat\n",
        "line 2: 24,2,14,12 are no corners: name",
    ),
    "csv either": ("csv", "photos/a.jpg,4,2,14,12,cat\n", "may be corners, or left, top, width and height: name the columns"),
    "csv xywh": ("csv", "image,x,y,width,height,class\n", "with bbox_x,bbox_y,bbox_width,bbox_height"),
    "hf json": ("hf_objects", lines(HF) + "{\n", "line 3: is not JSON"),
    "hf counts": ("hf_objects", spoiled(lines(HF), '"cat", "dog"', '"cat"'), "as many classes as boxes, got 1 and 2"),
    "hf keys": ("hf_objects", spoiled(lines(HF), '"bbox"', '"box"'), "objects must have 'bbox' and 'categories'"),
    "outside": ("csv", spoiled(PASCAL, "4,2,14,12", "94,2,99,12"), "box lies wholly outside its image of 40 x 20"),
    "huge": ("csv", spoiled(PASCAL, "a.jpg,40,", f"a.jpg,{10**400},"), "line 2: xmin,ymin,xmax,ymax,height,width must be"),
    "too long": ("csv", spoiled(PASCAL, "a.jpg,40,", f"a.jpg,{10**15},"), "sides must be at most 2147483647 pixels"),
    "reversed": ("cvat", spoiled(CVAT, 'xbr="14"', 'xbr="1"'), "box must have a positive width and height"),
    "NaN": ("via", json.dumps(VIA).replace('"x": 4', '"x": NaN'), "box must be finite"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_wrong_is_told_with_its_place(kind: str, tmp_path: Path) -> None:
    form, text, message = BROKEN[kind]
    told = problems(tmp_path, form, "file", text)
    assert len(told) == 1, told
    assert message in told[0]
    assert told[0].startswith(f"{tmp_path}/file: ")


def test_an_export_has_a_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "LARGEST", 100)
    for form, text in (("csv", PASCAL), ("cvat", CVAT), ("via", json.dumps(VIA)), ("hf_objects", lines(HF))):
        assert "the most that is read of one export" in problems(tmp_path, form, "file", text)[0]
