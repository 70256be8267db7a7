"""Whole models as modules that ``torch.export`` can write: of a detector every tensor has a fixed place.

What has no fixed number, proposals and detections, is a row of places with a count, as in the graphs of ONNX. Only what NMS
keeps has a size that the numbers decide; torch calls that data-dependent.

Legend: N images, A anchors of an image, P places for proposals of an image, D for detections, K classes, Q classes asked for.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import nms

from resdet.models.classifier import Classifier
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.localization.per_class_rpn import PerClassRPN
from resdet.ops.iou import box_iou


class ClassifierProgram(nn.Module):
    """A classifier on squares; the inputs and outputs of docs/export.md."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """RGB uint8 images (N, H, W, 3) to logits and probabilities (N, K)."""
        logits = self.model(images.permute(0, 3, 1, 2))
        return {"logits": logits, "probabilities": logits.softmax(dim=1)}


class LocalizerProgram(nn.Module):
    """A per-class RPN on images that are resized already; the inputs and outputs of docs/export.md.

    Args:
        model: in eval mode.
        vote_iou: an anchor's box votes for the best one where it overlaps it by at least this; 0: no voting.
    """

    def __init__(self, model: PerClassRPN, vote_iou: float) -> None:
        super().__init__()
        self.model = model
        self.vote_iou = vote_iou

    def forward(self, images: Tensor, classes: Tensor) -> dict[str, Tensor]:
        """RGB uint8 images (N, H, W, 3) and classes int64 (N, Q), 0 … K-1, to boxes (N, Q, 4) and scores (N, Q)."""
        logits, deltas, anchors = self.model(images.permute(0, 3, 1, 2), classes)
        limits = torch.stack([anchors.new_full((), side) for side in (images.shape[2], images.shape[1])]).repeat(2)
        boxes = self.model.coder.decode(deltas, anchors).clamp(min=0).minimum(limits)
        scores = logits.sigmoid()
        usable = torch.isfinite(boxes).all(3) & torch.isfinite(scores) & (boxes[..., 2:] > boxes[..., :2]).all(3)
        chances = scores.where(usable, -1.0)
        score, place = chances.max(dim=2)
        best = boxes.gather(2, place[..., None, None].expand(-1, -1, 1, 4))
        if self.vote_iou:
            best = self._voted(best, boxes, chances.clamp(min=0))
        whole = torch.cat([torch.zeros_like(limits[:2]), limits[2:]])
        return {"boxes": best.squeeze(2).where((score >= 0)[..., None], whole), "scores": score.clamp(min=0)}

    def _voted(self, best: Tensor, boxes: Tensor, weights: Tensor) -> Tensor:
        """``box_voting`` for one box (N, Q, 1, 4) of each class; boxes (N, Q, A, 4) vote by their weights (N, Q, A)."""
        own, candidates = best.double(), boxes.double().nan_to_num()
        votes = (box_iou(own, candidates) >= self.vote_iou) * weights[:, :, None].double()
        total = votes.sum(3, keepdim=True)
        return torch.where(total > 0, votes @ candidates / total, own).float()


class DetectorProgram(nn.Module):
    """A detector on images that are resized already; the inputs and outputs of docs/export.md."""

    def __init__(self, model: FasterRCNN) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor, sizes: Tensor) -> dict[str, Tensor]:
        """RGB uint8 images (N, H, W, 3) and their (height, width) int64 (N, 2) to boxes, scores, labels and counts."""
        limits = sizes.flip(1).repeat(1, 2).float()[:, None]  # (N, 1, 4): width, height, width, height
        features = self.model.trunk(self._normalized(images, sizes))
        boxes, counts = self._proposals(features, limits)
        found, scores = self._classified(features, boxes, limits)
        there = torch.arange(boxes.shape[1], device=boxes.device) < counts[:, None]
        return self._detections(found, scores.where(there[..., None], -torch.inf))

    def _normalized(self, images: Tensor, sizes: Tensor) -> Tensor:
        """The network's input, 0 outside of each image."""
        pixels = self.model.pixels.normalize(images.permute(0, 3, 1, 2))
        row = torch.arange(images.shape[1], device=images.device)[:, None] < sizes[:, 0, None, None]
        column = torch.arange(images.shape[2], device=images.device) < sizes[:, 1, None, None]
        return pixels.where((row & column)[:, None], 0.0)

    def _proposals(self, features: Tensor, limits: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes (N, P, 4), an image's best first, and how many there are (N,)."""
        rpn, keep = self.model.rpn, self.model.rpn.test_filter
        logits, deltas, anchors = rpn.predict(features)
        # always so many, those that are no anchors among the last: a number that depends on the size torch may take as fixed
        filling = logits.new_full((logits.shape[0], keep.pre_nms_top_n), -torch.inf)
        scores, order = torch.cat([logits, filling], dim=1).topk(keep.pre_nms_top_n, dim=1)
        order = order.clamp(max=logits.shape[1] - 1)
        deltas = deltas.gather(1, order[..., None].expand(-1, -1, 4))
        boxes = rpn.coder.decode(deltas, anchors[order]).clamp(min=0).minimum(limits)
        usable = (
            torch.isfinite(boxes).all(2) & torch.isfinite(scores) & (boxes[..., 2:] - boxes[..., :2] > keep.min_size).all(2)
        )
        image = torch.arange(boxes.shape[0], device=boxes.device)[:, None].expand_as(scores)
        kept = _grouped_nms(boxes.flatten(0, 1), scores.where(usable, -torch.inf).flatten(), image.flatten(), keep.nms_thresh)
        survives = torch.zeros_like(usable).flatten().index_fill(0, kept, True).view_as(usable) & usable
        rank = survives.cumsum(1) - 1
        places = torch.where(survives & (rank < keep.post_nms_top_n), rank, keep.post_nms_top_n)
        slots = boxes.new_zeros(boxes.shape[0], keep.post_nms_top_n + 1, 4)
        slots = slots.scatter(1, places[..., None].expand(-1, -1, 4), boxes)
        return slots[:, :-1], survives.sum(1).clamp(max=keep.post_nms_top_n)

    def _classified(self, features: Tensor, boxes: Tensor, limits: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes (N, P, K, 4) and probabilities (N, P, K) of regions (N, P, 4)."""
        heads = self.model.roi_heads
        count, places = boxes.shape[:2]
        averages = self._averages(features, boxes)
        if heads.context:
            whole = torch.cat([torch.zeros_like(limits[..., :2]), limits[..., 2:]], dim=2)
            context = self._averages(features, whole).view(count, 1, -1).expand(-1, places, -1)
            averages = torch.cat([averages, context.flatten(0, 1)], dim=1)
        logits, deltas = heads.predictor(averages)
        scores, found = heads.scored_boxes(logits, deltas, boxes.flatten(0, 1))
        found = found.unflatten(0, (count, places)).clamp(min=0).minimum(limits[:, None])
        return found, scores.unflatten(0, (count, places))

    def _averages(self, features: Tensor, boxes: Tensor) -> Tensor:
        """The features (N * P, C') of regions (N, P, 4)."""
        heads = self.model.roi_heads
        image = torch.arange(boxes.shape[0], device=boxes.device, dtype=boxes.dtype)[:, None, None].expand(
            -1, boxes.shape[1], 1
        )
        regions = torch.cat([image, boxes], dim=2).flatten(0, 1)
        return heads.res5(heads.pooler(features, regions)).mean(dim=(2, 3))

    def _detections(self, boxes: Tensor, scores: Tensor) -> dict[str, Tensor]:
        """The D best of each image, from boxes (N, P, K, 4) and their scores (N, P, K)."""
        rules = self.model.roi_heads.postprocess
        most, (count, places, classes) = rules.detections_per_image, scores.shape
        wanted = ((scores > rules.score_thresh) & torch.isfinite(boxes).all(3)).flatten().nonzero()[:, 0]
        candidates, values = boxes.reshape(-1, 4)[wanted], scores.flatten()[wanted]
        image, label = wanted // (places * classes), wanted % classes
        # two that are none, of an image after the last: torch gives tensors without rows a program of their own
        candidates = torch.cat([candidates, candidates.new_zeros(2, 4)])
        values = torch.cat([values, values.new_full((2,), -1.0)])
        image = torch.cat([image, image.new_full((2,), count)])
        label = torch.cat([label, torch.arange(2, device=label.device)])
        kept = _grouped_nms(candidates, values, image * (classes + 1) + label, rules.nms_thresh)  # best first
        image, label = image[kept], label[kept]
        own = (image[:, None] == torch.arange(count, device=image.device)).long()
        rank = (own.cumsum(0) * own).sum(1) - 1
        place = image * (most + 1) + torch.where((rank < 0) | (rank > most), most, rank)
        rows = (count + 1) * (most + 1)
        found = {
            "boxes": candidates.new_zeros(rows, 4).index_copy(0, place, candidates[kept]),
            "scores": values.new_zeros(rows).index_copy(0, place, values[kept]),
            "labels": label.new_full((rows,), -1).index_copy(0, place, label),
        }
        placed = {name: each.unflatten(0, (count + 1, most + 1))[:-1, :-1] for name, each in found.items()}
        return {**placed, "counts": own.sum(0).clamp(max=most)}


def _grouped_nms(boxes: Tensor, scores: Tensor, groups: Tensor, iou: float) -> Tensor:
    """Indices of the boxes that survive NMS within their group, best first: groups lie apart, in float64 without rounding."""
    apart = groups[:, None].double() * (boxes.double().nan_to_num().amax() + 1)
    return nms(boxes.double() + apart, scores.double(), iou)
