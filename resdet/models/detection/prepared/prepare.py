"""From the parts of a trained detector to their fast form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torchvision.ops import RoIAlign

from resdet.models.backbones.misfit import is_a, module_misfit
from resdet.models.backbones.split import Head, Trunk
from resdet.models.detection.prepared import regions, trunk
from resdet.models.detection.prepared.compiled import Compiled
from resdet.models.detection.prepared.fold import copied, fold, folded_head, folded_trunk, rows
from resdet.models.detection.prepared.pooling import pool
from resdet.models.detection.prepared.regions import RowsRegions
from resdet.models.detection.prepared.spatial import map_convolution
from resdet.models.detection.prepared.trunk import RowsTrunk
from resdet.models.detection.roi_heads import RoIHeads
from resdet.models.detection.rpn import RPN, RPNHead, rpn_head_misfit
from resdet.ops.kernels import Kernels, default_kernels
from resdet.ops.precision import at_least_float32
from resdet.ops.products import has_bfloat16, product
from resdet.ops.roi_rows import joined

_FOLDED_CHUNK = 32  # regions whose maps of 14×14 stay in cache


@dataclass(frozen=True)
class PreparedParts:
    """The three parts of a detector in their fast form.

    Attributes:
        trunk: conv1–conv4.
        rpn: proposes regions.
        roi_heads: classifies regions.
        kernels: which way each product is computed, by what is computed.
    """

    trunk: nn.Module
    rpn: RPN
    roi_heads: RoIHeads
    kernels: dict[str, str]


@torch.no_grad()
def prepare_parts(
    plain_trunk: nn.Module,
    plain_rpn: RPN,
    heads: RoIHeads,
    dtype: torch.dtype | None = None,
    *,
    compiled: bool = False,
    kernels: Kernels | None = None,
) -> PreparedParts:
    """The parts of a detector for inference, with the same results, on their device; nothing is shared, they stay as they are.

    On a CPU networks of bottlenecks run on rows (``trunk``, ``regions``), in float32, and in bfloat16 where the processor
    computes with it; all others, and all on a GPU or compiled, run their layers with BN folded, channels last, for which torch
    has fast kernels there.

    Args:
        plain_trunk: in any mode, as the two others.
        plain_rpn: the RPN of the same detector.
        heads: the RoI heads of the same detector.
        dtype: what the convolutions compute in; RoI pooling, the two sibling layers, scores, boxes and NMS stay in float32.
            None: the model's own.
        compiled: fuse the layers by torch.compile, see ``Compiled``.
        kernels: how products on rows are computed; None: measured where nothing is remembered in the cache folder.
    """
    weight = heads.predictor.cls_score.weight
    own, device = weight.dtype, weight.device
    number = dtype or own
    on_rows = device.type == "cpu" and not compiled and (number == own or (number == torch.bfloat16 and has_bfloat16()))
    kernels = kernels or default_kernels()

    def layers(folded: nn.Module) -> nn.Module:
        folded = folded.to(memory_format=torch.channels_last).to(dtype=dtype)
        return Compiled(folded, graphs=device.type == "cuda") if compiled else folded

    whole, rpn = cast(Trunk, plain_trunk), copied(plain_rpn)
    if on_rows and trunk.fits(whole):
        features: nn.Module = RowsTrunk(whole, number, kernels)
    else:
        features = layers(folded_trunk(whole))
    if on_rows and not rpn_head_misfit(plain_rpn.head) and not module_misfit(plain_rpn.head):
        rpn.head = PreparedRPNHead(plain_rpn.head, number, kernels)
    else:
        rpn.head = layers(rpn.head)
    conv5 = cast(Head, heads.res5)
    if not is_a(heads, RoIHeads) or module_misfit(heads):  # a user's own
        classifier = copied(heads)
    elif on_rows and regions.fits(heads.pooler, conv5):
        classifier = PreparedRoIHeads(heads, RowsRegions(cast(RoIAlign, heads.pooler), conv5, number, kernels))
    else:
        classifier = PreparedRoIHeads(heads, FoldedRegions(heads.pooler, layers(folded_head(conv5)), conv5.out_channels))
    return PreparedParts(features, rpn, classifier, dict(kernels.answers))


class PreparedRPNHead(RPNHead):
    """The RPN's three convolutions, the two 1×1s as one matrix product.

    Args:
        head: what it computes.
        dtype: what it computes in.
        kernels: how its products are computed.
    """

    def __init__(self, head: RPNHead, dtype: torch.dtype, kernels: Kernels) -> None:
        nn.Module.__init__(self)
        self.anchors = head.objectness.out_channels
        self.dtype = dtype
        self.spatial = map_convolution(*fold(head.conv, None, dtype), 1, kernels)
        (objectness, bias), (deltas, deltas_bias) = fold(head.objectness, None, dtype), fold(head.deltas, None, dtype)
        outputs = torch.cat([rows(objectness), rows(deltas)], 1)
        self.outputs = product(outputs, torch.cat([bias, deltas_bias]), kernels)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """As the plain head's."""
        hidden = self.spatial(features.to(self.dtype).permute(0, 2, 3, 1))
        outputs = self.outputs(hidden.reshape(-1, hidden.shape[-1]))
        logits, deltas = outputs.view(len(features), -1, 5 * self.anchors).split([self.anchors, 4 * self.anchors], dim=2)
        return at_least_float32(logits.flatten(1)), at_least_float32(deltas.reshape(len(features), -1, 4))


class PreparedRoIHeads(RoIHeads):
    """The region classifier with another way to the regions' features.

    Args:
        heads: what it computes.
        regions: features (N, C, H, W) and N box tensors to the regions' features (R, C').
    """

    def __init__(self, heads: RoIHeads, regions: nn.Module) -> None:
        super().__init__(
            nn.Identity(),
            nn.Identity(),
            copied(heads.predictor),
            context=heads.context,
            batch_size_per_image=heads.batch_size_per_image,
            positive_fraction=heads.positive_fraction,
            fg_iou_thresh=heads.fg_iou_thresh,
            bg_iou_thresh=heads.bg_iou_thresh,
            smooth_l1_beta=heads.smooth_l1_beta,
            postprocess=heads.postprocess,
            coder=heads.coder,
        )
        self.regions = regions

    def region_features(self, features: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """As the plain heads'."""
        return cast(Tensor, self.regions(features, boxes))


class FoldedRegions(nn.Module):
    """Pooling of any kind, conv5 of any kind, and the mean over positions.

    Args:
        pooler: RoIAlign or RoIPool.
        head: conv5, in any dtype.
        channels: of conv5's maps.
    """

    def __init__(self, pooler: nn.Module, head: nn.Module, channels: int) -> None:
        super().__init__()
        self.pooler = copied(pooler)
        self.head = head
        self.channels = channels

    def forward(self, features: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """Features (N, C, H, W) and N tensors (R_i, 4) ``xyxy`` in pixels to the regions' features (sum of R_i, C')."""
        regions, image = joined(boxes)
        number = torch.promote_types(features.dtype, torch.float32)
        if not len(regions):
            return features.new_zeros(0, self.channels, dtype=number)
        if features.is_cuda:  # which takes all at once
            return cast(Tensor, self.head(pool(self.pooler, features, regions, image)).mean((2, 3), dtype=number))
        features = features.to(number)
        chunks = zip(regions.split(_FOLDED_CHUNK), image.split(_FOLDED_CHUNK), strict=True)
        maps = (self.head(pool(self.pooler, features, *chunk)) for chunk in chunks)
        return torch.cat([each.mean((2, 3), dtype=number) for each in maps])
