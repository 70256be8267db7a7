"""The shapes data set: a detection and a classification problem that any machine can make for itself in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from resdet import system
from resdet.data.synthetic.shapes import CLASS_NAMES, SceneObject, draw_crop, draw_scene
from resdet.errors import ConfigError
from resdet.files import unfinished_folder, write_json
from resdet.images import encoded

# shares of the longer side that the two sides of an image have
_SHAPES = ((1.0, 1.0), (0.75, 1.0), (1.0, 0.75))
_CROP_SIDE = 0.4
_CROPS_PER_IMAGE = 4
_SPLITS = ("train", "val")


def make_shapes(folder: str | Path, *, train: int, val: int, size: int, seed: int) -> dict[str, int]:
    """Write the shapes data set: the same bytes for the same arguments on one machine.

    COCO layout: ``images/<split>/*.jpg`` and ``annotations/instances_<split>.json``; a box is the tight box of the pixels of an
    object that can be seen, as in COCO, and objects hidden by more than 60 % are not annotated. Image-folder layout:
    ``crops/<split>/<class>/*.jpg``, as many of each class, drawn for themselves. Image i of a split does not depend on how many
    there are. The folder appears when everything is written, never in part.

    Args:
        folder: must not exist, or be empty.
        train: training images; there are about 4 crops for each.
        val: validation images.
        size: the longer side of an image, pixels; crops are squares of 2/5 of it.
        seed: another one, other images.

    Returns:
        How many images, objects and crops were written.

    Raises:
        ConfigError: when the folder holds something, or a number is out of range.
        OSError: when it cannot be written; it names the folder.
    """
    folder = Path(folder)
    counts = dict(zip(_SPLITS, (train, val), strict=True))
    problems = [f"{name!r} must be at least 1, got {count}" for name, count in counts.items() if count < 1]
    if not 32 <= size <= 4096:
        problems.append(f"'size' must be 32 … 4096 pixels, got {size}")
    if seed < 0:
        problems.append(f"'seed' must not be negative, got {seed}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        problems.append(f"{folder}: must be a new or an empty folder")
    if problems:
        raise ConfigError(problems)
    try:
        return _written(folder, counts, size, seed)
    except OSError as error:  # which names a file that nobody asked for, or none
        raise OSError(error.errno, error.strerror, str(folder)) from error


def _written(folder: Path, counts: dict[str, int], size: int, seed: int) -> dict[str, int]:
    """Make the files in another folder, and give it the name; how many there are."""
    with unfinished_folder(folder) as temporary:
        work = temporary / "shapes"
        written = {"images": 0, "objects": 0, "crops": 0}
        for number, (split, count) in enumerate(counts.items()):
            written["images"] += count
            written["objects"] += write_scenes(work, split, count, size, (seed, number, 0))
            written["crops"] += _write_crops(work, split, count, round(size * _CROP_SIDE), (seed, number, 1))
        if folder.exists():
            folder.rmdir()
        system.replace(work, folder)
    return written


def write_scenes(folder: Path, split: str, count: int, size: int, seed: tuple[int, ...]) -> int:
    """Write one split of the set in COCO's layout, without crops.

    Args:
        folder: must not have this split.
        split: names the folder of the images and the annotation file.
        count: images.
        size: the longer side of an image, pixels.
        seed: image i is drawn from ``(*seed, i)``; that of ``make_shapes`` is ``(seed, 0 or 1, 0)`` in training and validation.

    Returns:
        How many objects were annotated, crowds among them.

    Raises:
        OSError: when it cannot be written.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    target = folder / "images" / split
    target.mkdir(parents=True)
    for index in range(count):
        rng = np.random.default_rng((*seed, index))
        height, width = (round(size * share) for share in _SHAPES[rng.integers(len(_SHAPES))])
        pixels, objects = draw_scene(rng, height, width)
        name = f"{index + 1:06d}.jpg"
        _save(pixels, target / name)
        images.append({"id": index + 1, "file_name": name, "width": width, "height": height})
        annotations += [_annotation(found, len(annotations) + row, index + 1) for row, found in enumerate(objects, 1)]
    content = {
        "info": {"description": f"resdet shapes, {split}", "size": size, "seed": seed[0]},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": label, "name": name} for label, name in enumerate(CLASS_NAMES, 1)],
    }
    write_json(folder / "annotations" / f"instances_{split}.json", content, indent=None)
    return len(annotations)


def _annotation(found: SceneObject, key: int, image_id: int) -> dict[str, Any]:
    return {
        "id": key,
        "image_id": image_id,
        "category_id": found.label + 1,
        "bbox": list(found.box),
        "area": found.area,
        "iscrowd": int(found.crowd),
    }


def _write_crops(folder: Path, split: str, count: int, side: int, seed: tuple[int, ...]) -> int:
    per_class = max(1, round(count * _CROPS_PER_IMAGE / len(CLASS_NAMES)))
    for label, name in enumerate(CLASS_NAMES):
        target = folder / "crops" / split / name
        target.mkdir(parents=True)
        for index in range(per_class):
            rng = np.random.default_rng((*seed, label, index))
            _save(draw_crop(rng, label, side), target / f"{index + 1:06d}.jpg")
    return per_class * len(CLASS_NAMES)


def _save(pixels: np.ndarray, path: Path) -> None:
    path.write_bytes(encoded(Image.fromarray(pixels), "JPEG"))
