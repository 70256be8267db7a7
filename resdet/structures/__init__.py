"""Values that all parts of the package share: boxes, targets, detections, image batches, pixel conventions."""

from resdet.ops.boxes import box_area, clip_boxes, scale_boxes, xywh_to_xyxy, xyxy_to_xywh
from resdet.structures.classification import Classification, ClassScore
from resdet.structures.detections import Detection, Detections
from resdet.structures.image_batch import ImageBatch
from resdet.structures.pixels import PIXEL_CONVENTIONS, PixelConvention
from resdet.structures.target import Target
from resdet.structures.target_batch import TargetBatch

__all__ = [
    "PIXEL_CONVENTIONS",
    "ClassScore",
    "Classification",
    "Detection",
    "Detections",
    "ImageBatch",
    "PixelConvention",
    "Target",
    "TargetBatch",
    "box_area",
    "clip_boxes",
    "scale_boxes",
    "xywh_to_xyxy",
    "xyxy_to_xywh",
]
