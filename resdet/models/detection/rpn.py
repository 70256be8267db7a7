"""Region proposal network (Faster R-CNN, section 3.1) on the C4 map.

Legend: N images, A anchors of an image (H * W positions times the anchors of a position), C channels, R proposals.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from resdet.distributed.share import Share
from resdet.losses.box_regression import box_regression_loss
from resdet.models.backbones.misfit import conv_misfit, is_a
from resdet.models.detection.anchors import AnchorGrid
from resdet.models.detection.box_coder import BoxCoder
from resdet.models.detection.matcher import match
from resdet.models.detection.proposals import ProposalFilter, select_proposals
from resdet.models.detection.sampler import sample
from resdet.ops.gpu_kernels import has_gpu_kernels
from resdet.ops.precision import at_least_float32
from resdet.structures import TargetBatch


class RPNHead(nn.Module):
    """3×3 convolution and ReLU, then two sibling 1×1 convolutions: objectness and box deltas of every anchor.

    Args:
        channels: C of the feature map, and of the hidden layer.
        anchors: anchors a position.
    """

    def __init__(self, channels: int, anchors: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.objectness = nn.Conv2d(channels, anchors, 1)
        self.deltas = nn.Conv2d(channels, anchors * 4, 1)
        for layer in (self.conv, self.objectness, self.deltas):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, C, H, W) to logits (N, A) and deltas (N, A, 4), in the order of ``AnchorGrid``."""
        hidden = F.relu(self.conv(features), inplace=True)
        logits = self.objectness(hidden).permute(0, 2, 3, 1).flatten(1)
        deltas = self.deltas(hidden).permute(0, 2, 3, 1)
        return at_least_float32(logits), at_least_float32(deltas.reshape(features.shape[0], -1, 4))


def rpn_head_misfit(head: RPNHead) -> str:
    """Whether it is a plain one with plain convolutions; see ``resdet.models.backbones.misfit``."""
    if not is_a(head, RPNHead):
        return f"a {type(head).__name__}"
    for layer in (head.conv, head.objectness, head.deltas):
        misfit = conv_misfit(layer, None) or ("groups" if layer.groups > 1 else "")
        if misfit:
            return misfit
    return ""


class RPN(nn.Module):
    """Proposes regions, and learns to.

    Args:
        head: scores and deltas of every anchor.
        anchors: the anchors of a map.
        train_filter, test_filter: how many proposals survive in training and in testing.
        batch_size_per_image, positive_fraction: anchors sampled for the loss an image, and the share of positives at most.
        fg_iou_thresh, bg_iou_thresh: an anchor is positive from the one on, negative below the other.
        smooth_l1_beta: of the box loss.
        coder: of anchors' deltas.
    """

    def __init__(
        self,
        head: RPNHead,
        anchors: AnchorGrid,
        *,
        train_filter: ProposalFilter,
        test_filter: ProposalFilter,
        batch_size_per_image: int,
        positive_fraction: float,
        fg_iou_thresh: float,
        bg_iou_thresh: float,
        smooth_l1_beta: float,
        coder: BoxCoder,
    ) -> None:
        super().__init__()
        self.head = head
        self.anchors = anchors
        self.train_filter = train_filter
        self.test_filter = test_filter
        self.batch_size_per_image = batch_size_per_image
        self.positive_fraction = positive_fraction
        self.fg_iou_thresh = fg_iou_thresh
        self.bg_iou_thresh = bg_iou_thresh
        self.smooth_l1_beta = smooth_l1_beta
        self.coder = coder

    def forward(
        self, features: Tensor, sizes: Sequence[tuple[int, int]], targets: TargetBatch | None = None
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Propose regions, and compute the losses when there are targets.

        Args:
            features: (N, C, H, W), the C4 map.
            sizes: the N images' (height, width) without padding.
            targets: the objects of the N images, on the features' device, or None.

        Returns:
            N proposal tensors float32 (R_i, 4) ``xyxy`` best first, and {"loss_rpn_cls", "loss_rpn_box"} ({} without targets).
        """
        predicted = self.predict(features)
        keep = self.train_filter if self.training else self.test_filter
        proposals = [boxes for boxes, _ in self.propose(*predicted, sizes, keep)]
        return proposals, {} if targets is None else self.losses(*predicted, targets)

    def predict(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (N, A) and deltas (N, A, 4) of the map (N, C, H, W), and its anchors (A, 4)."""
        return *self.head(features), self.anchors(features.shape[-2], features.shape[-1])

    def propose(
        self, logits: Tensor, deltas: Tensor, anchors: Tensor, sizes: Sequence[tuple[int, int]], keep: ProposalFilter
    ) -> list[tuple[Tensor, Tensor]]:
        """Of each image boxes float32 (R_i, 4) ``xyxy`` and their logits (R_i,), best first, from what ``predict`` gives."""
        if has_gpu_kernels(logits):
            from resdet.models.detection.on_gpu import batched_proposals

            return batched_proposals(logits.detach(), deltas.detach(), anchors, self.coder, sizes, keep)
        return [
            select_proposals(logits[i].detach(), deltas[i].detach(), anchors, self.coder, size, keep)
            for i, size in enumerate(sizes)
        ]

    def match(self, anchors: Tensor, targets: TargetBatch) -> Tensor:
        """What each anchor is in training, int64 (N, A), as ``match`` says it."""
        return match(
            anchors,
            targets.boxes,
            fg_iou_thresh=self.fg_iou_thresh,
            bg_iou_thresh=self.bg_iou_thresh,
            keep_best=True,
            ignore=targets.ignore,
        )

    def losses(
        self,
        logits: Tensor,
        deltas: Tensor,
        anchors: Tensor,
        targets: TargetBatch,
        share: Share | None = None,
        matches: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """``anchor_losses`` over anchors matched to the targets and drawn at random; the tensors are what ``predict`` gives.

        ``matches`` is what ``match`` gives; None: it is computed now.
        """
        matches = self.match(anchors, targets) if matches is None else matches
        sampled = sample(
            matches, batch_size_per_image=self.batch_size_per_image, positive_fraction=self.positive_fraction, share=share
        )
        return anchor_losses(
            logits,
            deltas,
            anchors,
            targets.boxes,
            matches,
            sampled,
            coder=self.coder,
            smooth_l1_beta=self.smooth_l1_beta,
            share=share,
        )


def anchor_losses(
    logits: Tensor,
    deltas: Tensor,
    anchors: Tensor,
    objects: Tensor,
    matches: Tensor,
    sampled: tuple[Tensor, Tensor],
    *,
    coder: BoxCoder,
    smooth_l1_beta: float,
    share: Share | None = None,
) -> dict[str, Tensor]:
    """Binary cross-entropy over the sampled anchors, and the box loss of the positive ones among them.

    Both are divided by the number of anchors sampled, of all images of the batch (Faster R-CNN, equation 1).

    Args:
        logits: (N, A).
        deltas: (N, A, 4).
        anchors: (A, 4) ``xyxy``.
        objects: (N, G, 4) ``xyxy``.
        matches: int64 (N, A), rows of ``objects``, as ``match`` returns them.
        sampled: indices (S,) of images and (S,) of anchors.
        coder: of anchors' deltas.
        smooth_l1_beta: of the box loss.
        share: the share of a batch that the N images are; None: the whole.

    Returns:
        {"loss_rpn_cls", "loss_rpn_box"}, scalars.
    """
    image, anchor = sampled
    normalizer = max(len(anchor), 1) if share is None else share.normalizer(len(anchor))
    positive = matches[image, anchor] >= 0
    entropy = F.binary_cross_entropy_with_logits(logits[image, anchor], positive.to(logits), reduction="sum")
    mine = positive.nonzero()[:, 0]  # once: a device's host waits for how many there are
    image, anchor = image[mine], anchor[mine]
    targets = coder.encode(objects[image, matches[image, anchor]], anchors[anchor])
    box = box_regression_loss(deltas[image, anchor], targets, beta=smooth_l1_beta, normalizer=normalizer)
    return {"loss_rpn_cls": entropy / normalizer, "loss_rpn_box": box}
