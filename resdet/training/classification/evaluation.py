"""Evaluates classifiers on the validation set of a classification config."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from torch import Tensor

from resdet.config.schema import ClassificationDataConfig, ClassificationTestConfig
from resdet.data.dataset import ClassificationDataset
from resdet.data.sources.classification import build_classification_dataset
from resdet.distributed.ranks import ALONE, Ranks
from resdet.engine.task import Results
from resdet.evaluation.classification import evaluate_predictions
from resdet.evaluation.predictions import Predictions, average_predictions, normalized_shares
from resdet.inference.classifier import classify_dataset
from resdet.inference.exported.networks import ExportedClassifier
from resdet.inference.views import Views
from resdet.models.classifier import Classifier
from resdet.report.classification import write_classification


class ClassifierEvaluation:
    """The evaluation of classifiers on a config's validation set.

    Args:
        data: the data section.
        test: the section with the views of an image that are averaged.
        names: the classifiers' class names, in label order; those of the validation set when None.
        dataset: a data set to use instead of the validation files.
        ranks: the processes that evaluate together: each classifies its share of the batches, the first one scores and writes.

    Attributes:
        names: the class names.

    Raises:
        ConfigError, DataError: from the constructor, when the validation set is missing or broken, or has other classes.
    """

    def __init__(
        self,
        data: ClassificationDataConfig,
        test: ClassificationTestConfig,
        names: Sequence[str] | None,
        dataset: ClassificationDataset | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.ranks = ranks
        self.dataset = dataset if dataset is not None else build_classification_dataset(data.val, names, option="data.val")
        self.names = tuple(self.dataset.names)
        self.views = Views(test.views, tuple(test.short_sides or [data.test_short_side]), data.crop_in_testing, test.flip)
        self.root = Path(data.val.root).expanduser()
        self.workers = data.workers
        self.predictions: Predictions | None = None
        self.metrics: dict[str, Any] = {}

    def run(self, model: Classifier | ExportedClassifier) -> dict[str, Any]:
        """Classify every image and return the metrics, as in ``metrics.json``."""
        return self.run_ensemble([model], [1.0])

    def run_ensemble(self, models: Sequence[Classifier | ExportedClassifier], shares: Sequence[float]) -> dict[str, Any]:
        """Classify every image by several networks, one after the other, and return the metrics of their weighted average."""
        self.ranks.doing("evaluation")
        found = [self._classified(model) for model in models]
        self.metrics = self.ranks.once(lambda: self._score(found, shares))
        self.metrics["meta"] |= {
            "views": self.views.kind,
            "short_sides": list(self.views.short_sides),
            "crop": self.views.crop,
            "flip": self.views.flip,
            "models": [_network_name(model) for model in models],
            "shares": normalized_shares(shares, len(models)),
        }
        return self.metrics

    def _score(self, found: Sequence[Sequence[tuple[Tensor, Tensor]]], shares: Sequence[float]) -> dict[str, Any]:
        """The metrics of what each network has found in all images."""
        self.predictions = average_predictions([self._predictions(batches) for batches in found], shares)
        return evaluate_predictions(self.predictions)

    def write(self, model: Classifier | ExportedClassifier, folder: Path) -> Results:
        """Write the metrics, predictions and pictures of the last run; without one, run ``model`` first.

        The first process writes.
        """
        if not self.metrics:
            self.run(model)
        if not self.ranks.first:
            return Results(self.metrics)
        return Results(self.metrics, write_classification(folder, cast(Predictions, self.predictions), self.metrics))

    def _classified(self, model: Classifier | ExportedClassifier) -> list[tuple[Tensor, Tensor]]:
        """Probabilities and labels of all images, some at a time; on all but the first process there are none."""
        own = classify_dataset(model, self.dataset, self.views, workers=self.workers, ranks=self.ranks)
        return self.ranks.collect(list(own))

    def _predictions(self, batches: Sequence[tuple[Tensor, Tensor]]) -> Predictions:
        probabilities = [some.numpy() for some, _ in batches] or [np.zeros((0, len(self.names)), np.float32)]
        labels = [some.numpy() for _, some in batches] or [np.zeros(0, np.int64)]
        files = tuple(_below(self.dataset.path(index), self.root) for index in range(len(self.dataset)))
        return Predictions(np.concatenate(probabilities), np.concatenate(labels), self.names, files)


def _network_name(model: Classifier | ExportedClassifier) -> str:
    if isinstance(model, ExportedClassifier):
        return str(model.program.config.backbone.name)
    return model.backbone.spec.name


def _below(path: Path, root: Path) -> str:
    """``path`` relative to the folder ``root``, so that predictions match when the data was moved; else the whole path."""
    for folder in (root, root.parent):  # the name of an image inside a larger file begins with the root itself
        if path.is_relative_to(folder):
            return path.relative_to(folder).as_posix()
    return str(path)
