"""The per-class region proposal network (paper, appendix C).

Legend: N images, A anchors of an image (H * W positions times the anchors of a position), K classes, Q classes asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from resdet.distributed.share import Share
from resdet.models.detection.anchors import AnchorGrid
from resdet.models.detection.box_coder import BoxCoder
from resdet.models.detection.matcher import match
from resdet.models.detection.rpn import anchor_losses
from resdet.models.detection.sampler import sample_evenly
from resdet.models.localization.per_class_head import PerClassHead
from resdet.models.model_file import ModelCard
from resdet.structures import PixelConvention


class PerClassRPN(nn.Module):
    """Finds boxes of given classes: at each anchor K binary logistic regressions, and K box regressions.

    The paper tells 1×1 convolutions on the body's last map, eight sampled anchors an image, as many positive as negative. What
    it leaves open is chosen here: an anchor is compared with the boxes of the image's own class and only that class's outputs
    are trained, so that "negative" means "not a box of this class, in an image of it": telling classes apart is the
    classifier's work. Where an image has fewer positive anchors than half of the batch, it gives as few negatives.

    Args:
        body: normalized images to the last map.
        head: of K classes.
        anchors: the anchors of that map.
        pixels: what the body expects its input to be.
        names: the K class names, in label order.
        batch_size_per_image: anchors sampled for the loss, an image.
        fg_iou_thresh: an anchor is positive from this IoU on, and where it overlaps some box most.
        bg_iou_thresh: an anchor is negative below this IoU.
        smooth_l1_beta: of the box loss.
        coder: of anchors' deltas.

    Attributes:
        card: the card of its model file, for ``resdet.save``; None for a network that no builder made.
    """

    card: ModelCard | None = None

    def __init__(
        self,
        body: nn.Module,
        head: PerClassHead,
        anchors: AnchorGrid,
        *,
        pixels: PixelConvention,
        names: Sequence[str],
        batch_size_per_image: int,
        fg_iou_thresh: float,
        bg_iou_thresh: float,
        smooth_l1_beta: float,
        coder: BoxCoder,
    ) -> None:
        super().__init__()
        self.body = body
        self.head = head
        self.anchors = anchors
        self.pixels = pixels
        self.names = tuple(names)
        self.batch_size_per_image = batch_size_per_image
        self.fg_iou_thresh = fg_iou_thresh
        self.bg_iou_thresh = bg_iou_thresh
        self.smooth_l1_beta = smooth_l1_beta
        self.coder = coder

    def forward(self, images: Tensor, classes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the network says of some classes of each image.

        Args:
            images: uint8 RGB (N, 3, H, W).
            classes: int64 (N, Q), 0 … K-1.

        Returns:
            Logits (N, Q, A), deltas (N, Q, A, 4) and the anchors (A, 4), float32 ``xyxy`` in pixels of the images.
        """
        features = self.body(self.pixels.normalize(images))
        return *self.head(features, classes), self.anchors(features.shape[-2], features.shape[-1])

    def losses(self, images: Tensor, labels: Tensor, boxes: Sequence[Tensor], share: Share | None = None) -> dict[str, Tensor]:
        """``anchor_losses`` of each image's own class, over as many positive anchors as negative ones.

        Args:
            images: uint8 RGB (N, 3, H, W).
            labels: int64 (N,), 0 … K-1.
            boxes: for each image float32 (B_i, 4) ``xyxy``, the objects of its class; an image without any gives no sample.
            share: the share of a batch that the N images are; None: the whole.

        Returns:
            {"loss_rpn_cls", "loss_rpn_box"}, scalars.
        """
        logits, deltas, anchors = self(images, labels[:, None])
        objects = pad_sequence(list(boxes), batch_first=True)  # behind an image's own empty ones, which match nothing
        matches = match(anchors, objects, fg_iou_thresh=self.fg_iou_thresh, bg_iou_thresh=self.bg_iou_thresh, keep_best=True)
        sampled = sample_evenly(matches, self.batch_size_per_image, share)
        logits, deltas = logits[:, 0], deltas[:, 0]
        return anchor_losses(
            logits,
            deltas,
            anchors,
            objects,
            matches,
            sampled,
            coder=self.coder,
            smooth_l1_beta=self.smooth_l1_beta,
            share=share,
        )
