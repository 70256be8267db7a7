"""Detectors of a config, and their parts."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from torchvision.ops import RoIAlign, RoIPool

from resdet.config.schema import DetectionTestConfig, DetectorConfig, RoIConfig, RPNConfig
from resdet.models.backbones.split import Head, freeze_stages, split_c4
from resdet.models.build.backbone import build_frozen_backbone
from resdet.models.card_network import with_card
from resdet.models.detection.anchors import AnchorGrid, cell_anchors
from resdet.models.detection.box_coder import BOX_REG_WEIGHTS, BoxCoder
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.detection.postprocess import Postprocess
from resdet.models.detection.proposals import ProposalFilter
from resdet.models.detection.roi_heads import BoxPredictor, RoIHeads
from resdet.models.detection.rpn import RPN, RPNHead


def build_detector(config: DetectorConfig, names: Sequence[str]) -> FasterRCNN:
    """The detector of a config for the classes ``names``; errors and warnings of ``build_frozen_backbone``."""
    resnet, pixels = build_frozen_backbone(config.backbone)
    trunk, head = split_c4(resnet)
    freeze_stages(trunk, head, config.freeze_at)
    cell = cell_anchors(config.anchors.sizes, config.anchors.ratios, rounded=config.anchors.rounded)
    anchors = AnchorGrid(cell, trunk.stride)
    rpn = build_rpn(config.rpn, anchors, trunk.out_channels)
    roi_heads = build_roi_heads(config.roi, head, len(names), 1 / trunk.stride, build_postprocess(config.test))
    return with_card(FasterRCNN(trunk, rpn, roi_heads, pixels=pixels, names=names), config)


def build_rpn(config: RPNConfig, anchors: AnchorGrid, channels: int) -> RPN:
    """The region proposal network of a config on a map of so many channels."""
    return RPN(
        RPNHead(channels, anchors.per_position),
        anchors,
        train_filter=ProposalFilter(
            config.pre_nms_top_n_train, config.post_nms_top_n_train, config.nms_thresh, config.min_size
        ),
        test_filter=ProposalFilter(config.pre_nms_top_n_test, config.post_nms_top_n_test, config.nms_thresh, config.min_size),
        batch_size_per_image=config.batch_size_per_image,
        positive_fraction=config.positive_fraction,
        fg_iou_thresh=config.fg_iou_thresh,
        bg_iou_thresh=config.bg_iou_thresh,
        smooth_l1_beta=config.smooth_l1_beta,
        coder=BoxCoder(),
    )


def build_roi_heads(config: RoIConfig, head: Head, num_classes: int, scale: float, postprocess: Postprocess) -> RoIHeads:
    """The region classifier of a config.

    Args:
        config: its options.
        head: conv5.
        num_classes: K, without background.
        scale: positions of the pooled map a pixel of the image, 1 / stride.
        postprocess: from scores and boxes to detections.
    """
    return RoIHeads(
        _build_pooler(config, scale),
        head,
        BoxPredictor(head.out_channels * (2 if config.context else 1), num_classes),
        context=config.context,
        batch_size_per_image=config.batch_size_per_image,
        positive_fraction=config.positive_fraction,
        fg_iou_thresh=config.fg_iou_thresh,
        bg_iou_thresh=config.bg_iou_thresh,
        smooth_l1_beta=config.smooth_l1_beta,
        postprocess=postprocess,
        coder=BoxCoder(BOX_REG_WEIGHTS),
    )


def build_postprocess(config: DetectionTestConfig) -> Postprocess:
    """From scores and boxes to detections, as a config says."""
    return Postprocess(
        score_thresh=config.score_thresh,
        nms_thresh=config.nms_thresh,
        detections_per_image=config.detections_per_image,
        soft_nms=config.soft_nms,
        soft_nms_sigma=config.soft_nms_sigma,
        vote_iou=config.vote_iou,
    )


def _build_pooler(config: RoIConfig, scale: float) -> nn.Module:
    if config.pooling == "pool":
        return RoIPool(config.pooled_size, scale)
    return RoIAlign(config.pooled_size, scale, config.sampling_ratio, aligned=config.pooling == "align")
