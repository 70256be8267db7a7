"""A trained classifier, ready to run: on a picture, or on a data set in several views."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from resdet.data.dataset import ClassificationDataset
from resdet.data.loading.loader import test_loader
from resdet.data.transforms.classification import ClassificationTestTransform
from resdet.inference.dense import score_map, training_window
from resdet.inference.mode import evaluating
from resdet.inference.views import ViewedImages, Views
from resdet.models.classifier import Classifier
from resdet.ops.precision import in_float64
from resdet.structures.pictures import ImageInput, to_image

_PIXELS = 32 * 224 * 224  # that go through the network at once


class ImageClassifier:
    """Names what a picture shows.

    Args:
        model: the network; it is set to eval mode.
        short_side: pictures are resized to this shorter side, pixels; 0: not resized.
        crop: side of the centre crop, pixels.
    """

    def __init__(self, model: Classifier, *, short_side: int, crop: int) -> None:
        self.model = model.eval()
        self.transform = ClassificationTestTransform(short_side, crop)

    @property
    def names(self) -> tuple[str, ...]:
        """The class names, in label order."""
        return tuple(self.model.names)

    def predict(self, image: ImageInput, *, top: int = 5) -> list[tuple[str, float]]:
        """The ``top`` best classes of a picture as (name, probability), best first.

        Args:
            image: a path, a PIL image or an RGB uint8 array (H, W, 3).
            top: how many.

        Raises:
            DataError: a file that is missing or no image.
            TypeError: something that is no picture.
        """
        pixels = self.transform(to_image(image))
        device = next(self.model.parameters()).device
        with evaluating(self.model):
            probabilities = self.model(pixels[None].to(device))[0].float().softmax(0)
        best = probabilities.topk(min(top, len(self.names)))
        return [(self.names[label], score) for score, label in zip(best.values.tolist(), best.indices.tolist(), strict=True)]


def classify_dataset(
    model: Classifier, dataset: ClassificationDataset, views: Views, *, workers: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """Probabilities float32 (n, K) and labels int64 (n,) of all images in order, some at a time, on the CPU.

    Args:
        model: the network, on any device; each of its modules keeps its mode.
        dataset: labelled images.
        views: which views of an image are averaged, see ``view_probabilities``.
        workers: processes that read images; 0: this one reads.

    Raises:
        DataError: for an image that cannot be read.
    """
    dense = views.kind == "dense"
    window = training_window(model.backbone.spec, views.crop) if dense else None
    side = max(views.crop, *views.short_sides) if dense else views.crop
    batch = max(1, _PIXELS // (side**2 * (10 if views.kind == "ten_crop" else 1)))
    for loaded in test_loader(ViewedImages(dataset, views), workers, min(batch, 128)):
        for alike in loaded:
            with evaluating(model):
                probabilities = view_probabilities(model, alike.scales, window)
            yield probabilities.float().cpu(), alike.labels


def view_probabilities(model: Classifier, scales: Sequence[Tensor], window: int | None = None) -> Tensor:
    """The class probabilities of images, averaged over all their views.

    The paper averages scores; here it is the softmax probabilities that are averaged, over views, scales and mirror images, and
    over networks in an ensemble. Of a dense view the logits are averaged over its positions before the softmax.

    Args:
        model: the network, in eval mode.
        scales: for each scale uint8 (N, V, 3, H, W), RGB.
        window: of ``training_window``: the network runs as a fully convolutional one; None: the views are crops.

    Returns:
        float64 (N, K), on the model's device, or the CPU (see ``in_float64``).
    """
    device = next(model.parameters()).device
    averages = []
    for images in scales:
        flat = images.flatten(0, 1).to(device)
        logits = model(flat) if window is None else score_map(model.backbone, model.normalize(flat), window).mean((2, 3))
        averages.append(in_float64(logits).softmax(1).unflatten(0, images.shape[:2]).mean(1))
    return torch.stack(averages).mean(0)
