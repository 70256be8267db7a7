"""Detectron2's names of the settings of a C4 detector, what it has by itself, and what resdet has in their place.

Source: detectron2/config/defaults.py, whose detector is Faster R-CNN on C4.
"""

from __future__ import annotations

from collections.abc import Mapping

from resdet.models.convert.settings import NUMBER, PIXELS, SIZES, WHOLE, YES_NO, Setting, alone, numbers

_FACTORS = numbers(4, 4, "4 numbers above 0")
_THRESHOLDS = numbers(1, 2, "1 or 2 numbers above 0")
_BOXES_ONLY = " (--boxes-only takes the box part)"
OTHER_HEADS = ("MODEL.MASK_ON", "MODEL.KEYPOINT_ON")
POOLINGS = {"ROIAlignV2": "align", "ROIAlign": "align_v1", "ROIPool": "pool"}

OF_TRAINING: Mapping[str, Setting] = {
    "MODEL.BACKBONE.FREEZE_AT": Setting(2, WHOLE, ("freeze_at",)),
    "MODEL.RPN.IOU_THRESHOLDS": Setting([0.3, 0.7], _THRESHOLDS, ("rpn.bg_iou_thresh", "rpn.fg_iou_thresh")),
    "MODEL.RPN.BATCH_SIZE_PER_IMAGE": Setting(256, WHOLE, ("rpn.batch_size_per_image",)),
    "MODEL.RPN.POSITIVE_FRACTION": Setting(0.5, NUMBER, ("rpn.positive_fraction",)),
    "MODEL.RPN.SMOOTH_L1_BETA": Setting(0.0, NUMBER, ("rpn.smooth_l1_beta",)),
    "MODEL.RPN.PRE_NMS_TOPK_TRAIN": Setting(12000, WHOLE, ("rpn.pre_nms_top_n_train",)),
    "MODEL.RPN.POST_NMS_TOPK_TRAIN": Setting(2000, WHOLE, ("rpn.post_nms_top_n_train",)),
    "MODEL.ROI_HEADS.IOU_THRESHOLDS": Setting([0.5], _THRESHOLDS, ("roi.bg_iou_thresh", "roi.fg_iou_thresh")),
    "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE": Setting(512, WHOLE, ("roi.batch_size_per_image",)),
    "MODEL.ROI_HEADS.POSITIVE_FRACTION": Setting(0.25, NUMBER, ("roi.positive_fraction",)),
    "MODEL.ROI_BOX_HEAD.SMOOTH_L1_BETA": Setting(0.0, NUMBER, ("roi.smooth_l1_beta",)),
    "MODEL.ROI_BOX_HEAD.USE_FED_LOSS": Setting(False, alone(False)),
}
# what the network wants of its input, and where it has its stride: the tensors may show it
OF_INPUT: Mapping[str, Setting] = {
    "INPUT.FORMAT": Setting("BGR", alone("BGR", "RGB")),
    "MODEL.PIXEL_MEAN": Setting([103.53, 116.28, 123.675], numbers(3, 3, "3 numbers", positive=False)),
    "MODEL.PIXEL_STD": Setting([1.0, 1.0, 1.0], numbers(3, 3, "3 numbers above 0")),
    "MODEL.RESNETS.STRIDE_IN_1X1": Setting(True, YES_NO),
}
# what else detections depend on
OF_TESTING: Mapping[str, Setting] = {
    "INPUT.MIN_SIZE_TEST": Setting(800, PIXELS),
    "INPUT.MAX_SIZE_TEST": Setting(1333, PIXELS),
    "MODEL.ANCHOR_GENERATOR.SIZES": Setting([32.0, 64.0, 128.0, 256.0, 512.0], SIZES, ("anchors.sizes",)),
    "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS": Setting([0.5, 1.0, 2.0], SIZES, ("anchors.ratios",)),
    "MODEL.PROPOSAL_GENERATOR.MIN_SIZE": Setting(0, WHOLE, ("rpn.min_size",)),
    "MODEL.RPN.BBOX_REG_WEIGHTS": Setting([1.0, 1.0, 1.0, 1.0], _FACTORS),
    "MODEL.RPN.PRE_NMS_TOPK_TEST": Setting(6000, WHOLE, ("rpn.pre_nms_top_n_test",)),
    "MODEL.RPN.POST_NMS_TOPK_TEST": Setting(1000, WHOLE, ("rpn.post_nms_top_n_test",)),
    "MODEL.RPN.NMS_THRESH": Setting(0.7, NUMBER, ("rpn.nms_thresh",)),
    "MODEL.ROI_BOX_HEAD.POOLER_TYPE": Setting("ROIAlignV2", alone(*POOLINGS)),
    "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": Setting(14, WHOLE, ("roi.pooled_size",)),
    "MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO": Setting(0, WHOLE, ("roi.sampling_ratio",)),
    "MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS": Setting([10.0, 10.0, 5.0, 5.0], _FACTORS),
    "MODEL.ROI_HEADS.SCORE_THRESH_TEST": Setting(0.05, NUMBER, ("test.score_thresh",)),
    "MODEL.ROI_HEADS.NMS_THRESH_TEST": Setting(0.5, NUMBER, ("test.nms_thresh",)),
    "TEST.DETECTIONS_PER_IMAGE": Setting(100, WHOLE, ("test.detections_per_image",)),
    "MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE": Setting(False, alone(False)),
}
# what the tensors show
SHOWN: Mapping[str, Setting] = {
    "MODEL.ROI_HEADS.NUM_CLASSES": Setting(80, WHOLE),
    "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG": Setting(False, YES_NO),
    "MODEL.RESNETS.DEPTH": Setting(50, WHOLE),
    "MODEL.MASK_ON": Setting(False, alone(False, hint=_BOXES_ONLY)),
    "MODEL.KEYPOINT_ON": Setting(False, alone(False, hint=_BOXES_ONLY)),
}
# what makes another detector
FIXED: Mapping[str, Setting] = {
    "VERSION": Setting(2, alone(2)),
    "MODEL.META_ARCHITECTURE": Setting("GeneralizedRCNN", alone("GeneralizedRCNN")),
    "MODEL.LOAD_PROPOSALS": Setting(False, alone(False)),
    "MODEL.BACKBONE.NAME": Setting("build_resnet_backbone", alone("build_resnet_backbone")),
    "MODEL.RESNETS.OUT_FEATURES": Setting(["res4"], alone(["res4"])),
    "MODEL.RESNETS.NUM_GROUPS": Setting(1, alone(1)),
    "MODEL.RESNETS.NORM": Setting("FrozenBN", alone("FrozenBN", "BN", "SyncBN", "nnSyncBN")),
    "MODEL.RESNETS.RES5_DILATION": Setting(1, alone(1)),
    "MODEL.RESNETS.DEFORM_ON_PER_STAGE": Setting([False] * 4, alone([False] * 4)),
    "MODEL.PROPOSAL_GENERATOR.NAME": Setting("RPN", alone("RPN")),
    "MODEL.ANCHOR_GENERATOR.NAME": Setting("DefaultAnchorGenerator", alone("DefaultAnchorGenerator")),
    "MODEL.ANCHOR_GENERATOR.OFFSET": Setting(0.0, alone(0.0, 0)),
    "MODEL.RPN.HEAD_NAME": Setting("StandardRPNHead", alone("StandardRPNHead")),
    "MODEL.RPN.IN_FEATURES": Setting(["res4"], alone(["res4"])),
    "MODEL.RPN.CONV_DIMS": Setting([-1], alone([-1])),
    "MODEL.ROI_HEADS.NAME": Setting("Res5ROIHeads", alone("Res5ROIHeads")),
    "MODEL.ROI_HEADS.IN_FEATURES": Setting(["res4"], alone(["res4"])),
}
SETTINGS: Mapping[str, Setting] = {**OF_TRAINING, **OF_INPUT, **OF_TESTING, **SHOWN, **FIXED}
