"""Values that travel between the floors: boxes, targets, detections, image batches, pixel conventions."""

from resdet.structures.boxes import box_area, clip_boxes, scale_boxes, xywh_to_xyxy, xyxy_to_xywh
from resdet.structures.image_batch import ImageBatch
from resdet.structures.instances import Detections, Target
from resdet.structures.pixels import PIXEL_CONVENTIONS, PixelConvention
from resdet.structures.target_batch import TargetBatch

__all__ = [
    "PIXEL_CONVENTIONS",
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
