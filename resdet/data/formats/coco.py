"""COCO's instances json."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from resdet.data.dataset import DetectionDataset
from resdet.data.formats.annotation_cache import cached
from resdet.data.formats.annotations import DatasetBuilder, class_mismatch
from resdet.data.formats.coco_mend import Mender, outline_box
from resdet.data.formats.coco_rows import TRAINING_ANNOTATION, TRAINING_CATEGORY, TRAINING_IMAGE, RowKind
from resdet.data.formats.coco_stream import Annotations, read_instances
from resdet.data.problems import shown
from resdet.errors import DataError
from resdet.files import read_json

# keys of the annotations of COCO's other files
_OF_OTHER_TASKS = {"segments_info": "panoptic segments", "caption": "captions"}


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
    counted warning. ``iscrowd`` and ``area`` may be missing or null: 0, and the area of the box. ``difficult``, which COCO
    itself does not have, is VOC's mark in a converted file. What other programs write in their own way is read where only one
    thing can be meant, with a counted warning: see ``coco_mend`` for ids, numbers and categories, ``file_names`` for the names
    of images; images without a size have that of their header, objects without a box that of their outline.

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
    builder = DatasetBuilder(source)
    content = _parse(path, builder)
    mender = Mender(builder)
    problems = builder.problems
    categories, images, annotations = content["categories"], content["images"], content["annotations"]
    if _any_wrong(TRAINING_CATEGORY, categories):
        mender.categories(categories, annotations)
    mender.root(categories, annotations)
    wrong = _wrong_rows(TRAINING_CATEGORY, categories, source, problems)
    found = dict(sorted((row["id"], row["name"]) for place, row in enumerate(categories) if place not in wrong))
    names = list(found.values()) if names is None else list(names)
    problems += [f"{source}: {problem}" for problem in class_mismatch(list(found.values()), names)]
    positions = {name: label for label, name in enumerate(names)}
    labels = {category: positions[name] for category, name in found.items() if name in positions}
    if _any_wrong(TRAINING_IMAGE, images):
        mender.images(images)
    places = _read_images(images, source, folder, builder)
    known = {"image_id": TRAINING_IMAGE.ids(images), "category_id": TRAINING_CATEGORY.ids(categories)}
    wrong = set()
    if not isinstance(annotations, Annotations) or not annotations.sound_together(known):
        annotations = list(annotations)
        if _any_wrong(TRAINING_ANNOTATION, annotations, known):
            mender.annotations(annotations)
        wrong = _wrong_rows(TRAINING_ANNOTATION, annotations, source, problems, known)
    for row, entry in enumerate(annotations):
        # a wrong image is already reported by its own row
        if row not in wrong and entry["image_id"] in places:
            _add_object(builder, f"{source}: {TRAINING_ANNOTATION.where(entry, row)}", entry, places, labels, keep_difficult)
    del images, annotations, known  # of millions, while arrays are made of them
    content.clear()
    return builder.build(names, _category_ids(found, names))


def _parse(path: Path, builder: DatasetBuilder) -> dict[str, Any]:
    each_object = partial(_without_outline, builder)
    try:
        content = read_instances(path, each_object)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if content is None:  # told why, or read whole
        content = read_json(path, each_object)
    sections = ("images", "annotations", "categories")
    if not isinstance(content, dict):
        raise DataError(f"{path}: must be an object with {', '.join(sections)}, got {type(content).__name__}")
    if "annotations" not in content and "images" in content:
        warnings.warn(f"{path}: has no annotations: its images can be detected on, not trained on or scored", stacklevel=3)
        content["annotations"] = []
    first = next(iter(content["annotations"]), None) if isinstance(content.get("annotations"), list) else None
    for key, what in _OF_OTHER_TASKS.items():
        if isinstance(first, dict) and key in first and "bbox" not in first:
            raise DataError(f"{path}: holds COCO's {what}; boxes are in its instances_….json")
    wrong = [key for key in sections if not isinstance(content.get(key), (list, Annotations))]
    if wrong:
        raise DataError([f"{path}: key {key!r} must be a list, got {_shown(content, key)}" for key in wrong])
    return content


def _without_outline(builder: DatasetBuilder, entry: dict[str, Any]) -> dict[str, Any]:
    """Drop the outline of an object: outlines are most of an instances file, and only an object without a box needs one."""
    outline = entry.pop("segmentation", None)
    if outline and not entry.get("bbox") and "image_id" in entry and (box := outline_box(outline)):
        builder.note(
            "objects have no box, which is taken from their outline", f"{builder.source}: {TRAINING_ANNOTATION.where(entry, 0)}"
        )
        entry["bbox"] = box
    return entry


def _any_wrong(kind: RowKind, rows: list[Any], known: Mapping[str, Collection[int]] | None = None) -> bool:
    return next(iter(kind.check(rows, known)), None) is not None


def _wrong_rows(
    kind: RowKind, rows: list[Any], source: str, problems: list[str], known: Mapping[str, Collection[int]] | None = None
) -> set[int]:
    """The places of the wrong rows; a description of each is added to ``problems``."""
    found = list(kind.check(rows, known))
    first = {problem.text: problem.where for problem in reversed(found)}
    problems += [
        f"{source}: {first[text]}: {text}" + (f" (and {count - 1} more like it)" if count > 1 else "")
        for text, count in Counter(problem.text for problem in found).items()
    ]
    return {problem.place for problem in found}


def _read_images(rows: list[Any], source: str, folder: Path, builder: DatasetBuilder) -> dict[int, int]:
    """Add the images whose rows are right; return the index of each by its image id."""
    wrong = _wrong_rows(TRAINING_IMAGE, rows, source, builder.problems)
    places: dict[int, int] = {}
    for place, row in enumerate(rows):
        if place in wrong:
            continue
        where = f"{source}: {TRAINING_IMAGE.where(row, place)}"
        height, width = row.get("height") or 0, row.get("width") or 0
        if not (height and width):
            builder.note("images have no size, which is taken from the image", where)
        places[row["id"]] = builder.add_image(where, folder, row["file_name"], row["id"], height, width)
    return places


def _add_object(
    builder: DatasetBuilder,
    where: str,
    row: dict[str, Any],
    images: Mapping[int, int],
    labels: Mapping[int, int],
    keep_difficult: bool,
) -> None:
    crowd, difficult, area = bool(row.get("iscrowd")), bool(row.get("difficult")), row.get("area")
    builder.add_object(
        where,
        images[row["image_id"]],
        labels.get(row["category_id"], 0),
        tuple(map(float, row["bbox"])),  # type: ignore[arg-type]
        row["id"],
        area=None if area is None else float(area),
        crowd=crowd,
        difficult=difficult,
        ignore=crowd or (difficult and not keep_difficult),
    )


def _category_ids(found: dict[int, str], names: Sequence[str]) -> list[int]:
    """The file's id of each name; fresh ids for names that the file lacks."""
    ids = {name: key for key, name in found.items()}
    fresh = iter(range(max(found, default=0) + 1, max(found, default=0) + len(names) + 1))
    return [ids[name] if name in ids else next(fresh) for name in names]


def _shown(content: dict[str, Any], key: str) -> str:
    return shown(content[key]) if key in content else "none (the key is missing)"
