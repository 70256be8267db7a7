"""COCO's instances json."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from resdet.data.dataset import DetectionDataset
from resdet.data.formats.annotation_cache import cached
from resdet.data.formats.annotations import DatasetBuilder, class_mismatch
from resdet.errors import DataError
from resdet.files import read_json

_INT64 = range(-(2**63), 2**63)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value in _INT64


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or _is_integer(value)


class _Rule(NamedTuple):
    """What a value must be."""

    text: str
    holds: Callable[[Any], bool]


_ID = _Rule("an integer", _is_integer)
_SIDE = _Rule("a positive integer", lambda value: _is_integer(value) and value > 0)
_TEXT = _Rule("a non-empty string", lambda value: isinstance(value, str) and bool(value))
_BOX = _Rule("a list of 4 numbers", lambda value: isinstance(value, list) and len(value) == 4 and all(map(_is_number, value)))
_FLAG = _Rule("0 or 1", lambda value: isinstance(value, (bool, int)) and value in (0, 1))
_AREA = _Rule("a finite number not below 0", lambda value: _is_number(value) and 0 <= value < float("inf"))
_CATEGORY_KEYS = (("id", _ID), ("name", _TEXT))
_IMAGE_KEYS = (("id", _ID), ("file_name", _TEXT), ("height", _SIDE), ("width", _SIDE))
_OBJECT_KEYS = (("id", _ID), ("image_id", _ID), ("category_id", _ID), ("bbox", _BOX))
_OPTIONAL_OBJECT_KEYS = (("iscrowd", _FLAG), ("difficult", _FLAG), ("area", _AREA))


def read_coco(
    images_dir: str | Path,
    annotations_json: str | Path,
    names: Sequence[str] | None = None,
    *,
    keep_difficult: bool = False,
    cache: Path | None = None,
) -> DetectionDataset:
    """Read an instances file.

    Crowds become ignored objects. Boxes of zero size are left out of training and boxes partly outside are clipped, each with a
    counted warning. ``iscrowd`` and ``area`` may be missing: 0, and the area of the box. ``difficult``, which COCO itself does
    not have, is VOC's mark in a converted file.

    Args:
        images_dir: the folder that ``file_name`` is relative to.
        annotations_json: the file.
        names: class names in label order, to which the file's categories are mapped by name; the file's own, in order of their
            ids, when not given.
        keep_difficult: train on objects marked difficult; otherwise they are ignored.
        cache: a folder that keeps what was read of a large file, see ``annotation_cache``; None: nothing is kept.

    Raises:
        DataError: with every problem of the file: broken JSON, missing or mistyped keys, ids that are unknown or used twice,
            boxes that are not finite, negative or outside, unsafe or missing image files, unknown classes.
    """

    def read() -> DetectionDataset:
        return _read(Path(images_dir), Path(annotations_json), names, keep_difficult)

    if cache is None:
        return read()
    arguments = [str(images_dir), str(annotations_json), None if names is None else list(names), keep_difficult]
    return cached(cache, Path(annotations_json), arguments, read)


def _read(folder: Path, path: Path, names: Sequence[str] | None, keep_difficult: bool) -> DetectionDataset:
    source = str(path)
    content = _parse(path)
    builder = DatasetBuilder(source)
    problems = builder.problems
    found = _read_categories(content["categories"], source, problems)
    names = list(found.values()) if names is None else list(names)
    problems += [f"{source}: {problem}" for problem in class_mismatch(list(found.values()), names)]
    labels = {category: names.index(name) for category, name in found.items() if name in names}
    images = _read_images(content["images"], source, folder, builder)
    _read_objects(content["annotations"], source, builder, images, found, labels, keep_difficult)
    return builder.build(names, _category_ids(found, names))


def _parse(path: Path) -> dict[str, list[Any]]:
    content = read_json(path, _without_mask)
    sections = ("images", "annotations", "categories")
    if not isinstance(content, dict):
        raise DataError(f"{path}: must be an object with {', '.join(sections)}, got {type(content).__name__}")
    if "annotations" not in content and "images" in content:
        warnings.warn(f"{path}: has no annotations: its images can be detected on, not trained on or scored", stacklevel=3)
        content["annotations"] = []
    wrong = [key for key in sections if not isinstance(content.get(key), list)]
    if wrong:
        raise DataError([f"{path}: key {key!r} must be a list, got {_show(content, key)}" for key in wrong])
    return content


def _without_mask(entry: dict[str, Any]) -> dict[str, Any]:
    """Outlines are most of an instances file, and nothing here looks at them."""
    entry.pop("segmentation", None)
    return entry


def _read_categories(entries: list[Any], source: str, problems: list[str]) -> dict[int, str]:
    """Category id -> name, in order of the ids."""
    found: dict[int, str] = {}
    for row, entry in enumerate(entries):
        where = f"{source}: category {_name(entry, row)}"
        wrong = _wrong_keys(entry, _CATEGORY_KEYS)
        if not wrong and entry["id"] in found:
            wrong = [f"id {entry['id']} is used twice"]
        elif not wrong and entry["name"] in found.values():
            wrong = [f"name {entry['name']!r} is used twice"]
        if wrong:
            problems += [f"{where}: {problem}" for problem in wrong]
        else:
            found[entry["id"]] = entry["name"]
    return dict(sorted(found.items()))


def _read_images(entries: list[Any], source: str, folder: Path, builder: DatasetBuilder) -> dict[int, int | None]:
    """Image id -> index; None for an image whose entry is broken, so that its objects are not called orphans too."""
    images: dict[int, int | None] = {}
    for row, entry in enumerate(entries):
        where = f"{source}: image {_name(entry, row)}"
        wrong = _wrong_keys(entry, _IMAGE_KEYS)
        key: Any = entry.get("id") if isinstance(entry, dict) else None
        if _is_integer(key):
            if key in images:
                wrong.append(f"id {key} is used twice")
            images.setdefault(key, None)
        if wrong:
            builder.problems += [f"{where}: {problem}" for problem in wrong]
            continue
        images[key] = builder.add_image(where, folder, entry["file_name"], key, entry["height"], entry["width"])
    return images


def _read_objects(
    entries: list[Any],
    source: str,
    builder: DatasetBuilder,
    images: dict[int, int | None],
    categories: dict[int, str],
    labels: dict[int, int],
    keep_difficult: bool,
) -> None:
    seen: set[int] = set()
    for row, entry in enumerate(entries):
        where = f"{source}: annotation {_name(entry, row)}"
        wrong = _wrong_keys(entry, _OBJECT_KEYS, _OPTIONAL_OBJECT_KEYS)
        if not wrong:
            if entry["id"] in seen:
                wrong.append(f"id {entry['id']} is used twice")
            if entry["image_id"] not in images:
                wrong.append(f"image_id {entry['image_id']} is not among the file's images")
            if entry["category_id"] not in categories:
                wrong.append(f"category_id {entry['category_id']} is not among the file's categories")
            seen.add(entry["id"])
        if wrong:
            builder.problems += [f"{where}: {problem}" for problem in wrong]
            continue
        image = images[entry["image_id"]]
        if image is None:
            continue
        crowd, difficult = bool(entry.get("iscrowd", 0)), bool(entry.get("difficult", 0))
        builder.add_object(
            where,
            image,
            labels.get(entry["category_id"], 0),
            tuple(map(float, entry["bbox"])),  # type: ignore[arg-type]
            entry["id"],
            area=float(entry["area"]) if "area" in entry else None,
            crowd=crowd,
            difficult=difficult,
            ignore=crowd or (difficult and not keep_difficult),
        )


def _category_ids(found: dict[int, str], names: Sequence[str]) -> list[int]:
    """The file's id of each name; fresh ids for names that the file lacks."""
    ids = {name: key for key, name in found.items()}
    fresh = iter(range(max(found, default=0) + 1, max(found, default=0) + len(names) + 1))
    return [ids[name] if name in ids else next(fresh) for name in names]


def _wrong_keys(entry: Any, required: Sequence[tuple[str, _Rule]], optional: Sequence[tuple[str, _Rule]] = ()) -> list[str]:
    if not isinstance(entry, dict):
        return [f"must be an object, got {type(entry).__name__}"]
    present = [(key, rule) for key, rule in optional if key in entry]
    return [
        f"{key!r} must be {rule.text}, got {_show(entry, key)}"
        for key, rule in (*required, *present)
        if not rule.holds(entry.get(key))
    ]


def _name(entry: Any, row: int) -> str:
    if isinstance(entry, dict) and "id" in entry:
        return f"id {entry['id']!r:.40}"
    return f"at position {row}"


def _show(entry: dict[str, Any], key: str) -> str:
    return f"{entry[key]!r:.80}" if key in entry else "none (the key is missing)"
