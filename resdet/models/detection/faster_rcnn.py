"""Faster R-CNN: one trunk, a network that proposes regions on it, a network that classifies them (paper, appendix A)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from resdet.distributed.share import Share
from resdet.models.detection.prepared.prepare import prepare_parts
from resdet.models.detection.roi_heads import RoIHeads
from resdet.models.detection.rpn import RPN
from resdet.models.detection.training_rows.twin import gpu_twin, training_twin
from resdet.models.model_file import ModelCard
from resdet.ops.kernels import Kernels, default_kernels
from resdet.structures import Detections, ImageBatch, PixelConvention, Target, TargetBatch

PARTS = ("rpn", "roi")


class FasterRCNN(nn.Module):
    """The detector, made of parts.

    Args:
        trunk: conv1–conv4, images (N, 3, H, W) to the C4 map (N, C, H/16, W/16).
        rpn: proposes regions on the C4 map.
        roi_heads: classifies regions of the C4 map.
        pixels: the pixel convention of the weights.
        names: the K class names, in label order.

    Attributes:
        card: the card of its model file, for ``resdet.save``; None for a network that no builder made.
    """

    card: ModelCard | None = None

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
        return self.roi_heads.predictor.cls_score.weight.device

    def prepare(
        self, dtype: torch.dtype | None = None, *, compiled: bool = False, kernels: Kernels | None = None
    ) -> FasterRCNN:
        """The detector in its fast form, for inference on the device where it is: other tensors, the same results.

        It takes the weights as they are now; this one stays as it is, and can train on.

        Args:
            dtype: torch.bfloat16 or torch.float16: what convolutions compute in, on a device that has it; what pools regions
                and decides stays in float32. The results are the same but for rounding. None: the model's own.
            compiled: fuse the layers by torch.compile, which takes minutes; on a GPU with CUDA graphs while shapes repeat.
            kernels: how a CPU computes its matrix products; None: what is fastest, measured in a few seconds the first time
                that a network of these shapes is prepared on a machine.
        """
        parts = prepare_parts(self.trunk, self.rpn, self.roi_heads, dtype, compiled=compiled, kernels=kernels)
        prepared = PreparedFasterRCNN(parts.trunk, parts.rpn, parts.roi_heads, pixels=self.pixels, names=self.names).eval()
        prepared.kernels = parts.kernels
        prepared.card = self.card
        return prepared

    def prepare_for_training(self, kernels: Kernels | None = None) -> FasterRCNN:
        """The detector with shorter steps of training: the same parameters and names, the same losses and gradients.

        What it shares is all that trains: an optimizer, a checkpoint or an average of the one is of the other. Blocks that
        were changed (hooks, wrapped or dilated convolutions, live BN) run as they are written; the log says which.

        Args:
            kernels: how a CPU computes matrix products; None: what is fastest, measured the first time in a second.
        """
        return gpu_twin(self) if self.device.type == "cuda" else training_twin(self, kernels or default_kernels())

    def forward(
        self, images: Sequence[Tensor], targets: Sequence[Target] | None = None
    ) -> list[Detections] | dict[str, Tensor]:
        """``losses`` when there are targets, else ``detect``."""
        return self.detect(images) if targets is None else self.losses(images, targets)

    def losses(
        self,
        images: Sequence[Tensor],
        targets: Sequence[Target],
        proposals: Sequence[Tensor] | None = None,
        parts: Collection[str] = PARTS,
        share: Share | None = None,
    ) -> dict[str, Tensor]:
        """The losses of approximate joint training, or of one part of the network, as the steps of alternating training need.

        Args:
            images: N RGB uint8 images (3, H_i, W_i), on any device.
            targets: N targets in pixels of these images.
            proposals: N tensors float32 (R_i, 4) ``xyxy`` in pixels of these images, for the region classifier in place of
                the RPN's; None: the RPN's.
            parts: "rpn", "roi" or both.
            share: the share of a batch that the images are; None: the whole. The means of the losses of all shares, weighted by
                their images, are the losses of the batch.

        Returns:
            "loss_rpn_cls" and "loss_rpn_box" with "rpn", "loss_roi_cls" and "loss_roi_box" with "roi": scalars, always all of
            the parts asked for, always in the graph.
        """
        largest = (0, 0)
        if share is not None:  # padded as in the whole batch, because behind a shift the padding is not all zeros
            height, width = share.most(*(max(image.shape[side] for image in images) for side in (-2, -1)))
            largest = (height, width)
        batch = ImageBatch.from_images(images, self.pixels, self.device, least=largest)
        truth = TargetBatch.from_targets(targets, self.device)
        features = self.trunk(batch.tensor)
        losses: dict[str, Tensor] = {}
        if "rpn" in parts or proposals is None:
            predicted = self.rpn.predict(features)
        # before the host waits for how many proposals there are, while a GPU computes the trunk
        matches = self.rpn.match(predicted[2], truth) if "rpn" in parts else None
        if "roi" in parts and proposals is None:
            proposals = [boxes for boxes, _ in self.rpn.propose(*predicted, batch.sizes, self.rpn.train_filter)]
        if "rpn" in parts:
            losses |= self.rpn.losses(*predicted, truth, share, matches)
        if "roi" in parts and proposals is not None:
            regions = self.roi_heads.sample_regions([boxes.to(self.device) for boxes in proposals], truth, share)
            losses |= self.roi_heads.losses(features, regions, share)
        return losses

    @torch.no_grad()
    def propose(self, images: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """What the RPN proposes for N RGB uint8 images (3, H_i, W_i), as many as in training.

        Returns:
            Of each image boxes float32 (R_i, 4) ``xyxy`` in its pixels and their logits (R_i,), best first.
        """
        batch = ImageBatch.from_images(images, self.pixels, self.device)
        return self.rpn.propose(*self.rpn.predict(self.trunk(batch.tensor)), batch.sizes, self.rpn.train_filter)

    @torch.no_grad()
    def detect(self, images: Sequence[Tensor]) -> list[Detections]:
        """Detections of N RGB uint8 images (3, H_i, W_i), in pixels of these images, best first.

        One pass over the images: ``resdet.inference.detector`` adds what the paper's appendix B does at test time.
        """
        batch = ImageBatch.from_images(images, self.pixels, self.device)
        features = self.trunk(batch.tensor)
        proposals, _ = self.rpn(features, batch.sizes)
        return self.roi_heads.detect(features, proposals, batch.sizes, self.names)


class PreparedFasterRCNN(FasterRCNN):
    """A detector that does not train; ``FasterRCNN.prepare`` makes it. Its tensors are its own.

    Attributes:
        kernels: which way each of its products is computed, by what is computed; empty where it has no choice.
    """

    kernels: Mapping[str, str] = {}

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> PreparedFasterRCNN:
        """What ``to``, ``half``, ``cuda`` and the like do: nothing, or a RuntimeError."""
        own = self.roi_heads.predictor.cls_score.weight.new_empty(0)
        moved = fn(own)
        if (moved.dtype, moved.device) != (own.dtype, own.device):
            raise RuntimeError(
                f"a prepared detector stays on {own.device}, its outputs in {own.dtype}, got {moved.dtype} on {moved.device}: "
                "move the plain one, and prepare it where it runs"
            )
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def losses(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Always a RuntimeError: the plain model trains."""
        raise RuntimeError("a prepared detector does not train: BN is folded into its weights")

    def prepare(
        self, dtype: torch.dtype | None = None, *, compiled: bool = False, kernels: Kernels | None = None
    ) -> FasterRCNN:
        """Itself; a RuntimeError when it is to become another one."""
        if dtype is not None or compiled or kernels is not None:
            raise RuntimeError("a prepared detector stays as it is: prepare the plain one otherwise")
        return self
