"""Trained localizers, ready to run: a box for each class that is asked for (paper, appendix C).

Legend: Q classes asked for, M candidate boxes of a class, P proposals.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, overload

import torch
from PIL import Image
from torch import Tensor, nn

from resdet.data.loading.region_crops import warp_region
from resdet.errors import ConfigError, did_you_mean
from resdet.inference.exported.networks import ExportedLocalizer
from resdet.inference.finite import about, check_finite
from resdet.inference.localizer_views import ImagePart, LocalizerViews
from resdet.inference.mode import evaluating
from resdet.inference.runnable import runnable
from resdet.inference.sources import ImageSource, OpenedImage, shaped, stream_results
from resdet.models.localization.per_class_rpn import PerClassRPN
from resdet.models.localization.rcnn import RegionLocalizer
from resdet.ops.nms import top_nms
from resdet.ops.voting import box_voting
from resdet.structures import Detections
from resdet.structures.choosing import one_or_more
from resdet.structures.pictures import ImageInput

_MIN_SIDE = 1.0  # of a proposal, pixels of the image: what is thinner shows nothing
_PIXELS = 64 * 224 * 224  # of warped regions that go through the network at once


class Localizer:
    """Finds one box for each class that is asked for: by per-class RPNs, or by these and region classifiers.

    The candidates of a class are the boxes of all anchors, of all views. The one that scores best, which is what NMS would keep
    first, is the class's box after voting: the mean of all candidates that overlap it enough, weighted by their scores.

    Several networks are an ensemble. RPNs of the same anchors are averaged, probabilities and boxes, anchor by anchor; of other
    anchors the candidates are joined. Of stage rcnn each RPN proposes, and all region classifiers score the union of the
    proposals: their probabilities and boxes are averaged.

    Args:
        models: at least one, all of one stage and of the same classes, on one device; they are set to eval mode. Or one
            exported network.
        views: what they see of an image.
        proposals: stage rcnn: a network's best boxes of a class that are scored again.
        nms_thresh: proposals that overlap a better one by more than this are dropped.
        vote_iou: a candidate votes for the best one where it overlaps it by at least this; 0: no voting.

    Raises:
        ConfigError: from the constructor, when the networks differ in stage or classes.
    """

    def __init__(
        self,
        *models: PerClassRPN | RegionLocalizer | ExportedLocalizer,
        views: LocalizerViews,
        proposals: int,
        nms_thresh: float,
        vote_iou: float,
    ) -> None:
        models = tuple(runnable(model) for model in models)
        first = models[0]
        if any(type(model) is not type(first) or model.names != first.names for model in models):
            raise ConfigError("an ensemble of localizers must be of one stage, and of the same classes in the same order")
        self.models = nn.ModuleList(models)
        self.names = first.names
        self.views = views
        self.proposals = proposals
        self.nms_thresh = nms_thresh
        self.vote_iou = vote_iou
        self._refiners = [model for model in models if isinstance(model, RegionLocalizer)]
        self._rpns = [model.rpn if isinstance(model, RegionLocalizer) else model for model in models]
        grids = [rpn.anchors for rpn in self._rpns if isinstance(rpn, PerClassRPN)]
        self._aligned = all(grid.stride == grids[0].stride and torch.equal(grid.cell, grids[0].cell) for grid in grids)

    @overload
    def predict(self, images: ImageInput, classes: Iterable[str], *, color: str = "rgb") -> Detections: ...
    @overload
    def predict(
        self, images: list[Any] | tuple[Any, ...], classes: Iterable[str], *, color: str = "rgb"
    ) -> list[Detections]: ...
    @overload
    def predict(self, images: Iterator[Any], classes: Iterable[str], *, color: str = "rgb") -> Iterator[Detections]: ...
    def predict(
        self, images: ImageSource, classes: Iterable[str], *, color: str = "rgb"
    ) -> Detections | list[Detections] | Iterator[Detections]:
        """The boxes of some classes in one picture, or in each of several.

        Args:
            images: a path, a PIL image, an array uint8 (H, W, 3) or a tensor uint8 (3, H, W), see ``to_image``; a folder or a
                video; or an iterable of all these.
            classes: the name of a class, or several, each a box.
            color: order of an array's or tensor's channels, ``"rgb"`` or ``"bgr"``.

        Returns:
            Detections on the CPU, boxes in pixels of the picture, best first; a list of them for a list. For a folder, a video
            and other iterables the iterator of ``stream``. Type checkers cannot see where a path leads and expect one picture
            there: write ``stream`` for folders and videos.

        Raises:
            ConfigError: a name that is no class, a folder without pictures, or another ``color``.
            DataError: files that are missing or no image; where there are others too, after these.
            TypeError: something that is no picture.
        """
        return shaped(images, self.stream(images, classes, color=color))

    def stream(self, images: ImageSource, classes: Iterable[str], *, color: str = "rgb") -> Iterator[Detections]:
        """As ``predict``, but always an iterator; see ``stream_results``."""
        wanted = one_or_more(classes)
        unknown = [name for name in wanted if name not in self.names]
        if unknown:
            raise ConfigError([f"unknown class {name!r}{did_you_mean(str(name), self.names)}" for name in unknown])
        labels = [self.names.index(name) for name in wanted]
        return stream_results(images, lambda some: [self._find(each, labels) for each in some], color=color)

    def _find(self, opened: OpenedImage, labels: Sequence[int]) -> Detections:
        size = (opened.image.height, opened.image.width)
        with about(opened.path or opened.image_id):
            boxes, scores = self.localize(opened.image, labels)
        found = Detections(boxes, scores, torch.tensor(labels, dtype=torch.int64), size, self.names, opened.image_id)
        order = scores.argsort(descending=True, stable=True)
        return replace(found, path=opened.path, image=opened.kept)[order]

    def localize(self, image: Image.Image, classes: Sequence[int]) -> tuple[Tensor, Tensor]:
        """A box for each class.

        Args:
            image: RGB.
            classes: Q labels, 0 … K-1.

        Returns:
            Boxes float32 (Q, 4) ``xyxy`` in pixels of the image, inside it, and probabilities float32 (Q,), on the CPU. Where
            no candidate has an area, which an untrained network can bring about, the box is the image, its score 0.

        Raises:
            ValueError: a label out of range.
            PredictionError: scores that are NaN or infinite.
        """
        if not classes:
            return torch.zeros(0, 4), torch.zeros(0)
        views = self.views(image)
        if self._refiners:
            found = self._refined(image, self.propose(views, classes), classes)
        else:
            found = self._candidates(self._rpns, views, classes)
        size = (image.height, image.width)
        best = [best_box(boxes, scores, size, self.vote_iou) for boxes, scores in found]
        return torch.stack([box for box, _ in best]), torch.tensor([score for _, score in best])

    def propose(self, views: Sequence[ImagePart], classes: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        """The RPNs' best boxes of each class: float32 (P, 4) ``xyxy`` in pixels of the image, and probabilities (P,).

        Args:
            views: of ``LocalizerViews``, of one image.
            classes: Q labels, 0 … K-1, Q >= 1; a ValueError when one is out of range.

        Returns:
            Of each class those of the first network, best first, then those of the next.
        """
        members = [self._candidates([rpn], views, classes) for rpn in self._rpns]
        kept = [[self._kept(boxes, scores) for boxes, scores in found] for found in members]
        return [
            (torch.cat([boxes for boxes, _ in same]), torch.cat([scores for _, scores in same]))
            for same in zip(*kept, strict=True)
        ]

    def _kept(self, boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        usable = torch.isfinite(boxes).all(1) & torch.isfinite(scores) & (boxes[:, 2:] - boxes[:, :2] >= _MIN_SIDE).all(1)
        boxes, scores = boxes[usable], scores[usable]
        survivors = top_nms(boxes, scores, self.nms_thresh, self.proposals)
        return boxes[survivors], scores[survivors]

    def _candidates(
        self, rpns: Sequence[PerClassRPN | ExportedLocalizer], views: Sequence[ImagePart], classes: Sequence[int]
    ) -> list[tuple[Tensor, Tensor]]:
        """Of each class boxes (M, 4) in pixels of the image and probabilities (M,), on the CPU."""
        if wrong := [label for label in classes if not 0 <= label < len(self.names)]:
            raise ValueError(f"classes must be labels in 0 … {len(self.names) - 1}, got {wrong}")
        joined = []
        with evaluating(self.models):
            for view in views:
                found = [_predicted(rpn, view, classes) for rpn in rpns]
                if self._aligned:
                    found = [(_mean([boxes for boxes, _ in found]), _mean([scores for _, scores in found]))]
                joined += found
        boxes, scores = (torch.cat(parts, 1) for parts in zip(*joined, strict=True))
        return list(zip(boxes.cpu(), scores.cpu(), strict=True))

    def _refined(
        self, image: Image.Image, proposals: Sequence[tuple[Tensor, Tensor]], classes: Sequence[int]
    ) -> list[tuple[Tensor, Tensor]]:
        """The proposals of each class, scored again and refined by the region classifiers."""
        counts = [len(boxes) for boxes, _ in proposals]
        references = torch.cat([torch.zeros(0, 4), *(boxes for boxes, _ in proposals)])
        labels = torch.tensor(classes, dtype=torch.int64).repeat_interleave(torch.tensor(counts, dtype=torch.int64))
        found = []
        with evaluating(self.models):
            for model in self._refiners:
                some = max(1, _PIXELS // model.regions.side**2)
                parts = zip(references.split(some), labels.split(some), strict=True)
                found.append([_refined_by(model, image, *part) for part in parts])
        boxes, scores = (_mean([torch.cat([part[place] for part in parts]) for parts in found]) for place in (0, 1))
        limits = boxes.new_tensor([image.width, image.height] * 2)
        return list(zip(boxes.clamp(min=0).minimum(limits).split(counts), scores.split(counts), strict=True))


def best_box(boxes: Tensor, scores: Tensor, size: tuple[int, int], vote_iou: float) -> tuple[Tensor, float]:
    """The box of one class, float32 (4,), and its score.

    Args:
        boxes: float (M, 4) ``xyxy``, candidates.
        scores: float (M,), in [0, 1].
        size: (height, width) of the image, whose box is the answer where no candidate is finite and has an area.
        vote_iou: overlap from which a candidate votes for the best one, see ``box_voting``; 0: none does.
    """
    usable = torch.isfinite(boxes).all(1) & torch.isfinite(scores) & (boxes[:, 2:] > boxes[:, :2]).all(1)
    if not usable.any():
        return torch.tensor([0.0, 0.0, size[1], size[0]]), 0.0
    boxes, scores = boxes[usable], scores[usable]
    best = int(scores.argmax())
    box = box_voting(boxes[best, None], boxes, scores, vote_iou)[0] if vote_iou else boxes[best]
    return box, float(scores[best])


def _predicted(rpn: PerClassRPN | ExportedLocalizer, view: ImagePart, classes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Boxes (Q, A, 4) in pixels of the image, and probabilities (Q, A), of all A anchors, or of the best ones."""
    if isinstance(rpn, ExportedLocalizer):
        boxes, scores = rpn.best(view.pixels, classes)
        check_finite(scores, "the RPN's scores")
        return view.on_image(boxes), scores
    device = rpn.anchors.cell.device
    logits, deltas, anchors = rpn(view.pixels[None].to(device), torch.tensor([list(classes)], dtype=torch.int64, device=device))
    check_finite(logits, "the RPN's scores")
    return view.on_image(rpn.coder.decode(deltas[0], anchors)), torch.sigmoid(logits[0])


def _refined_by(model: RegionLocalizer, image: Image.Image, references: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    device = model.rpn.anchors.cell.device
    if not len(references):
        return references, references.new_zeros(0)
    squares = torch.stack([warp_region(image, tuple(box), model.regions.side) for box in references.tolist()])
    boxes, scores = model.refine(squares.to(device), labels.to(device), references.to(device))
    return boxes.cpu(), check_finite(scores, "the scores of regions").cpu()


def _mean(members: Sequence[Tensor]) -> Tensor:
    return members[0] if len(members) == 1 else torch.stack(list(members)).mean(0)
