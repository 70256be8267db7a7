"""Tells by their content what annotation files are."""

from __future__ import annotations

import re
from pathlib import Path

from resdet.files import regular

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
_XML = (("cvat", re.compile(r"<annotations[\s>]")), ("voc", re.compile(r"<annotation[\s>]")))
_IMAGE_COLUMNS = {"filename", "imageid", "image_id", "image", "file", "path", "image_path", "img", "file_name"}
_BOX_COLUMNS = ({"xmin", "ymin", "xmax", "ymax"}, {"x1", "y1", "x2", "y2"})


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
        columns = {column.strip(" \"'").lower() for column in beginning(path).partition("\n")[0].split(",")}
        boxes = any(names <= columns for names in _BOX_COLUMNS)
        return "csv" if boxes and columns & _IMAGE_COLUMNS else None
    if suffix in (".yaml", ".yml"):
        return "yolo" if re.search(r"^\s*[\"']?names[\"']?\s*:", beginning(path), re.MULTILINE) else None
    return None


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
            return (start + file.read()).decode("utf-8-sig", errors="replace")
    except OSError:
        return ""


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
