"""Options of localizers: the per-class RPN, and the region classifier on its proposals."""

from __future__ import annotations

from dataclasses import dataclass

from resdet.config.models import AnchorConfig, BackboneConfig
from resdet.config.option import MAX_SIDE, option


@dataclass
class PerClassRPNConfig:
    """Training of the per-class RPN."""

    batch_size_per_image: int = option(8, "anchors sampled for the loss, an image; as many positive as negative", low=2)
    fg_iou_thresh: float = option(0.5, "an anchor is positive from this IoU with a box of the image's class on", low=0, high=1)
    bg_iou_thresh: float = option(0.3, "an anchor is negative below this IoU", low=0, high=1)
    smooth_l1_beta: float = option(1 / 9, "where the box loss turns from squared to absolute; 0: L1", low=0)


@dataclass
class RegionNetConfig:
    """Region classifier: a whole network on each proposal, cropped and warped (R-CNN)."""

    side: int = option(224, "side of the square that a region is warped to, pixels", low=8, high=MAX_SIDE)
    proposals: int = option(200, "best scored proposals of an image's class that are trained on", low=1)
    positive_fraction: float = option(0.5, "share of a batch that is positive", low=0, high=1)
    fg_iou_thresh: float = option(
        0.5, "a region is positive from this IoU with a box of the class on, negative below", low=0, high=1
    )
    smooth_l1_beta: float = option(1.0, "where the box loss turns from squared to absolute; 0: L1", low=0)


@dataclass
class LocalizerTestConfig:
    """From an image and classes to a box for each class."""

    views: str = option(
        "dense",
        "dense: the fully convolutional network over the whole image; center: the centre crop alone (1-crop)",
        choices=("dense", "center"),
    )
    short_sides: list[int] = option(
        [256], "shorter sides whose predictions are joined, pixels; 0: not resized", low=0, high=MAX_SIDE
    )
    proposals: int = option(200, "stage rcnn: best proposals of a class that are scored again", low=1)
    nms_thresh: float = option(0.7, "stage rcnn: proposals that overlap a better one by more are dropped", low=0, high=1)
    vote_iou: float = option(
        0.5,
        "box voting: the best box of a class becomes the mean of all that overlap it by this much, weighted by score; 0: none",
        low=0,
        high=1,
    )


@dataclass
class LocalizerConfig:
    """Localization by per-class regression (paper, appendix C)."""

    stage: str = option(
        "rpn", "rpn: the per-class RPN; rcnn: also a region classifier on its proposals", choices=("rpn", "rcnn")
    )
    backbone: BackboneConfig = option(factory=BackboneConfig)
    weights: str = option("", "stage rcnn: model file of the trained per-class RPN, of the same backbone and anchors")
    freeze_at: int = option(0, "stages whose weights stay fixed: 0 none, 1 conv1, 2 conv1 and conv2_x, …", low=0, high=5)
    anchors: AnchorConfig = option(
        factory=lambda: AnchorConfig(sizes=[64.0, 128.0, 256.0]), text="at every position of the last map"
    )
    rpn: PerClassRPNConfig = option(factory=PerClassRPNConfig)
    rcnn: RegionNetConfig = option(factory=RegionNetConfig)
    test: LocalizerTestConfig = option(factory=LocalizerTestConfig)
