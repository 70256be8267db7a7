"""The region classifier: RoI pooling on C4, all of conv5 on each region, two sibling layers (paper, appendix A; Fast R-CNN).

Legend: N images, R regions of all images together, K classes (label K is the background), C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from resdet.distributed.share import Share
from resdet.losses.box_regression import box_regression_loss
from resdet.models.detection.box_coder import BoxCoder
from resdet.models.detection.context import join_context, whole_image_boxes
from resdet.models.detection.matcher import BETWEEN, match
from resdet.models.detection.postprocess import Postprocess
from resdet.models.detection.sampler import sample
from resdet.ops.precision import at_least_float32
from resdet.structures import Detections, TargetBatch
from resdet.structures.moving import moved


class BoxPredictor(nn.Module):
    """Two sibling layers on a region's feature: K+1 class logits, and a box delta for each of the K classes.

    Args:
        channels: C of the region's feature.
        num_classes: K.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.cls_score = nn.Linear(channels, num_classes + 1)
        self.bbox_pred = nn.Linear(channels, num_classes * 4)
        for layer, std in ((self.cls_score, 0.01), (self.bbox_pred, 0.001)):
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features (R, C) to logits (R, K+1) and deltas (R, K, 4)."""
        return at_least_float32(self.cls_score(features)), at_least_float32(self.bbox_pred(features)).unflatten(1, (-1, 4))


@dataclass(frozen=True)
class Regions:
    """The sampled regions of all images, with what they should become.

    Attributes:
        boxes: N tensors float32 (R_i, 4) ``xyxy``.
        labels: int64 (R,), K for background.
        positive: int64 (P,), the regions whose label is below K, in their order.
        target_boxes: float32 (P, 4), the matched ground truth of these.
        sizes: (height, width) of the N images without padding.
    """

    boxes: list[Tensor]
    labels: Tensor
    positive: Tensor
    target_boxes: Tensor
    sizes: list[tuple[int, int]]


class RoIHeads(nn.Module):
    """Classifies regions and regresses a box for each class.

    Args:
        pooler: called with features (N, C, H, W) and N box tensors, gives (R, C, 14, 14); torchvision's RoIAlign or RoIPool.
        res5: conv5, (R, C, 14, 14) to (R, C', 7, 7).
        predictor: the sibling layers on the averaged feature (R, C'), or (R, 2C') with context.
        context: the feature of the whole image stands behind each region's (paper, appendix B).
        batch_size_per_image, positive_fraction: regions sampled for the loss an image, and the share of positives at most.
        fg_iou_thresh, bg_iou_thresh: a region is positive from the one on, background below the other.
        smooth_l1_beta: of the box loss.
        postprocess: from scores and boxes to detections.
        coder: of regions' deltas.
    """

    def __init__(
        self,
        pooler: nn.Module,
        res5: nn.Module,
        predictor: BoxPredictor,
        *,
        context: bool,
        batch_size_per_image: int,
        positive_fraction: float,
        fg_iou_thresh: float,
        bg_iou_thresh: float,
        smooth_l1_beta: float,
        postprocess: Postprocess,
        coder: BoxCoder,
    ) -> None:
        super().__init__()
        self.pooler = pooler
        self.res5 = res5
        self.predictor = predictor
        self.context = context
        self.batch_size_per_image = batch_size_per_image
        self.positive_fraction = positive_fraction
        self.fg_iou_thresh = fg_iou_thresh
        self.bg_iou_thresh = bg_iou_thresh
        self.smooth_l1_beta = smooth_l1_beta
        self.postprocess = postprocess
        self.coder = coder

    @property
    def num_classes(self) -> int:
        """K."""
        return self.predictor.cls_score.out_features - 1

    def forward(self, features: Tensor, boxes: Sequence[Tensor], sizes: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        """Classify regions and regress their boxes.

        Args:
            features: (N, C, H, W), the C4 map.
            boxes: N region tensors float32 (R_i, 4) ``xyxy``.
            sizes: the N images' (height, width) without padding.

        Returns:
            Logits (R, K+1) and deltas (R, K, 4).
        """
        averages = self.region_features(features, boxes)
        if self.context:
            whole = self.region_features(features, whole_image_boxes(sizes, features))
            averages = join_context(averages, whole, [len(image_boxes) for image_boxes in boxes])
        logits, deltas = self.predictor(averages)
        return logits, deltas

    def region_features(self, features: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """Pooling, conv5 and the mean over positions: features (N, C, H, W) and N tensors (R_i, 4) to (R, C')."""
        return self.region_maps(features, boxes).mean(dim=(2, 3))

    def region_maps(self, features: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """Pooling and conv5: features (N, C, H, W) and N tensors (R_i, 4) to maps (R, C', 7, 7)."""
        # RoI pooling has no kernel for 16 bits on a CPU; RoIAlign computes in float32 whatever it is given
        maps: Tensor = self.res5(self.pooler(at_least_float32(features), list(boxes)))
        return maps

    @torch.no_grad()
    def sample_regions(self, proposals: Sequence[Tensor], targets: TargetBatch, share: Share | None = None) -> Regions:
        """Match proposals, and the ground truth itself, to the targets, and draw a mini-batch of each image.

        Args:
            proposals: N tensors float32 (R_i, 4) ``xyxy``.
            targets: the objects of the N images, on the proposals' device.
            share: the share of a batch that the N images are; None: the whole.

        Raises:
            ValueError: when a label is not below K.
        """
        self._check_labels(targets)
        objects = [boxes[:count] for boxes, count in zip(targets.boxes, targets.counts, strict=True)]
        own = [torch.cat(pair) for pair in zip(proposals, objects, strict=True)]
        candidates = pad_sequence(own, batch_first=True)
        matches = match(
            candidates,
            targets.boxes,
            fg_iou_thresh=self.fg_iou_thresh,
            bg_iou_thresh=self.bg_iou_thresh,
            keep_best=False,
            ignore=targets.ignore,
        )
        lengths = moved(torch.tensor([len(boxes) for boxes in own]), matches.device)
        padding = torch.arange(candidates.shape[1], device=matches.device) >= lengths[:, None]
        matches = matches.masked_fill(padding, BETWEEN)
        image, region = sample(
            matches, batch_size_per_image=self.batch_size_per_image, positive_fraction=self.positive_fraction, share=share
        )
        boxes = candidates[image, region].split(self._counts(image, len(own)))
        matched = matches[image, region]
        positive = (matched >= 0).nonzero()[:, 0]  # once: a device's host waits for how many there are
        owner, row = image[positive], matched[positive]
        labels = torch.full_like(matched, self.num_classes)
        labels[positive] = targets.labels[owner, row]
        return Regions(list(boxes), labels, positive, targets.boxes[owner, row], targets.sizes)

    def _counts(self, image: Tensor, images: int) -> list[int]:
        """How many regions were drawn of each image, from the image of each, (R,). A host waits only where some are missing."""
        if len(image) == images * self.batch_size_per_image:
            return [self.batch_size_per_image] * images
        counts: list[int] = (image == torch.arange(images, device=image.device)[:, None]).sum(1).tolist()
        return counts

    def _check_labels(self, targets: TargetBatch) -> None:
        for path, largest in zip(targets.paths, targets.largest_labels, strict=True):
            if largest >= self.num_classes:
                raise ValueError(f"{path}: label {largest}, but the detector has {self.num_classes} classes")

    def losses(self, features: Tensor, regions: Regions, share: Share | None = None) -> dict[str, Tensor]:
        """Cross-entropy over the regions and smooth L1 over the positives' true-class deltas, {"loss_roi_cls", "loss_roi_box"}.

        Both are divided by the number of regions, of all images of the batch (Fast R-CNN, equation 1). ``share`` is the share
        of the batch that these images are; None: the whole.
        """
        logits, deltas = self(features, regions.boxes, regions.sizes)
        count = max(len(regions.labels), 1) if share is None else share.normalizer(len(regions.labels))
        positive = regions.positive
        references = torch.cat(regions.boxes)[positive]
        return {
            "loss_roi_cls": F.cross_entropy(at_least_float32(logits), regions.labels, reduction="sum") / count,
            "loss_roi_box": box_regression_loss(
                deltas[positive, regions.labels[positive]],
                self.coder.encode(regions.target_boxes, references),
                beta=self.smooth_l1_beta,
                normalizer=count,
            ),
        }

    @torch.no_grad()
    def detect(
        self, features: Tensor, proposals: Sequence[Tensor], sizes: Sequence[tuple[int, int]], names: Sequence[str] = ()
    ) -> list[Detections]:
        """Detections of N images in pixels of the network's input, best first."""
        logits, deltas = self(features, proposals, sizes)
        scores, boxes = self.scored_boxes(logits, deltas, torch.cat(list(proposals)))
        counts = [len(image_proposals) for image_proposals in proposals]
        return self.postprocess.of_all(boxes, scores, counts, sizes, names)

    def scored_boxes(self, logits: Tensor, deltas: Tensor, regions: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (R, K+1) and deltas (R, K, 4) of regions (R, 4) to probabilities (R, K) and boxes (R, K, 4), both float32."""
        return logits.float().softmax(dim=1)[:, :-1], self.coder.decode(deltas, regions[:, None])
