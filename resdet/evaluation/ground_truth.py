"""Ground truth as columns of numbers: checked once, then shared by every metric.

Legend: G annotated objects; boxes ``(x, y, width, height)`` in pixels, as COCO files hold them. Images and categories are
numbered in the sorted order of their ids, the order in which the official code visits them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from resdet.data.formats.coco_rows import SCORED_ANNOTATION, SCORED_CATEGORY, SCORED_IMAGE
from resdet.data.problems import Problems, shown

if TYPE_CHECKING:
    from resdet.data.dataset import DetectionDataset

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class GroundTruth:
    """The ground truth of a data set.

    Attributes:
        image_ids: the file's image ids, sorted.
        category_ids: the file's category ids, sorted.
        names: their class names; equal names are told apart by their ids.
        sizes: float64 (images, 2), width and height in pixels, infinite where the file has none.
        image: int64 (G,), index into ``image_ids``.
        category: int64 (G,), index into ``category_ids``.
        boxes: float64 (G, 4) ``(x, y, width, height)``, pixels.
        area: float64 (G,), square pixels, the file's own (often of a mask); width * height where the file has none.
        crowd: bool (G,), COCO's ``iscrowd``.
        difficult: bool (G,), VOC's ``difficult``, or ``ignore``, or a crowd: left out of the VOC metrics.
        has_id_zero: whether an annotation has id 0, which the official COCO code can never match.
    """

    image_ids: tuple[int | str, ...]
    category_ids: tuple[int, ...]
    names: tuple[str, ...]
    sizes: Floats
    image: Integers
    category: Integers
    boxes: Floats
    area: Floats
    crowd: Flags
    difficult: Flags
    has_id_zero: bool = False

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GroundTruth:
        """Read a COCO-format dict with "images", "annotations" and "categories".

        An annotation needs "id", "image_id", "category_id" and "bbox"; "area", "iscrowd", "difficult" and "ignore" may be
        missing or null. Annotation ids only have to be unique.

        Raises:
            DataError: with all problems, the first 20 of them written out.
        """
        problems = Problems()
        images, categories, annotations = _sections(values, problems)
        image_ids, category_ids = SCORED_IMAGE.ids(images), SCORED_CATEGORY.ids(categories)
        if len({type(image_id) for image_id in image_ids}) > 1:
            problems.add("images", "'id' must be numbers or strings throughout, got both")
        known = {"image_id": image_ids, "category_id": category_ids}
        for kind, rows in ((SCORED_IMAGE, images), (SCORED_CATEGORY, categories), (SCORED_ANNOTATION, annotations)):
            for problem in kind.check(rows, known):
                problems.add(problem.where, problem.text)
        problems.raise_if_any()
        image_index = {key: index for index, key in enumerate(sorted(image_ids))}
        category_index = {key: index for index, key in enumerate(sorted(category_ids))}

        names = {row["id"]: str(row.get("name", row["id"])) for row in categories}
        sizes = {row["id"]: (row.get("width") or np.inf, row.get("height") or np.inf) for row in images}
        boxes = np.array([row["bbox"] for row in annotations], dtype=np.float64).reshape(-1, 4)
        crowd = np.array([bool(row.get("iscrowd")) for row in annotations], dtype=np.bool_)
        ignored = [bool(row.get("difficult")) or bool(row.get("ignore")) for row in annotations]
        return cls(
            image_ids=tuple(image_index),
            category_ids=tuple(category_index),
            names=distinct_names([names[key] for key in category_index], list(category_index)),
            sizes=np.array([sizes[key] for key in image_index], dtype=np.float64).reshape(-1, 2),
            image=np.array([image_index[row["image_id"]] for row in annotations], dtype=np.int64),
            category=np.array([category_index[row["category_id"]] for row in annotations], dtype=np.int64),
            boxes=boxes,
            area=np.array([_area(row) for row in annotations], dtype=np.float64),
            crowd=crowd,
            difficult=np.array(ignored, dtype=np.bool_) | crowd,
            has_id_zero=any(row["id"] == 0 for row in annotations),
        )

    @classmethod
    def from_dataset(cls, dataset: DetectionDataset) -> GroundTruth:
        """The ground truth of a data set, whose reader has checked it; equals ``from_dict(dataset.ground_truth())``."""
        images = np.argsort(dataset.ids)
        categories = np.argsort(dataset.category_ids)
        category_ids = tuple(dataset.category_ids[label] for label in categories)
        image_index, category_index = np.argsort(images), np.argsort(categories)
        return cls(
            image_ids=tuple(dataset.ids[images].tolist()),
            category_ids=category_ids,
            names=distinct_names([dataset.names[label] for label in categories], category_ids),
            sizes=dataset.sizes[images, ::-1].astype(np.float64),
            image=np.repeat(image_index, np.diff(dataset.offsets)),
            category=category_index[dataset.labels],
            boxes=dataset.boxes,
            area=dataset.areas,
            crowd=dataset.crowd,
            difficult=dataset.difficult | dataset.crowd,
        )


def distinct_names(names: Sequence[str], ids: Sequence[int | str]) -> tuple[str, ...]:
    """``names`` with the id added to those that occur more than once (ImageNet has two cranes)."""
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return tuple(f"{name} [{key}]" if counts[name] > 1 else name for name, key in zip(names, ids, strict=True))


def _area(row: Mapping[str, Any]) -> float:
    """The area of an annotation, or that of its box."""
    area: float | None = row.get("area")
    return float(row["bbox"][2] * row["bbox"][3]) if area is None else area


def _sections(values: Mapping[str, Any], problems: Problems) -> list[list[Any]]:
    """Images, categories and annotations; a section that is not a list is a problem, and counts as empty."""
    if not isinstance(values, Mapping):
        problems.add("ground truth", f"must be an object with images, annotations and categories, got {shown(values)}")
        problems.raise_if_any()
    sections = []
    for key in ("images", "categories", "annotations"):
        rows = values.get(key)
        if not isinstance(rows, list):
            got = f"got {shown(rows)}" if key in values else "it is missing"
            problems.add("ground truth", f"{key!r} must be a list, {got}")
        sections.append(rows if isinstance(rows, list) else [])
    return sections
