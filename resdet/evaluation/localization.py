"""Errors of localizers, which guess a class and a box five times an image (paper, appendix C; ILSVRC's CLS-LOC task).

Legend: M images, G guesses, B boxes, K classes; boxes float32 ``xyxy``, pixels of the original image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from resdet.data.localization import UNLABELLED
from resdet.errors import TrainingError
from resdet.evaluation.ground_truth import distinct_names
from resdet.ops.iou import box_iou

GUESSES = 5  # guesses of an image that count
IOU = 0.5  # the least IoU of a right box
_NEVER = GUESSES  # the rank when no guess is right
Ranks = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Guesses:
    """Guesses for one image, best first; each is a class and a box.

    Attributes:
        labels: int64 (G,), 0 … K-1; the first five count, and a class may be named twice.
        boxes: (G, 4).
        probabilities: (G,), the probabilities of the classes; None when unknown.
        scores: (G,), the scores of the boxes; None when unknown.
    """

    labels: Tensor
    boxes: Tensor
    probabilities: Tensor | None = None
    scores: Tensor | None = None


@dataclass(frozen=True)
class Localization:
    """The output of a localizer for one image.

    Attributes:
        guesses: the guesses; None when no classes were guessed.
        box: (4,), the box of the image's own class; None when it was not asked for.
        score: the score of that box.
    """

    guesses: Guesses | None = None
    box: Tensor | None = None
    score: float = 0.0


@dataclass(frozen=True, eq=False)
class LocalizationHits:
    """How good the output of a localizer is, image by image.

    Attributes:
        labelled: bool (M,), images whose class is known.
        boxed: bool (M,), labelled images with a box; the localization errors are measured on them.
        class_rank: int64 (M,), the rank from 0 of the first of the five guesses with the right class; 5 for none.
        box_rank: int64 (M,), the rank of the first guess with the right class and a right box; 5 for none.
        overlap: float64 (M,), the greatest IoU of the box found for the image's own class with a true one; NaN without a box.
    """

    labelled: npt.NDArray[np.bool_]
    boxed: npt.NDArray[np.bool_]
    class_rank: Ranks
    box_rank: Ranks
    overlap: npt.NDArray[np.float64]


def localization_hits(found: Sequence[Localization], labels: Sequence[int], boxes: Sequence[Tensor]) -> LocalizationHits:
    """Compare the output of a localizer with the ground truth.

    A guess is right when its class is that of the image, and its box overlaps one of the B boxes of that class with an IoU of
    0.5 or more. The development kit counts pixels of boxes that include their last pixel, which gives the same IoU.

    Args:
        found: the output for each image.
        labels: the label of each image, 0 … K-1, or ``UNLABELLED``.
        boxes: for each image (B, 4), the boxes of the objects of its class.

    Raises:
        TrainingError: when a box is not finite.
        ValueError: when the lengths differ.
    """
    _check_finite(found)
    class_rank, box_rank = (np.full(len(found), _NEVER) for _ in range(2))
    overlap = np.full(len(found), np.nan)
    for index, (image, label, truth) in enumerate(zip(found, labels, boxes, strict=True)):
        if image.guesses is not None:
            right = image.guesses.labels[:GUESSES] == label
            class_rank[index] = _first(right)
            box_rank[index] = _first(right & (_overlaps(image.guesses.boxes[:GUESSES], truth) >= IOU))
        if image.box is not None and len(truth):
            overlap[index] = float(_overlaps(image.box[None], truth)[0])
    labelled = np.array([label != UNLABELLED for label in labels], dtype=np.bool_)
    boxed = labelled & np.array([len(truth) > 0 for truth in boxes], dtype=np.bool_)
    return LocalizationHits(labelled, boxed, class_rank, box_rank, overlap)


def localization_metrics(
    found: Sequence[Localization], labels: Sequence[int], boxes: Sequence[Tensor], names: Sequence[str]
) -> dict[str, Any]:
    """The content of ``metrics.json``. Arguments and errors are those of ``localization_hits``; ``names`` are K class names.

    Returns:
        "top1_loc_error" and "top5_loc_error", and "gt_class_loc_error": the share of images whose box of their own class is
        wrong, and "mean_iou" of these boxes, all over the images that have a box; "top1_error" and "top5_error" of the classes;
        the same "per_class" by name; "errors": what is wrong with the first guess ("top1") and with all five ("top5"), as
        shares of the images that have a box; "meta". None stands where nothing was measured.
    """
    hits = localization_hits(found, labels, boxes)
    guessed = any(image.guesses is not None for image in found)
    classes = np.asarray(labels, dtype=np.int64)
    everything = np.ones(len(classes), dtype=np.bool_)
    per_class = {
        name: {**_errors(hits, classes == label, guessed), "images": int((classes == label).sum())}
        for label, name in enumerate(distinct_names(names, range(len(names))))
    }
    return {
        **_errors(hits, everything, guessed),
        "errors": {f"top{count}": _causes(hits, count, guessed) for count in (1, GUESSES)},
        "per_class": per_class,
        "meta": {
            "metric": "localization",
            "iou": IOU,
            "images": len(classes),
            "unlabelled": int((~hits.labelled).sum()),
            "without_box": int((hits.labelled & ~hits.boxed).sum()),
        },
    }


def _check_finite(found: Sequence[Localization]) -> None:
    wrong = 0
    for image in found:
        boxes = [image.guesses.boxes] if image.guesses is not None else []
        boxes += [image.box] if image.box is not None else []
        wrong += not all(bool(torch.isfinite(rows).all()) for rows in boxes)
    if wrong:
        raise TrainingError(f"the localizer's boxes must be finite, they are not for {wrong} of {len(found)} images")


def _overlaps(boxes: Tensor, truth: Tensor) -> Tensor:
    """The greatest IoU (G,) of each box with one of ``truth`` (B, 4); 0 without any."""
    if not len(truth):
        return torch.zeros(len(boxes), dtype=torch.float64)
    # in double precision whole pixels give an exact 0.5
    return box_iou(boxes.cpu().double(), truth.cpu().double()).max(1).values


def _first(right: Tensor) -> int:
    """The first true element, ``_NEVER`` for none."""
    places = right.nonzero()[:, 0].tolist()
    return places[0] if places else _NEVER


def _errors(hits: LocalizationHits, chosen: npt.NDArray[np.bool_], guessed: bool) -> dict[str, float | None]:
    labelled, boxed = chosen & hits.labelled, chosen & hits.boxed
    asked = boxed & ~np.isnan(hits.overlap)
    return {
        "top1_loc_error": _share(hits.box_rank[boxed] >= 1) if guessed else None,
        "top5_loc_error": _share(hits.box_rank[boxed] >= GUESSES) if guessed else None,
        "gt_class_loc_error": _share(hits.overlap[asked] < IOU),
        "top1_error": _share(hits.class_rank[labelled] >= 1) if guessed else None,
        "top5_error": _share(hits.class_rank[labelled] >= GUESSES) if guessed else None,
        "mean_iou": _share(hits.overlap[asked]),
    }


def _causes(hits: LocalizationHits, count: int, guessed: bool) -> dict[str, float | None]:
    """Shares of images by error: the right class is not among the first ``count`` guesses, or it is but its box is wrong."""
    if not guessed:
        return {"wrong_class": None, "wrong_box": None}
    wrong_class = hits.class_rank[hits.boxed] >= count
    wrong = hits.box_rank[hits.boxed] >= count
    return {"wrong_class": _share(wrong_class), "wrong_box": _share(wrong & ~wrong_class)}


def _share(values: npt.NDArray[Any]) -> float | None:
    return float(values.mean()) if len(values) else None
