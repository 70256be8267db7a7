"""The R-CNN stage of localization: a network on each proposal, cropped and warped (paper, appendix C).

Legend: R regions, K classes, S the side of a warped region.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resdet.losses.box_regression import box_regression_loss
from resdet.models.detection.box_coder import BoxCoder
from resdet.models.localization.per_class_head import PerClassHead
from resdet.models.localization.per_class_rpn import PerClassRPN
from resdet.models.model_file import ModelCard
from resdet.structures import PixelConvention


class RegionNet(nn.Module):
    """A classification network with two sibling layers in place of ``fc``: of every class a logit and box deltas of the region.

    Args:
        body: normalized images to the last map, which is averaged.
        head: of K classes and one anchor, the region itself.
        pixels: what the body expects its input to be.
        side: S, pixels.
        smooth_l1_beta: of the box loss.
        coder: of regions' deltas.
    """

    def __init__(
        self,
        body: nn.Module,
        head: PerClassHead,
        *,
        pixels: PixelConvention,
        side: int,
        smooth_l1_beta: float,
        coder: BoxCoder,
    ) -> None:
        super().__init__()
        self.body = body
        self.head = head
        self.pixels = pixels
        self.side = side
        self.smooth_l1_beta = smooth_l1_beta
        self.coder = coder

    def forward(self, regions: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Warped regions uint8 RGB (R, 3, S, S) and one class each, int64 (R,), to its logits (R,) and deltas (R, 4)."""
        features = self.body(self.pixels.normalize(regions)).mean((2, 3), keepdim=True)
        logits, deltas = self.head(features, labels[:, None])
        return logits[:, 0, 0], deltas[:, 0, 0]

    def losses(self, regions: Tensor, labels: Tensor, positive: Tensor, references: Tensor, boxes: Tensor) -> dict[str, Tensor]:
        """Binary cross-entropy over the regions, and the box loss of the positive ones, both divided by R.

        Args:
            regions: uint8 RGB (R, 3, S, S).
            labels: int64 (R,), the class of the image that a region was cut from.
            positive: bool (R,), whether a region shows an object of that class.
            references: float (R, 4) ``xyxy``, the regions in the image.
            boxes: float (R, 4) ``xyxy``, the objects' boxes; of negative regions anything.

        Returns:
            {"loss_rcnn_cls", "loss_rcnn_box"}, scalars.
        """
        logits, deltas = self(regions, labels)
        targets = self.coder.encode(boxes[positive], references[positive])
        box = box_regression_loss(deltas[positive], targets, beta=self.smooth_l1_beta, normalizer=len(regions))
        return {"loss_rcnn_cls": F.binary_cross_entropy_with_logits(logits, positive.to(logits)), "loss_rcnn_box": box}


class RegionLocalizer(nn.Module):
    """A trained per-class RPN, which stays as it is, and the network that scores and refines its boxes.

    Args:
        rpn: proposes.
        regions: the regions of the same classes.

    Attributes:
        card: the card of its model file, for ``resdet.save``; None for a network that no builder made.
    """

    card: ModelCard | None = None

    def __init__(self, rpn: PerClassRPN, regions: RegionNet) -> None:
        super().__init__()
        self.rpn = rpn.requires_grad_(False)
        self.regions = regions

    @property
    def names(self) -> tuple[str, ...]:
        """The K class names, in label order."""
        return self.rpn.names

    @property
    def pixels(self) -> PixelConvention:
        """What both networks expect their input to be."""
        return self.regions.pixels

    @property
    def body(self) -> nn.Module:
        """The network that is trained."""
        return self.regions.body

    def refine(self, regions: Tensor, labels: Tensor, references: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes float32 (R, 4) ``xyxy`` and probabilities (R,) of regions; shapes as for ``RegionNet.losses``."""
        logits, deltas = self.regions(regions, labels)
        return self.regions.coder.decode(deltas, references), torch.sigmoid(logits)
