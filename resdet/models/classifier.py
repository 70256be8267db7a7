"""The image classifier: a residual network that takes RGB bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn

from resdet.errors import ConfigError
from resdet.losses.classification import cross_entropy
from resdet.models.backbones.resnet import ResNet
from resdet.structures import PixelConvention


class LabelledImages(Protocol):
    """A batch: uint8 RGB images (N, 3, H, W) and their labels, int64 (N,), 0 … K-1."""

    @property
    def images(self) -> Tensor:
        """uint8 RGB (N, 3, H, W)."""

    @property
    def labels(self) -> Tensor:
        """int64 (N,)."""


class Classifier(nn.Module):
    """A backbone with the pixel convention of its weights and the names of its classes.

    Args:
        backbone: as many outputs as there are names.
        pixels: what the backbone expects its input to be.
        names: the K class names, in label order.

    Raises:
        ConfigError: from the constructor, when outputs and names differ in number.
    """

    def __init__(self, backbone: ResNet, pixels: PixelConvention, names: Sequence[str]) -> None:
        super().__init__()
        if backbone.spec.num_classes != len(names):
            raise ConfigError(f"classifier: the backbone has {backbone.spec.num_classes} outputs for {len(names)} class names")
        self.backbone = backbone
        self.pixels = pixels
        self.names = tuple(names)

    def forward(self, images: Tensor) -> Tensor:
        """RGB uint8 images (N, 3, H, W) in [0, 255] to logits float (N, K)."""
        return self.backbone(self.pixels.normalize(images))


def classification_step(classifier: Classifier, batch: LabelledImages) -> dict[str, Tensor]:
    """The losses of one training step: ``{"loss_cls": scalar}``."""
    return {"loss_cls": cross_entropy(classifier(batch.images), batch.labels)}
