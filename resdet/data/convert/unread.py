"""Counts what annotation files tell and no data set here holds, so that a conversion can say that it is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from resdet.config.schema import DetectionSourceConfig
from resdet.data.dataset import DetectionDataset
from resdet.data.formats.voc import image_names
from resdet.data.formats.voc_xml import parse_xml
from resdet.files import read_json, walk_files

# what is read of COCO's sections; "ignore" follows from "difficult"
_READ = {
    "images": {"id", "file_name", "width", "height"},
    "annotations": {"id", "image_id", "category_id", "bbox", "area", "iscrowd", "difficult", "ignore"},
    "categories": {"id", "name"},
}
_READ_OF_IMAGE = {"folder", "filename", "path", "size", "object"}
_READ_OF_OBJECT = {"name", "bndbox", "difficult"}
# what programs write where there is nothing to tell
_NOTHING: tuple[Any, ...] = (None, "", [], {}, 0)
_NOTHING_OF_VOC = ("", "0", "unspecified", "unknown")


def unread_fields(source: DetectionSourceConfig, dataset: DetectionDataset) -> list[str]:
    """Lines that count the fields of COCO's and VOC's annotation files that are not read, with something in them.

    Args:
        source: the files.
        dataset: what was read of them.

    Raises:
        DataError: the files can no longer be read.
    """
    counts: Counter[str] = Counter()
    if source.format == "coco":
        counts.update(_coco(read_json(Path(source.annotations).expanduser())))
    elif source.format == "voc":
        stems = {Path(name).name for name in image_names(dataset).values()}
        files = map(Path, walk_files(Path(source.root).expanduser()))
        counts.update(_voc(path for path in files if path.suffix.lower() == ".xml" and path.stem in stems))
    return [f"{what} is not read: {count} lost" for what, count in counts.items()]


def _coco(content: Mapping[str, Any]) -> Iterator[str]:
    for section, known in _READ.items():
        for row in content.get(section) or ():
            for key in row if isinstance(row, dict) else ():
                if key not in known and row[key] not in _NOTHING:
                    yield f"{key!r} of {section}"
    for section, rows in content.items():
        if section not in _READ and rows not in _NOTHING:
            yield from [repr(section)] * (len(rows) if isinstance(rows, list) else 1)


def _voc(files: Iterable[Path]) -> Iterator[str]:
    for path in files:
        tree = parse_xml(path, [])
        if tree is None:
            continue
        parts = [("images", tree, _READ_OF_IMAGE), *(("objects", item, _READ_OF_OBJECT) for item in tree.iter("object"))]
        for kind, part, known in parts:
            for field in part:
                if field.tag not in known and "".join(field.itertext()).strip().lower() not in _NOTHING_OF_VOC:
                    yield f"{field.tag!r} of {kind}"
