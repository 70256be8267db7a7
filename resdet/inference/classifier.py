"""A trained classifier, ready to run: on a picture, or on a data set in several views."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast, overload

import numpy as np
import torch
from torch import Tensor

from resdet.data.dataset import ClassificationDataset
from resdet.data.loading.loader import test_loader
from resdet.data.transforms.classification import ClassificationTestTransform
from resdet.distributed.ranks import ALONE, Ranks
from resdet.errors import ConfigError
from resdet.inference.dense import score_map, training_window
from resdet.inference.exported.networks import ExportedClassifier
from resdet.inference.finite import about, check_finite
from resdet.inference.mode import evaluating
from resdet.inference.runnable import runnable
from resdet.inference.sources import ImageSource, OpenedImage, shaped, stream_results
from resdet.inference.views import ViewedImages, Views
from resdet.models.classifier import Classifier
from resdet.models.intact import all_finite
from resdet.ops.precision import in_float64
from resdet.structures import Classification
from resdet.structures.pictures import ImageInput

_PIXELS = 32 * 224 * 224  # that go through the network at once …
_IMAGES = 128  # … in so many images at most


class ImageClassifier:
    """Names what a picture shows.

    Args:
        model: the network; it is set to eval mode.
        short_side: pictures are resized to this shorter side, pixels; 0: not resized.
        crop: side of the centre crop, pixels.
    """

    def __init__(self, model: Classifier | ExportedClassifier, *, short_side: int, crop: int) -> None:
        self.model = runnable(model)
        self.transform = ClassificationTestTransform(short_side, crop)

    @property
    def names(self) -> tuple[str, ...]:
        """The class names, in label order."""
        return tuple(self.model.names)

    @overload
    def predict(self, images: ImageInput, *, top: int = 5, color: str = "rgb") -> Classification: ...
    @overload
    def predict(self, images: list[Any] | tuple[Any, ...], *, top: int = 5, color: str = "rgb") -> list[Classification]: ...
    @overload
    def predict(self, images: Iterator[Any], *, top: int = 5, color: str = "rgb") -> Iterator[Classification]: ...
    def predict(
        self, images: ImageSource, *, top: int = 5, color: str = "rgb"
    ) -> Classification | list[Classification] | Iterator[Classification]:
        """The ``top`` best classes of one picture, or of each of several, as (name, probability), best first.

        Args:
            images: a path, a PIL image, an array uint8 (H, W, 3) or a tensor uint8 (3, H, W), see ``to_image``; a folder or a
                video; or an iterable of all these.
            top: how many classes, at least 1.
            color: order of an array's or tensor's channels, ``"rgb"`` or ``"bgr"``.

        Returns:
            A sequence of names and probabilities; a list of them for a list. For a folder, a video and other iterables the
            iterator of ``stream``. Type checkers cannot see where a path leads and expect one picture there: write ``stream``
            for folders and videos.

        Raises:
            ConfigError: a folder without pictures, another ``color``, a ``top`` below 1.
            DataError: files that are missing or no image; where there are others too, after these.
            TypeError: something that is no picture.
        """
        return shaped(images, self.stream(images, top=top, color=color))

    def stream(self, images: ImageSource, *, top: int = 5, color: str = "rgb") -> Iterator[Classification]:
        """As ``predict``, but always an iterator; see ``stream_results``."""
        if isinstance(top, bool) or not isinstance(top, (int, np.integer)) or top < 1:
            raise ConfigError(f"'top' must be a whole number of at least 1, got {top!r:.80}")
        batch = images_at_once(self.transform.crop)
        return stream_results(images, lambda some: self._classify(some, int(top)), color=color, batch=batch)

    def _classify(self, opened: Sequence[OpenedImage], top: int) -> list[Classification]:
        with evaluating(self.model):
            scores = self.logits(opened).float().softmax(1)
        _check_scores(scores, [each.path or each.image_id for each in opened])
        best = scores.topk(min(top, len(self.names)))
        rows = zip(best.indices.tolist(), best.values.tolist(), opened, strict=True)
        return [
            Classification(tuple(labels), tuple(scores), self.names, each.image_id, each.path, each.kept)
            for labels, scores, each in rows
        ]

    def logits(self, opened: Sequence[OpenedImage]) -> Tensor:
        """What the network says of pictures: floating (N, K)."""
        pixels = torch.stack([self.transform(each.image) for each in opened])
        logits: Tensor = self.model(pixels.to(next(self.model.parameters()).device))
        return logits


def images_at_once(side: int) -> int:
    """How many squares of this side, pixels, go through a classifier together.

    On two processor cores a ResNet-50 needs 0.34 seconds of processor time for a picture of 224 x 224 alone and 0.15 in a batch
    of 32; CIFAR's ResNet-20 0.032 for one of 32 x 32 alone and 0.0017 in a batch of 128.
    """
    return min(max(1, _PIXELS // side**2), _IMAGES)


def classify_dataset(
    model: Classifier | ExportedClassifier,
    dataset: ClassificationDataset,
    views: Views,
    *,
    workers: int = 0,
    ranks: Ranks = ALONE,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Probabilities float32 (n, K) and labels int64 (n,) of all images in order, some at a time, on the CPU.

    Args:
        model: the network, on any device; each of its modules keeps its mode.
        dataset: labelled images.
        views: which views of an image are averaged, see ``view_probabilities``.
        workers: processes that read images; 0: this one reads.
        ranks: the processes that classify together: every ``ranks.world``-th of the results is this one's.

    Raises:
        DataError: for an image that cannot be read.
        PredictionError: for one whose scores are NaN or infinite.
    """
    dense = views.kind == "dense"
    if dense and isinstance(model, ExportedClassifier):
        raise ConfigError(f"{model.program.path}: an exported classifier takes crops, 'test.views' must not be dense")
    window = training_window(cast(Classifier, model).backbone.spec, views.crop) if dense else None
    side = max(views.crop, *views.short_sides) if dense else views.crop
    batch = max(1, _PIXELS // (side**2 * (10 if views.kind == "ten_crop" else 1)))
    whole = min(batch, _IMAGES)
    firsts = ranks.deal(range(0, len(dataset), whole))
    for first, loaded in zip(firsts, test_loader(ViewedImages(dataset, views), workers, whole, ranks), strict=True):
        with evaluating(model):
            probabilities = torch.cat([view_probabilities(model, alike.scales, window) for alike in loaded])
        _check_scores(probabilities, [dataset.path(first + place) for place in range(len(probabilities))])
        yield probabilities.float().cpu(), torch.cat([alike.labels for alike in loaded])


def _check_scores(scores: Tensor, images: Sequence[object]) -> None:
    """A PredictionError that names the first of N images whose row of ``scores`` (N, K) has NaN or infinity."""
    if not all_finite(scores):
        first = int((~scores.isfinite().all(1)).int().argmax())
        with about(images[first]):
            check_finite(scores[first], "the scores")


def view_probabilities(model: Classifier | ExportedClassifier, scales: Sequence[Tensor], window: int | None = None) -> Tensor:
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
        logits = model(flat) if window is None else _dense_logits(cast(Classifier, model), flat, window)
        averages.append(in_float64(logits).softmax(1).unflatten(0, images.shape[:2]).mean(1))
    return torch.stack(averages).mean(0)


def _dense_logits(model: Classifier, images: Tensor, window: int) -> Tensor:
    """The mean over its positions of what the fully convolutional network says."""
    return score_map(model.backbone, model.normalize(images), window).mean((2, 3))
