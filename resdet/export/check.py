"""An exported file beside the model that it was made of, on pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from PIL import Image
from torch import Tensor

from resdet.data.transforms.sizes import resized_size, size_by_short_side, to_tensor
from resdet.evaluation.agreement import BOXES, SCORES, differences, edges_of
from resdet.export.photos import resized_in_passes
from resdet.export.subject import Subject
from resdet.inference.classifier import ImageClassifier
from resdet.inference.detector import Detector
from resdet.inference.exported.networks import ExportedDetector, ExportedLocalizer
from resdet.inference.exported.program import Program
from resdet.inference.load_exported import AnySizeClassifier, model_of
from resdet.inference.localizer import Localizer
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.ops.boxes import scale_boxes
from resdet.ops.iou import box_iou
from resdet.structures import Detections

_SURE = 0.5  # a detection that people see
_SAME = 0.5  # the IoU of two boxes of one object
_ASKED = 5  # classes that a localizer is asked for


@dataclass(frozen=True)
class Trial:
    """How an exported file did.

    Attributes:
        problems: where it differs from the original by more than rounding.
        losses: what became less, for people: what it is, and the number in words.
    """

    problems: list[str]
    losses: dict[str, str]


def try_exported(program: Program, subject: Subject, pictures: Sequence[Image.Image]) -> Trial:
    """Run an exported file that is open, and its original, on pictures.

    Raises:
        DataError: when the runtime refuses the file.
    """
    exported, original = model_of(program), subject.original
    if isinstance(original, Detector):
        return _try_detector(cast(Detector, exported), original, pictures)
    if isinstance(original, ImageClassifier):
        return _try_classifier(cast(ImageClassifier, exported), original, pictures)
    return _try_localizer(cast(Localizer, exported), original, pictures)


def _try_detector(exported: Detector, original: Detector, pictures: Sequence[Image.Image]) -> Trial:
    network = cast(ExportedDetector, exported.models[0])
    edges = edges_of(cast(FasterRCNN, original.models[0]).roi_heads.postprocess)
    problems, pairs = [], []
    for number, picture in enumerate(pictures, 1):
        if network.program.facts.resizes:  # the whole way, resizing too
            size = (picture.height, picture.width)
            seen = resized_in_passes(picture, resized_size(size, original.transform.short_side, original.transform.max_side))
            expected = original.predict(seen).resized(size)
            found = network.detect([to_tensor(picture)])[0]
            found = found[(found.boxes[:, 2:] > found.boxes[:, :2]).all(1)]
        else:
            expected, found = original.predict(picture), exported.predict(picture)
        problems += [f"picture {number}: {each}" for each in differences(found, expected, edges=edges)]
        pairs.append((found, expected))
    return Trial(problems, _detector_losses(pairs))


def _detector_losses(pairs: Sequence[tuple[Detections, Detections]]) -> dict[str, str]:
    kept, scores, boxes, sure, new = 0, [0.0], [0.0], 0, 0
    for found, expected in pairs:
        wanted = expected.above(_SURE)
        sure += len(wanted)
        same = (box_iou(wanted.boxes, found.boxes) >= _SAME) & (wanted.labels[:, None] == found.labels)
        for row in same.any(1).nonzero()[:, 0].tolist():
            partner = int(same[row].int().argmax())  # the best scored of those that overlap it enough
            kept += 1
            scores.append(float((wanted.scores[row] - found.scores[partner]).abs()))
            boxes.append(float((wanted.boxes[row] - found.boxes[partner]).abs().max()))
        likely = found.above(_SURE)
        known = box_iou(likely.boxes, expected.boxes) * (likely.labels[:, None] == expected.labels)
        new += int((~(known >= _SAME).any(1)).sum())
    return {
        "detections": f"{sum(len(expected) for _, expected in pairs)}, {sure} with a score of {_SURE} or more",
        "found again": f"{kept} of these {sure}, and {new} new ones",
        "score": f"{max(scores):.4f} other at most, {_mean(scores):.4f} on average",
        "box": f"{max(boxes):.2f} pixels other at most, {_mean(boxes):.2f} on average",
    }


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / max(len(numbers) - 1, 1)  # the first stands for none


def _try_classifier(exported: ImageClassifier, original: ImageClassifier, pictures: Sequence[Image.Image]) -> Trial:
    count = len(original.names)
    problems, furthest, same = [], 0.0, 0
    for number, picture in enumerate(pictures, 1):
        seen = picture
        if isinstance(exported, AnySizeClassifier):
            size = size_by_short_side((picture.height, picture.width), original.transform.short_side)
            seen = resized_in_passes(picture, size)
        found, expected = exported.predict(picture, top=count), original.predict(seen, top=count)
        chances = [dict(zip(each.labels, each.scores, strict=True)) for each in (found, expected)]
        gap = max(abs(chances[0][label] - chances[1][label]) for label in range(count))
        if not gap <= SCORES:
            problems.append(f"picture {number}: a probability differs by {gap:.2g}")
        furthest, same = max(furthest, gap), same + (found.labels[0] == expected.labels[0])
    return Trial(problems, {"same class": f"{same} of {len(pictures)}", "probability": f"{furthest:.4f} other at most"})


def _try_localizer(exported: Localizer, original: Localizer, pictures: Sequence[Image.Image]) -> Trial:
    asked = list(range(min(len(original.names), _ASKED)))
    network = cast(ExportedLocalizer, exported.models[0])
    problems, furthest = [], [0.0, 0.0]
    for number, picture in enumerate(pictures, 1):
        expected, expected_scores = original.localize(picture, asked)
        found, scores = exported.localize(picture, asked)
        gaps = [_gap(found, expected), _gap(scores, expected_scores)]
        if network.program.facts.resizes:
            size = (picture.height, picture.width)
            seen = resized_in_passes(picture, size_by_short_side(size, original.views.short_sides[0]))
            expected, expected_scores = original.localize(seen, asked)
            boxes, chances = (each[:, 0] for each in network.best(to_tensor(picture), asked))
            gaps = [_gap(boxes, scale_boxes(expected, (seen.height, seen.width), size)), _gap(chances, expected_scores)]
        if not gaps[0] <= BOXES or not gaps[1] <= SCORES:
            problems.append(f"picture {number}: a box differs by {gaps[0]:.2g} pixels, a score by {gaps[1]:.2g}")
        furthest = [max(pair) for pair in zip(furthest, gaps, strict=True)]
    return Trial(problems, {"box": f"{furthest[0]:.2f} pixels other at most", "score": f"{furthest[1]:.4f} other at most"})


def _gap(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max()) if torch.isfinite(found).all() else torch.inf
