"""What modules and files of ``torch.export`` find, beside the models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from close_detections import assert_close_detections, edges_of
from graph_runs import as_batch
from tiny_detectors import picture
from torch import Tensor

from resdet.config.localization import LocalizerTestConfig
from resdet.inference.load_localizer import make_localizer
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.localization.per_class_rpn import PerClassRPN
from resdet.structures.pictures import to_image


def photo(folder: Path) -> Path:
    """The file of a small picture."""
    path = folder / "photo.png"
    to_image(picture(4, 64, 96)).save(path)
    return path


def inputs(images: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Images and their sizes as a detector's program takes them."""
    return torch.from_numpy(as_batch(images, filling=99)), torch.tensor([image.shape[1:] for image in images])


def assert_same(found: Mapping[str, Tensor], model: FasterRCNN, images: list[Tensor]) -> int:
    """A detector's outputs are what the model finds; how many detections that are."""
    expected = model.detect(images)
    for row, each in enumerate(expected):
        count = int(found["counts"][row])
        own = tuple(found[name][row, :count] for name in ("boxes", "scores", "labels"))
        assert_close_detections(own, each, edges=edges_of(model.roi_heads.postprocess))
        for name, rest in (("boxes", 0), ("scores", 0), ("labels", -1)):
            assert (found[name][row, count:] == rest).all()
    return sum(map(len, expected))


def assert_same_boxes(
    found: Mapping[str, Tensor], model: PerClassRPN, vote_iou: float, images: list[Tensor], classes: list[list[int]]
) -> None:
    """A localizer's outputs are what the localizer finds."""
    original = make_localizer([model], LocalizerTestConfig(short_sides=[0], vote_iou=vote_iou), 64)
    for row, (image, asked) in enumerate(zip(images, classes, strict=True)):
        boxes, scores = original.localize(to_image(image), asked)
        torch.testing.assert_close(found["boxes"][row], boxes, rtol=0, atol=0.01)
        torch.testing.assert_close(found["scores"][row], scores, rtol=0, atol=1e-4)
