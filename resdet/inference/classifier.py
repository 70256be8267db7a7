"""A trained classifier, ready to run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import Tensor

from resdet.data.loader import ClassificationBatch
from resdet.data.transforms import ClassificationTestTransform
from resdet.inference.images import ImageInput, to_image
from resdet.inference.mode import evaluating
from resdet.models.classifier import Classifier


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


def classify_batches(model: Classifier, batches: Iterable[ClassificationBatch]) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits (N, K) and labels (N,) of each batch, on the CPU; the model's mode is restored at the end."""
    device = next(model.parameters()).device
    for batch in batches:
        with evaluating(model):
            logits = model(batch.images.to(device))
        yield logits.float().cpu(), batch.labels.cpu()
