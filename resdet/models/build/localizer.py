"""Localizers of a config, and their two networks."""

from __future__ import annotations

from collections.abc import Sequence

from resdet.config.localization import LocalizerConfig
from resdet.models.build.backbone import build_frozen_backbone
from resdet.models.card_network import with_card
from resdet.models.detection.anchors import AnchorGrid, cell_anchors
from resdet.models.detection.box_coder import BOX_REG_WEIGHTS, BoxCoder
from resdet.models.localization.body import network_body
from resdet.models.localization.per_class_head import PerClassHead
from resdet.models.localization.per_class_rpn import PerClassRPN
from resdet.models.localization.rcnn import RegionLocalizer, RegionNet


def build_localizer(config: LocalizerConfig, names: Sequence[str]) -> PerClassRPN | RegionLocalizer:
    """The localizer of a config for the classes ``names``, both networks with the backbone's weights.

    BN is frozen at the statistics of these, as in the detector (paper, appendix A).

    Raises:
        ConfigError: as ``build_backbone``, or more frozen stages than there are.
        DataError: a weights file that cannot be read.
    """
    rpn = _build_per_class_rpn(config, names)
    if config.stage == "rpn":
        return with_card(rpn, config)
    return with_card(RegionLocalizer(rpn, build_region_net(config, len(names))), config)


def build_region_net(config: LocalizerConfig, num_classes: int) -> RegionNet:
    """The region classifier of a config; errors and warnings of ``build_localizer``."""
    resnet, pixels = build_frozen_backbone(config.backbone)
    return RegionNet(
        network_body(resnet, config.freeze_at),
        PerClassHead(resnet.spec.stage_channels[-1], 1, num_classes),
        pixels=pixels,
        side=config.rcnn.side,
        smooth_l1_beta=config.rcnn.smooth_l1_beta,
        coder=BoxCoder(BOX_REG_WEIGHTS),
    )


def _build_per_class_rpn(config: LocalizerConfig, names: Sequence[str]) -> PerClassRPN:
    resnet, pixels = build_frozen_backbone(config.backbone)
    cell = cell_anchors(config.anchors.sizes, config.anchors.ratios, rounded=config.anchors.rounded)
    anchors = AnchorGrid(cell, resnet.spec.stride)
    return PerClassRPN(
        network_body(resnet, config.freeze_at),
        PerClassHead(resnet.spec.stage_channels[-1], anchors.per_position, len(names)),
        anchors,
        pixels=pixels,
        names=names,
        batch_size_per_image=config.rpn.batch_size_per_image,
        fg_iou_thresh=config.rpn.fg_iou_thresh,
        bg_iou_thresh=config.rpn.bg_iou_thresh,
        smooth_l1_beta=config.rpn.smooth_l1_beta,
        coder=BoxCoder(),
    )
