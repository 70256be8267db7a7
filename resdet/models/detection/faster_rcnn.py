"""Faster R-CNN: one trunk, a network that proposes regions on it, a network that classifies them (paper, appendix A)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from resdet.models.detection.roi_heads import RoIHeads
from resdet.models.detection.rpn import RPN
from resdet.structures import Detections, ImageBatch, PixelConvention, Target


class FasterRCNN(nn.Module):
    """The detector, made of parts.

    Args:
        trunk: conv1–conv4, images (N, 3, H, W) to the C4 map (N, C, H/16, W/16).
        rpn: proposes regions on the C4 map.
        roi_heads: classifies regions of the C4 map.
        pixels: the pixel convention of the weights.
        names: the K class names, in label order.
    """

    def __init__(
        self, trunk: nn.Module, rpn: RPN, roi_heads: RoIHeads, *, pixels: PixelConvention, names: Sequence[str]
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.rpn = rpn
        self.roi_heads = roi_heads
        self.pixels = pixels
        self.names = tuple(names)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.rpn.head.conv.weight.device

    def forward(
        self, images: Sequence[Tensor], targets: Sequence[Target] | None = None
    ) -> list[Detections] | dict[str, Tensor]:
        """``losses`` when there are targets, else ``detect``."""
        return self.detect(images) if targets is None else self.losses(images, targets)

    def losses(self, images: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """The four losses of approximate joint training.

        Args:
            images: N RGB uint8 images (3, H_i, W_i), on any device.
            targets: N targets in pixels of these images.

        Returns:
            {"loss_rpn_cls", "loss_rpn_box", "loss_roi_cls", "loss_roi_box"}: scalars, always all four, always in the graph.
        """
        batch = ImageBatch.from_images(images, self.pixels, self.device)
        targets = [target.to(self.device) for target in targets]
        features = self.trunk(batch.tensor)
        proposals, rpn_losses = self.rpn(features, batch.sizes, targets)
        regions = self.roi_heads.sample_regions(proposals, targets)
        return {**rpn_losses, **self.roi_heads.losses(features, regions)}

    @torch.no_grad()
    def detect(self, images: Sequence[Tensor]) -> list[Detections]:
        """Detections of N RGB uint8 images (3, H_i, W_i), in pixels of these images, best first."""
        batch = ImageBatch.from_images(images, self.pixels, self.device)
        features = self.trunk(batch.tensor)
        proposals, _ = self.rpn(features, batch.sizes)
        return self.roi_heads.detect(features, proposals, batch.sizes, self.names)
