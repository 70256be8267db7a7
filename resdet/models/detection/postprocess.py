"""From the scores and boxes of regions to detections. Legend: R regions of one image, K classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from resdet.ops.boxes import clip_boxes
from resdet.ops.gpu_kernels import has_gpu_kernels
from resdet.ops.nms import class_nms, class_soft_nms
from resdet.ops.voting import box_voting
from resdet.structures import Detections


@dataclass(frozen=True)
class Postprocess:
    """Which scored boxes become detections.

    Attributes:
        score_thresh: detections score more than this, in [0, 1].
        nms_thresh: detections that overlap a better one of their class by more are dropped; with linear soft NMS they lose
            score.
        detections_per_image: best scored detections kept.
        soft_nms: ``"none"``, or a method of ``resdet.ops.nms.soft_nms`` in place of NMS.
        soft_nms_sigma: the width of gaussian soft NMS.
        vote_iou: box voting among a class's boxes that overlap by at least this (paper, appendix B: 0.5); 0: none.
    """

    score_thresh: float
    nms_thresh: float
    detections_per_image: int
    soft_nms: str
    soft_nms_sigma: float
    vote_iou: float

    def __call__(self, boxes: Tensor, scores: Tensor, size: tuple[int, int], names: Sequence[str] = ()) -> Detections:
        """Clip, threshold, NMS per class, the best of all, voting.

        Args:
            boxes: float (R, K, 4) ``xyxy``, a box of each region for each class; those that are not finite are dropped.
            scores: float (R, K).
            size: (height, width) of the image that the boxes belong to, pixels.
            names: the K class names.

        Returns:
            The image's detections, best first. Voting moves boxes, and changes neither scores nor order.
        """
        boxes = clip_boxes(boxes, size)
        region, label = (scores > self.score_thresh).nonzero(as_tuple=True)
        candidates, values = boxes[region, label], scores[region, label]
        finite = torch.isfinite(candidates).all(1)
        candidates, values, label = candidates[finite], values[finite], label[finite]
        if self.soft_nms == "none":
            keep = class_nms(candidates, values, label, self.nms_thresh, self.detections_per_image)
            values = values[keep]
        else:
            keep, values = class_soft_nms(
                candidates,
                values,
                label,
                self.detections_per_image,
                method=self.soft_nms,
                iou=self.nms_thresh,
                sigma=self.soft_nms_sigma,
                score_thresh=self.score_thresh,
            )
        kept, label = candidates[keep], label[keep]
        if self.vote_iou:
            kept = kept.float()
            for each in label.unique():
                mine = label == each
                kept[mine] = box_voting(kept[mine], boxes[:, each], scores[:, each], self.vote_iou)
        return Detections(kept, values, label, size, names)

    def of_all(
        self,
        boxes: Tensor,
        scores: Tensor,
        regions: Sequence[int],
        sizes: Sequence[tuple[int, int]],
        names: Sequence[str] = (),
    ) -> list[Detections]:
        """The detections of several images.

        Args:
            boxes: float (R, K, 4) ``xyxy``, those of an image behind those of the one before.
            scores: float (R, K).
            regions: how many of the R each image has.
            sizes: (height, width) of each image, pixels.
            names: the K class names.
        """
        found: Sequence[tuple[Tensor, Tensor, Tensor] | None] = [None] * len(sizes)
        if self.soft_nms == "none" and not self.vote_iou and has_gpu_kernels(scores):
            from resdet.models.detection.on_gpu import batched_detections

            limits = {"score_thresh": self.score_thresh, "nms_thresh": self.nms_thresh}
            found = batched_detections(boxes, scores, regions, sizes, **limits, top=self.detections_per_image)
        own = zip(found, boxes.split(list(regions)), scores.split(list(regions)), sizes, strict=True)
        return [
            self(image_boxes, image_scores, size, names) if done is None else Detections(*done, size, names)
            for done, image_boxes, image_scores, size in own
        ]
