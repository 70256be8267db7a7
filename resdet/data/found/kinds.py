"""Tells by their content what annotation files are."""

from __future__ import annotations

import re
from pathlib import Path

from resdet.data.formats.table import columns_of, is_box_row
from resdet.files import decoded, regular

_PIECE = 1 << 20
# words of which a json has all, in the order in which we look; the first letter says whether it is an object or a list
_JSON = (
    ("via", "{", ("_via_",)),
    ("via", "{", ('"regions"', '"filename"')),
    ("labelme", "{", ('"shapes"', '"imagePath"')),
    ("label_studio", "[", ('"data"', '"annotations"')),
    ("label_studio", "[", ('"data"', '"completions"')),
    ("label_studio", "[", ('"rectanglelabels"',)),
    ("label_studio", "[", ('"polygonlabels"',)),
    ("coco", "{", ('"images"', '"annotations"')),
    ("coco", "{", ('"images"', '"categories"')),
)
_OF_A_CORNER = "where they are left, top, width and height, call the columns bbox_x,bbox_y,bbox_width,bbox_height"
# programs whose files are not read, with words of them
_UNREAD = (
    ("VIA 3, which exports COCO too", ('"metadata"', '"attribute"', '"fname"')),
    ("VIA's csv; it exports json too", ("region_shape_attributes",)),
    ("Datumaro, which converts to COCO", ('"categories"', '"items"', '"label_id"')),
    ("Supervisely, which exports COCO too", ('"classTitle"',)),
    ("VoTT, which exports Pascal VOC and CSV too", ('"assets"', '"regions"')),
    ("VoTT, which exports Pascal VOC and CSV too", ('"asset"', '"regions"')),
    ("CreateML; the program that wrote it exports COCO too", ('"coordinates"', '"label"')),
    (f"a program whose x, y may be corners or centres; {_OF_A_CORNER}", ("x,y,width,height",)),
    (f"a program whose x, y may be corners or centres; {_OF_A_CORNER}", ("x,y,w,h",)),
    ("COCO's captions; boxes are in instances_….json", ('"caption"', '"image_id"')),
    ("COCO's results, which are detections", ('"bbox"', '"score"', '"image_id"')),
)
_XML = (("cvat", re.compile(r"<annotations[\s>]")), ("voc", re.compile(r"<annotation[\s>]")))
_IMAGE_COLUMNS = {"filename", "imageid", "image_id", "image", "file", "path", "image_path", "img", "file_name", "image_name"}
_BOX_COLUMNS = (
    {"xmin", "ymin", "xmax", "ymax"},
    {"x1", "y1", "x2", "y2"},
    {"bbox_x", "bbox_y", "bbox_width", "bbox_height"},
)


def kind_of(path: Path) -> str | None:
    """The format that an annotation file is of: coco, via, labelme, label_studio, voc, cvat, csv, yolo or hf_objects.

    Only the file's beginning and end are read. None: of none of these.
    """
    suffix = path.suffix.lower()
    if suffix == ".json":
        text = beginning(path)
        start = text.lstrip()[:1]
        return next((kind for kind, first, words in _JSON if start == first and all(word in text for word in words)), None)
    if suffix == ".jsonl":
        return "hf_objects" if re.search(r'"objects"\s*:\s*\{', beginning(path)) else None
    if suffix == ".xml":
        text = beginning(path)
        return next((kind for kind, pattern in _XML if pattern.search(text)), None)
    if suffix == ".csv":
        first = columns_of(beginning(path))
        columns = {column.lower() for column in first}
        boxes = any(names <= columns for names in _BOX_COLUMNS)
        return "csv" if (boxes and columns & _IMAGE_COLUMNS) or is_box_row(first) else None
    if suffix in (".yaml", ".yml"):
        return "yolo" if re.search(r"^\s*[\"']?names[\"']?\s*:", beginning(path), re.MULTILINE) else None
    return None


def unread_program(path: Path) -> str:
    """The program that an annotation file seems to be of, whose format is not read, and what to do; "" for no such program."""
    text = beginning(path)
    return next((program for program, words in _UNREAD if all(word in text for word in words)), "")


def looks_like_labels(path: Path) -> bool:
    """Whether a text file has YOLO's lines: a class and at least four numbers; an empty one may have them, too."""
    lines = [line.split() for line in beginning(path).splitlines()[:20] if line.strip()]
    return all(len(words) >= 5 and all(_is_number(word) for word in words) for words in lines)


def beginning(path: Path) -> str:
    """The first MiB of a file and its end as text; empty when it cannot be read."""
    try:
        with regular(path).open("rb") as file:
            start = file.read(_PIECE)
            size = path.stat().st_size
            file.seek(max(len(start), size - (1 << 16)))
            return decoded(start + file.read(), errors="replace")
    except OSError:
        return ""


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
