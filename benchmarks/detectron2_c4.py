"""Detectron2's Faster R-CNN on ResNet-C4 with the weights of our detector, where it is installed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from resdet.models.convert.names import detector_name, from_detectron2, head_name
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.structures import Target


def detectron2_c4(detector: FasterRCNN, depth: int, *, stride_in_1x1: bool) -> nn.Module:
    """Detectron2's C4 detector on the CPU, with copies of the weights of ``detector`` and conv1 and conv2_x frozen.

    It takes normalized images. Its conventions are ours (anchors, RoIAlign, order of the classes).

    Args:
        detector: of the default anchors, pooling and thresholds.
        depth: of its ResNet: 50, 101.
        stride_in_1x1: where the stride of its bottlenecks is.
    """
    from detectron2.config import get_cfg
    from detectron2.modeling import build_model

    rpn, roi = detector.rpn, detector.roi_heads
    config = get_cfg()
    options = {
        "MODEL.DEVICE": "cpu",
        "MODEL.PIXEL_MEAN": [0.0, 0.0, 0.0],
        "MODEL.PIXEL_STD": [1.0, 1.0, 1.0],
        "MODEL.RESNETS.DEPTH": depth,
        "MODEL.RESNETS.STRIDE_IN_1X1": stride_in_1x1,
        "MODEL.BACKBONE.FREEZE_AT": 2,
        "MODEL.RPN.PRE_NMS_TOPK_TRAIN": rpn.train_filter.pre_nms_top_n,
        "MODEL.RPN.POST_NMS_TOPK_TRAIN": rpn.train_filter.post_nms_top_n,
        "MODEL.RPN.PRE_NMS_TOPK_TEST": rpn.test_filter.pre_nms_top_n,
        "MODEL.RPN.POST_NMS_TOPK_TEST": rpn.test_filter.post_nms_top_n,
        "MODEL.RPN.BATCH_SIZE_PER_IMAGE": rpn.batch_size_per_image,
        "MODEL.ROI_HEADS.NUM_CLASSES": len(detector.names),
        "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE": roi.batch_size_per_image,
        "MODEL.ROI_HEADS.SCORE_THRESH_TEST": roi.postprocess.score_thresh,
        "MODEL.ROI_HEADS.NMS_THRESH_TEST": roi.postprocess.nms_thresh,
        "TEST.DETECTIONS_PER_IMAGE": roi.postprocess.detections_per_image,
    }
    config.merge_from_list([part for option in options.items() for part in option])
    model: nn.Module = build_model(config)
    ours = detector.state_dict()
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            if name := head_name(key):
                tensor.copy_(ours[name])
            elif network := from_detectron2(key.removeprefix("backbone.").removeprefix("roi_heads.")):
                tensor.copy_(ours[detector_name(network)])
            else:
                raise ValueError(f"{key}: a tensor of Detectron2's that none of ours is known for")
    return model


def detected(model: nn.Module, pixels: Tensor) -> dict[str, Tensor]:
    """Boxes, scores and labels of one normalized image (3, H, W)."""
    with torch.no_grad():
        (found,) = model.inference([{"image": pixels}], do_postprocess=False)  # type: ignore[operator]
    return {"boxes": found.pred_boxes.tensor, "scores": found.scores, "labels": found.pred_classes}


def losses(model: nn.Module, pixels: Tensor, target: Target) -> dict[str, Tensor]:
    """Its losses of one normalized image (3, H, W), whose samples are other ones than ours."""
    from detectron2.structures import Boxes, Instances
    from detectron2.utils.events import EventStorage

    labels = Instances(target.size, gt_boxes=Boxes(target.boxes), gt_classes=target.labels)
    with EventStorage():
        found: dict[str, Tensor] = model([{"image": pixels, "instances": labels}])
    return found
