"""Anchors: the reference boxes that the RPN classifies and regresses at every position of the C4 map.

Legend: A anchors a position, (H, W) the feature map's height and width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def cell_anchors(sizes: Sequence[float], ratios: Sequence[float], *, rounded: bool = False) -> Tensor:
    """The anchors of one position, float32 (A, 4) ``xyxy`` around (0, 0), in pixels, for each size every ratio in turn.

    Args:
        sizes: square roots of the areas, pixels.
        ratios: height / width.
        rounded: whether the corners are whole pixels, halves to the even ones; else width and height are exactly
            size / sqrt(ratio) and size * sqrt(ratio).
    """
    size = torch.tensor(sizes, dtype=torch.float64)[:, None]
    root = torch.tensor(ratios, dtype=torch.float64).sqrt()[None]
    half_width, half_height = (size / root).flatten() / 2, (size * root).flatten() / 2
    cell = torch.stack([-half_width, -half_height, half_width, half_height], dim=1).float()
    return cell.round() if rounded else cell


class AnchorGrid(nn.Module):
    """Places the cell's anchors at every position of a feature map: position (y, x) is the pixel (stride * y, stride * x).

    Args:
        cell: float32 (A, 4), as ``cell_anchors`` makes them.
        stride: pixels between neighbouring positions.
    """

    cell: Tensor

    def __init__(self, cell: Tensor, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.register_buffer("cell", cell, persistent=False)

    @property
    def per_position(self) -> int:
        """A, the number of anchors at a position."""
        return len(self.cell)

    def forward(self, height: int, width: int) -> Tensor:
        """All anchors of an H × W map, float32 (H * W * A, 4), row by row, the anchors of a position together."""
        y = torch.arange(height, device=self.cell.device, dtype=torch.float32) * self.stride
        x = torch.arange(width, device=self.cell.device, dtype=torch.float32) * self.stride
        grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
        shifts = torch.stack([grid_x, grid_y, grid_x, grid_y], dim=-1).reshape(-1, 1, 4)
        return (shifts + self.cell).reshape(-1, 4)
