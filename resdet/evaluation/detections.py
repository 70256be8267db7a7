"""Detections as columns of numbers, read from COCO results and checked against the ground truth.

Legend: D detections; boxes ``(x, y, width, height)`` in pixels, as COCO files hold them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from resdet.data.formats.coco_rows import BOX, LIMIT, SCORE, RowKind, Rule
from resdet.data.problems import Problems, shown
from resdet.evaluation.ground_truth import Floats, GroundTruth, Integers

RESULT_KEYS = ("image_id", "category_id", "bbox", "score")


@dataclass(frozen=True)
class DetectionColumns:
    """Detections in the order given; detections of equal score keep this order.

    Attributes:
        image: int64 (D,), index into the ground truth's ``image_ids``.
        category: int64 (D,), index into its ``category_ids``.
        boxes: float64 (D, 4) ``(x, y, width, height)``, pixels.
        scores: float64 (D,), any finite numbers.
    """

    image: Integers
    category: Integers
    boxes: Floats
    scores: Floats

    @classmethod
    def of(cls, detections: Detected, truth: GroundTruth) -> DetectionColumns:
        """``detections`` themselves when they are columns already, else ``from_results``."""
        return detections if isinstance(detections, DetectionColumns) else cls.from_results(detections, truth)

    @classmethod
    def from_results(cls, results: Sequence[Any] | Mapping[str, Any], truth: GroundTruth) -> DetectionColumns:
        """Read COCO results: dicts with "image_id", "category_id", "bbox", "score", or one dict of four columns so named.

        Raises:
            DataError: with all problems, the first 20 of them written out.
        """
        problems = Problems()
        columns, rows = _columns(results, problems)
        image_index = {key: index for index, key in enumerate(truth.image_ids)}
        category_index = {key: index for index, key in enumerate(truth.category_ids)}
        try:
            found = cls(
                np.array([image_index[key] for key in columns["image_id"]], dtype=np.int64),
                np.array([category_index[key] for key in columns["category_id"]], dtype=np.int64),
                _numbers(columns["bbox"], (len(rows), 4)),
                _numbers(columns["score"], (len(rows),)),
            )
            if not (found.boxes[:, 2:] >= 0).all():
                raise ValueError("a width or height below 0")
        except (KeyError, TypeError, ValueError):  # the fast check failed; now find out which rows are wrong, and why
            _explain(columns, rows, image_index, category_index, truth, problems)
            problems.raise_if_any()
            raise
        problems.raise_if_any()
        return found

    def checked(self, truth: GroundTruth) -> DetectionColumns:
        """Return these detections after checking that all numbers are finite and no width or height is below 0.

        Raises:
            DataError: with all problems.
        """
        numbers = np.column_stack([self.boxes, self.scores])
        sound = (np.abs(numbers) < LIMIT).all() and (self.boxes[:, 2:] >= 0).all()
        return self if sound else self.from_results(self.to_results(truth), truth)

    def to_results(self, truth: GroundTruth) -> dict[str, npt.NDArray[Any]]:
        """COCO results as columns: "image_id" and "category_id" (D,) as in the ground truth's file, "bbox", "score"."""
        return {
            "image_id": np.array(truth.image_ids)[self.image],
            "category_id": np.array(truth.category_ids)[self.category],
            "bbox": self.boxes,
            "score": self.scores,
        }


Detected: TypeAlias = DetectionColumns | Sequence[Mapping[str, Any]] | Mapping[str, Any]


def _columns(results: Sequence[Any] | Mapping[str, Any], problems: Problems) -> tuple[dict[str, Any], list[int]]:
    """The four columns, and the row of the results that each of their entries comes from."""
    if isinstance(results, Mapping):
        missing = [key for key in RESULT_KEYS if key not in results]
        if missing:
            hint = "; a results file holds a list of results, not a ground truth" if "annotations" in results else ""
            problems.add("detections", f"needs the columns {', '.join(RESULT_KEYS)}; {', '.join(missing)} missing{hint}")
            problems.raise_if_any()
        for key in RESULT_KEYS:
            if not isinstance(results[key], (list, tuple, np.ndarray)):
                problems.add("detections", f"column {key!r} must be a list, got {shown(results[key])}")
        problems.raise_if_any()
        lengths = {key: len(results[key]) for key in RESULT_KEYS}
        if len(set(lengths.values())) > 1:
            problems.add("detections", f"the columns must be of one length, got {lengths}")
            problems.raise_if_any()
        ids = {
            key: results[key].tolist() if isinstance(results[key], np.ndarray) else results[key]
            for key in ("image_id", "category_id")
        }
        return {**ids, "bbox": results["bbox"], "score": results["score"]}, list(range(lengths["score"]))
    if isinstance(results, str) or not isinstance(results, Sequence):
        problems.add("detections", f"must be a list of results, got {shown(results)}")
        problems.raise_if_any()
    required = frozenset(RESULT_KEYS)
    rows = [position for position, row in enumerate(results) if isinstance(row, dict) and required <= row.keys()]
    if len(rows) < len(results):
        for position, row in enumerate(results):
            if not isinstance(row, dict):
                problems.add(f"result {position}", f"must be an object, got {shown(row)}")
            elif not required <= row.keys():
                missing = [key for key in RESULT_KEYS if key not in row]
                problems.add(f"result {position}", f"needs {', '.join(RESULT_KEYS)}; {', '.join(missing)} missing")
    return {key: [results[row][key] for row in rows] for key in RESULT_KEYS}, rows


def _numbers(values: Any, shape: tuple[int, ...]) -> Floats:
    """``values`` as float64 of ``shape``; a ValueError when they are not all finite numbers (NumPy would parse strings)."""
    array = np.asarray(values) if len(values) else np.zeros(shape)
    if array.shape != shape or array.dtype.kind not in "iuf":
        raise ValueError(f"expected numbers of shape {shape}, got {array.dtype} {array.shape}")
    numbers = array.astype(np.float64)
    if not (np.abs(numbers) < LIMIT).all():
        raise ValueError("not finite")
    return numbers


def _explain(
    columns: dict[str, Any],
    rows: list[int],
    images: Mapping[Any, int],
    categories: Mapping[Any, int],
    truth: GroundTruth,
    problems: Problems,
) -> None:
    """Add the problems of the columns, row by row."""
    names = ", ".join(f"{key} {name}" for key, name in list(zip(truth.category_ids, truth.names, strict=True))[:8])
    more = ", ..." if len(truth.names) > 8 else ""
    kind = RowKind(
        "result",
        {
            "image_id": _known(images, f"one of the ground truth's {len(images)} image ids"),
            "category_id": _known(categories, f"a category of the ground truth ({names}{more})"),
            "bbox": BOX,
            "score": SCORE,
        },
    )
    plain = {key: column.tolist() if isinstance(column, np.ndarray) else column for key, column in columns.items()}
    plain["bbox"] = [box.tolist() if isinstance(box, np.ndarray) else box for box in plain["bbox"]]
    for problem in kind.check([dict(zip(plain, values, strict=True)) for values in zip(*plain.values(), strict=True)]):
        problems.add(f"result {rows[problem.place]}", problem.text)


def _known(ids: Mapping[Any, int], text: str) -> Rule:
    """The rule that a value must be one of ``ids``."""

    def holds(key: Any) -> bool:
        return isinstance(key, (Real, str)) and not isinstance(key, bool) and key in ids

    return Rule(text, holds, lambda key: _twin(key, ids))


def _twin(key: Any, known: Mapping[Any, int]) -> str:
    """A remark for a key that is known with another type: a number instead of a string, or a string instead of a number."""
    if isinstance(key, str) and len(key) < 20 and key.strip().isdecimal() and int(key) in known:
        return f" (a string; the ground truth has the number {int(key)})"
    if isinstance(key, int) and str(key) in known:
        return f" (a number; the ground truth has the string {str(key)!r})"
    return ""
