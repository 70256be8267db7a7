"""The image classifier: a residual network that takes RGB bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor, nn

from resdet.distributed.share import Share
from resdet.errors import ConfigError
from resdet.losses.classification import cross_entropy
from resdet.models.backbones.resnet import ResNet
from resdet.models.model_file import ModelCard
from resdet.structures import PixelConvention

Mixing = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


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
        pixels: what the backbone expects its input to be; with a mean image its mean becomes that image's mean colour.
        names: the K class names, in label order.
        mean_image: float32 RGB (3, h, w) in [0, 255], subtracted pixel by pixel in place of the convention's mean (paper,
            section 4.2); images of another size lose its mean colour alone.

    Attributes:
        card: the card of its model file, for ``resdet.save``; None for a network that no builder made.

    Raises:
        ConfigError: from the constructor, when outputs and names differ in number.
    """

    card: ModelCard | None = None
    mean_image: Tensor | None

    def __init__(
        self, backbone: ResNet, pixels: PixelConvention, names: Sequence[str], mean_image: Tensor | None = None
    ) -> None:
        super().__init__()
        if backbone.spec.num_classes != len(names):
            raise ConfigError(f"classifier: the backbone has {backbone.spec.num_classes} outputs for {len(names)} class names")
        self.backbone = backbone
        self.pixels = pixels if mean_image is None else pixels.with_mean_of(mean_image)
        self.names = tuple(names)
        self.register_buffer("mean_image", mean_image)

    def normalize(self, images: Tensor) -> Tensor:
        """RGB uint8 images (N, 3, H, W) in [0, 255] to float32, as the backbone expects them."""
        return self.pixels.normalize(images, self.mean_image)

    def forward(self, images: Tensor) -> Tensor:
        """RGB uint8 images (N, 3, H, W) in [0, 255] to logits float (N, K)."""
        return self.backbone(self.normalize(images))


def classification_step(
    classifier: Classifier,
    batch: LabelledImages,
    *,
    label_smoothing: float = 0.0,
    mix: Mixing | None = None,
    share: Share | None = None,
) -> dict[str, Tensor]:
    """What one training step measures: ``{"loss_cls": nats, "error": share of the images misclassified}``, scalars.

    Args:
        classifier: in training mode.
        batch: images and labels.
        label_smoothing: share of the target spread over all classes.
        mix: normalized images (N, 3, H, W) and labels (N,) to mixed images and target distributions (N, K); the error then
            counts the class with the greatest share.
        share: the share of a batch that the images are; None: the whole. Images are mixed with those of the whole batch.
    """
    images, targets = batch.images, batch.labels
    if mix is not None and share is not None:
        images, targets = share.gathered(images), share.gathered(targets)
    images = classifier.normalize(images)
    if mix is not None:
        images, targets = mix(images, targets)
        if share is not None:
            images, targets = images[share.positions], targets[share.positions]
    logits = classifier.backbone(images)
    labels = targets if targets.ndim == 1 else targets.argmax(1)
    wrong = logits.detach().argmax(1) != labels
    return {"loss_cls": cross_entropy(logits, targets, label_smoothing), "error": wrong.float().mean()}
