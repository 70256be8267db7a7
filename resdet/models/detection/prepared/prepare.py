"""From a trained detector to its fast form."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NoReturn, cast

import torch
from torch import Tensor, nn
from torchvision.ops import RoIAlign

from resdet.models.backbones.split import Head, Trunk
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.detection.prepared import trunk
from resdet.models.detection.prepared.fold import FoldedHead, FoldedTrunk, fold, rows
from resdet.models.detection.prepared.region_net import RegionNet
from resdet.models.detection.prepared.trunk import RowsTrunk
from resdet.models.detection.prepared.winograd import WinogradConvolution
from resdet.models.detection.region_rows import conv5_on_rows
from resdet.models.detection.roi_heads import RoIHeads
from resdet.models.detection.rpn import RPNHead
from resdet.ops.precision import at_least_float32
from resdet.ops.roi_rows import joined

_FOLDED_CHUNK = 32  # regions whose maps of 14×14 stay in cache


class PreparedFasterRCNN(FasterRCNN):
    """A detector that does not train; ``prepare`` makes it. Its tensors are its own."""

    def losses(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Always a RuntimeError: the plain model trains."""
        raise RuntimeError("a prepared detector does not train: BN is folded into its weights")

    def prepare(self) -> FasterRCNN:
        """Itself."""
        return self


@torch.no_grad()
def prepare(model: FasterRCNN) -> PreparedFasterRCNN:
    """A detector for inference with the results of ``model``, on its device; nothing is shared, ``model`` stays as it is.

    On a CPU networks of bottlenecks run on rows (``trunk``, ``region_net``); all others, and all on a GPU, run their layers
    with BN folded, channels last, since a GPU's own kernels are not slower than what replaces them.
    """
    on_cpu = model.device.type == "cpu"
    rpn = copy.deepcopy(model.rpn)
    if on_cpu:
        rpn.head = PreparedRPNHead(model.rpn.head)
    return PreparedFasterRCNN(
        _prepared_trunk(cast(Trunk, model.trunk), on_cpu),
        rpn,
        PreparedRoIHeads(model.roi_heads, on_cpu),
        pixels=model.pixels,
        names=model.names,
    ).eval()


def _prepared_trunk(plain: Trunk, on_cpu: bool) -> nn.Module:
    return RowsTrunk(plain) if on_cpu and trunk.fits(plain) else FoldedTrunk(plain)


class PreparedRPNHead(RPNHead):
    """The RPN's three convolutions: the 3×3 by Winograd's algorithm, the two 1×1s as one matrix product.

    Args:
        head: what it computes.
    """

    outputs: Tensor
    output_bias: Tensor

    def __init__(self, head: RPNHead) -> None:
        nn.Module.__init__(self)
        self.anchors = head.objectness.out_channels
        self.spatial = WinogradConvolution(*fold(head.conv, None))
        (objectness, bias), (deltas, deltas_bias) = fold(head.objectness, None), fold(head.deltas, None)
        self.register_buffer("outputs", torch.cat([rows(objectness), rows(deltas)], 1))
        self.register_buffer("output_bias", torch.cat([bias, deltas_bias]))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """As the plain head's."""
        hidden = self.spatial(features.permute(0, 2, 3, 1)).relu_()
        outputs = torch.addmm(self.output_bias, hidden.reshape(-1, hidden.shape[-1]), self.outputs)
        logits, deltas = outputs.view(len(features), -1, 5 * self.anchors).split([self.anchors, 4 * self.anchors], dim=2)
        return at_least_float32(logits.flatten(1)), at_least_float32(deltas.reshape(len(features), -1, 4))


class PreparedRoIHeads(RoIHeads):
    """The region classifier with another way to the regions' features.

    Args:
        heads: what it computes.
        on_cpu: whether it runs there.
    """

    def __init__(self, heads: RoIHeads, on_cpu: bool) -> None:
        super().__init__(
            nn.Identity(),
            nn.Identity(),
            copy.deepcopy(heads.predictor),
            context=heads.context,
            postprocess=heads.postprocess,
            coder=heads.coder,
        )
        pooler, head = heads.pooler, heads.res5
        fits = on_cpu and conv5_on_rows(pooler, head)
        self.regions = RegionNet(cast(RoIAlign, pooler), cast(Head, head)) if fits else FoldedRegions(pooler, cast(Head, head))

    def region_features(self, features: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """As the plain heads'."""
        return cast(Tensor, self.regions(at_least_float32(features), boxes))


class FoldedRegions(nn.Module):
    """Pooling of any kind, conv5 of any kind with its BN folded, and the mean over positions.

    Args:
        pooler: RoIAlign or RoIPool.
        head: conv5.
    """

    def __init__(self, pooler: nn.Module, head: Head) -> None:
        super().__init__()
        self.pooler = copy.deepcopy(pooler)
        self.head = FoldedHead(head)
        self.channels = head.out_channels

    def forward(self, features: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """Features (N, C, H, W) and N tensors (R_i, 4) ``xyxy`` in pixels to the regions' features (sum of R_i, C')."""
        regions, image = joined(boxes)
        if not len(regions):
            return features.new_zeros(0, self.channels)
        indexed = torch.cat([image[:, None].to(regions), regions], 1)
        # a GPU takes all at once
        step = len(regions) if features.is_cuda else _FOLDED_CHUNK
        return torch.cat([self.head(self.pooler(features, chunk)).mean((2, 3)) for chunk in indexed.split(step)])
