"""The error of a classifier while its network is changed in several ways, each for a moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager

import torch

from resdet.data.loading.batches import ClassificationBatch
from resdet.inference.mode import evaluating
from resdet.models.classifier import Classifier

Change = Callable[[], AbstractContextManager[None]]


def errors_under(classifier: Classifier, batches: Iterable[ClassificationBatch], changes: Sequence[Change]) -> list[float]:
    """The top-1 error, in [0, 1], under each of the changes. Every batch is loaded once and used for all of them.

    Args:
        classifier: the network; its modes stay.
        batches: test images.
        changes: each makes a context in which the network is changed.

    Raises:
        ValueError: without an image.
    """
    device = next(classifier.parameters()).device
    wrong, images = torch.zeros(len(changes), dtype=torch.int64), 0
    with evaluating(classifier):
        for batch in batches:
            pixels, labels = batch.images.to(device), batch.labels.to(device)
            images += len(labels)
            for index, change in enumerate(changes):
                with change():
                    wrong[index] += int((classifier(pixels).argmax(1) != labels).sum())
    if not images:
        raise ValueError("errors_under needs at least one image, got none")
    return (wrong.double() / images).tolist()
