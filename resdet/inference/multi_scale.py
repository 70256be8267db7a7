"""Multi-scale testing (paper, appendix B): each region is pooled at the two scales that show it nearest to 224 x 224 pixels.

Legend: R regions of one image, L scales of its pyramid, C' channels of a region's feature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from resdet.data.transforms.detection import DetectionTestTransform
from resdet.models.detection.roi_heads import RoIHeads
from resdet.ops.boxes import box_area, scale_boxes
from resdet.ops.precision import in_float64
from resdet.structures import Target

CANONICAL_AREA = 224 * 224  # square pixels: the size on which the backbone was trained


@dataclass(frozen=True)
class ImagePyramid:
    """A picture at several scales, each resized from the original.

    Attributes:
        short_sides: the shorter side at each scale, pixels (paper: 200, 400, 600, 800, 1000).
        short_side: the shorter side in the data's options, pixels.
        max_side: the limit of the longer side in the data's options, pixels; the limit of a scale is to its shorter side as
            this is to ``short_side``.
    """

    short_sides: tuple[int, ...]
    short_side: int
    max_side: int

    def __call__(self, image: Image.Image) -> list[Tensor]:
        """An RGB image as uint8 (3, H_i, W_i), one a scale."""
        nothing = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), (image.height, image.width))
        limits = [round(self.max_side * side / self.short_side) for side in self.short_sides]
        return [
            DetectionTestTransform(side, limit)(image, nothing)[0] for side, limit in zip(self.short_sides, limits, strict=True)
        ]


@dataclass(frozen=True)
class Level:
    """An image at one scale: its C4 map (1, C, h, w) and its (height, width) in pixels."""

    features: Tensor
    size: tuple[int, int]


def select_adjacent_scales(
    boxes: Tensor, size: tuple[int, int], level_sizes: Sequence[tuple[int, int]]
) -> tuple[Tensor, Tensor]:
    """The two neighbouring scales between which a box has an area of 224 x 224 pixels.

    The scale at which it has just that area lies between the two, on a logarithmic axis or any other; where it lies outside of
    the pyramid, they are the two at that end. Where a scale fits exactly, it is the lower of the two: of its neighbours the
    larger is nearer by ratio in a pyramid of equal steps.

    Args:
        boxes: float (R, 4) ``xyxy``, pixels of an image of ``size``.
        size: (height, width).
        level_sizes: (height, width) of the same image at the L scales, increasing; at least one.

    Returns:
        int64 (R,) and (R,), indices of the lower and the upper scale; both are 0 when there is one scale only.
    """
    # areas at the levels against 224², both times the image's area: whole numbers where the box's area is one
    own = in_float64(boxes)
    pixels = torch.tensor([height * width for height, width in level_sizes], dtype=torch.float64, device=own.device)
    areas = box_area(own)[:, None] * pixels
    not_above = (areas <= CANONICAL_AREA * size[0] * size[1]).sum(1)
    lower = (not_above - 1).clamp(0, max(len(level_sizes) - 2, 0)).to(boxes.device)
    return lower, (lower + 1).clamp(max=len(level_sizes) - 1)


def merged_features(heads: RoIHeads, levels: Sequence[Level], regions: Tensor, size: tuple[int, int]) -> Tensor:
    """The features of regions, pooled at their two adjacent scales and merged by element-wise maximum (maxout).

    Pooling and all that follows up to the predictor run at both scales, and the two averages of conv5's maps are merged. The
    paper's words fit a maximum of the maps, before they are averaged, as well; but the mean of a maximum is larger than both
    means, and the predictor has never seen such features, while each of the averages is what it was trained on.

    Args:
        heads: whose pooling and conv5 run.
        levels: the image at increasing scales; with one level nothing is merged.
        regions: float32 (R, 4) ``xyxy``, pixels of an image of ``size``.
        size: (height, width).

    Returns:
        (R, C').
    """

    def averages(level: Level, boxes: Tensor) -> Tensor:
        return heads.region_features(level.features, [scale_boxes(boxes, size, level.size)])

    if len(levels) == 1:
        return averages(levels[0], regions)
    lower, upper = select_adjacent_scales(regions, size, [level.size for level in levels])
    chosen = [((lower == index) | (upper == index)).nonzero()[:, 0] for index in range(len(levels))]
    features = [averages(level, regions[rows]) for level, rows in zip(levels, chosen, strict=True)]
    merged = features[0].new_full((len(regions), features[0].shape[1]), -torch.inf)
    for rows, each in zip(chosen, features, strict=True):
        merged[rows] = torch.maximum(merged[rows], each)
    return merged
