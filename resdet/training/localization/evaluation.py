"""Evaluates localizers and submission files on the validation set of a localization config."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from resdet.config.localization_data import LocalizationClassesConfig, LocalizationDataConfig
from resdet.data.localization import UNLABELLED, LocalizedImages
from resdet.data.sources.localization import build_localization_dataset
from resdet.distributed.ranks import ALONE, Ranks
from resdet.engine.task import Results
from resdet.errors import ConfigError
from resdet.evaluation.localization import (
    GUESSES,
    IOU,
    Guesses,
    Localization,
    localization_hits,
    localization_metrics,
)
from resdet.evaluation.predictions import Predictions, average_predictions, class_difference
from resdet.evaluation.submissions import read_class_ids, read_submission, write_ilsvrc, write_kaggle
from resdet.files import atomic_write, identity
from resdet.inference.classifier import classify_dataset
from resdet.inference.finite import about
from resdet.inference.load import is_model_file, load_foreign_classifier
from resdet.inference.views import Views
from resdet.models.build import load_model
from resdet.models.classifier import Classifier
from resdet.progress import track
from resdet.report.localization import Picture, gallery, spread, write_localizations, write_per_class
from resdet.report.results import write_metrics

_SHOWN = 8  # hits shown, and as many misses


class BoxFinder(Protocol):
    """An object that finds boxes of given classes."""

    @property
    def names(self) -> tuple[str, ...]:
        """The class names, in label order."""

    def localize(self, image: Image.Image, classes: Sequence[int]) -> tuple[Tensor, Tensor]:
        """A box for each class, float32 (C, 4) ``xyxy`` in pixels of the RGB image, and the scores (C,)."""


class LocalizationEvaluation:
    """The evaluation of localizers on a config's validation set.

    Args:
        data: the data section.
        names: the localizer's class names, in label order; those of the validation set when None.
        ranks: the processes that evaluate together: each localizes in its share of the images, the first one scores and writes.

    Attributes:
        dataset: the validation set.

    Raises:
        ConfigError, DataError: from the constructor, when the validation set is missing or broken, or has other classes.
    """

    def __init__(self, data: LocalizationDataConfig, names: Sequence[str] | None = None, ranks: Ranks = ALONE) -> None:
        self.ranks = ranks
        self.dataset: LocalizedImages = build_localization_dataset(data.val, names, option="data.val")
        self.root = Path(data.val.root).expanduser()
        self.workers = data.workers
        ids = Path(data.class_ids).expanduser() if data.class_ids else None
        self.class_ids = read_class_ids(ids, self.dataset.names) if ids else list(range(1, len(self.dataset.names) + 1))
        self.images = [self.dataset.path(index).stem for index in range(len(self.dataset))]
        self.labels: list[int] = self.dataset.labels.tolist()
        self.boxes = [self.dataset.boxes(index) for index in range(len(self.dataset))]
        self.predictions: Predictions | None = None
        self.found: list[Localization] = []
        self.metrics: dict[str, Any] = {}

    def classify(self, files: Sequence[str], config: LocalizationClassesConfig, device: torch.device) -> None:
        """Let classifiers predict five classes of each image, whose boxes ``run`` then asks for; several are averaged.

        Args:
            files: model files of classifiers of the same classes, or weights of other toolkits.
            config: their views of an image, and the network for weights of other toolkits.
            device: the device of the classifiers.

        Raises:
            ConfigError: when a file is not a classifier, or has other classes.
            DataError: when a file or an image cannot be read.
        """
        test, dataset = config.test, self.dataset
        views = Views(test.views, tuple(test.short_sides or [config.short_side]), config.crop, test.flip)
        models = [self._classifier(file, config) for file in files]
        found = []
        for model in models:
            own = classify_dataset(model.to(device), dataset, views, workers=self.workers, ranks=self.ranks)
            found.append(self.ranks.collect([probabilities.numpy() for probabilities, _ in own]))

        def average() -> Predictions:
            return average_predictions(
                [
                    Predictions(np.concatenate(rows), dataset.labels, model.names, tuple(self.images))
                    for model, rows in zip(models, found, strict=True)
                ]
            )

        self.predictions = self.ranks.once(average)

    def run(self, localizer: BoxFinder) -> dict[str, Any]:
        """Localize every image and return the metrics, as in ``metrics.json``.

        The classes are those of ``classify``, if it was called, and the image's own class for the GT-class error.
        """
        self.ranks.doing("evaluation")
        own = self.ranks.deal(range(len(self.dataset)))
        self.found = self.ranks.collect([self._localize(localizer, index) for index in track(own, len(own), "images")])
        self.metrics = self.ranks.once(self._measure)
        return self.metrics

    def score(self, submission: str | Path) -> dict[str, Any]:
        """The metrics of a submission file, see ``read_submission``."""
        self.found = read_submission(submission, self.images, self.dataset.names, self.class_ids)
        return self._measure()

    def write(self, folder: Path) -> Results:
        """Write the results of the last run: metrics, classes, predictions, submission files, pictures.

        The first process writes.
        """
        if not self.ranks.first:
            return Results(self.metrics)
        names, dataset = self.dataset.names, self.dataset
        files = [dataset.path(index).relative_to(self.root).as_posix() for index in range(len(dataset))]
        paths = [write_metrics(folder, self.metrics), folder / "per_class.csv", folder / "predictions.json"]
        write_per_class(paths[1], self.metrics)
        write_localizations(paths[2], files, self.found, names)
        if any(each.guesses is not None for each in self.found):
            paths += [folder / "submission.csv", folder / "submission.txt"]
            write_kaggle(paths[-2], self.images, self.found, self.class_ids)
            write_ilsvrc(paths[-1], self.images, self.found, self.class_ids)
        parts = self._pictures()
        if any(parts.values()):
            sheet = gallery(parts)
            paths.append(folder / "report" / "localizations.png")
            atomic_write(paths[-1], lambda temporary: sheet.save(temporary, format="PNG"))
        return Results(self.metrics, paths)

    def _classifier(self, file: str, config: LocalizationClassesConfig) -> Classifier:
        if not is_model_file(file):
            return load_foreign_classifier(file, config.model, self.dataset.names)
        model, _ = load_model(file)
        if not isinstance(model, Classifier):
            raise ConfigError(f"{file}: holds no classifier")
        if difference := class_difference(model.names, self.dataset.names):
            raise ConfigError(f"{file}: {difference} in the data")
        return model

    def _localize(self, localizer: BoxFinder, index: int) -> Localization:
        label = self.labels[index]
        guessed: list[int] = []
        if self.predictions is not None:
            # among equal probabilities the lower label comes first, as in the top-k errors of classifiers
            guessed = np.argsort(-self.predictions.probabilities[index], kind="stable")[:GUESSES].tolist()
        asked = list(dict.fromkeys([*guessed, label] if label != UNLABELLED else guessed))
        if not asked:
            return Localization()
        with about(self.dataset.path(index)):
            boxes, scores = localizer.localize(self.dataset.load(index), asked)
        boxes, scores = boxes.cpu(), scores.cpu()
        guesses = None
        if self.predictions is not None:
            count = len(guessed)
            probabilities = torch.from_numpy(self.predictions.probabilities[index, guessed])
            guesses = Guesses(torch.tensor(guessed), boxes[:count], probabilities, scores[:count])
        if label == UNLABELLED:
            return Localization(guesses)
        place = asked.index(label)
        return Localization(guesses, boxes[place], float(scores[place]))

    def _measure(self) -> dict[str, Any]:
        self.metrics = localization_metrics(self.found, self.labels, self.boxes, self.dataset.names)
        return self.metrics

    def _pictures(self) -> dict[str, list[Picture]]:
        """Hits and misses, spread over the set, decided by the box of the image's own class, or else by its guesses."""
        hits = localization_hits(self.found, self.labels, self.boxes)
        asked = ~np.isnan(hits.overlap)
        right = np.where(asked, hits.overlap >= IOU, hits.box_rank < GUESSES)
        chosen = {
            "hits (true boxes green, found yellow)": np.flatnonzero(hits.boxed & right),
            "misses": np.flatnonzero(hits.boxed & ~right),
        }
        return {
            title: [self._picture(index, float(hits.overlap[index])) for index in spread(indices.tolist(), _SHOWN)]
            for title, indices in chosen.items()
        }

    def _picture(self, index: int, overlap: float) -> Picture:
        found, names = self.found[index], self.dataset.names
        guesses = found.guesses
        shown = torch.zeros(0, 4)
        text = names[self.labels[index]]
        if found.box is not None:
            shown = found.box[None]
            text += f", IoU {overlap:.2f}"
        elif guesses is not None:
            shown = guesses.boxes[:1]
        if guesses is not None and len(guesses.labels) and int(guesses.labels[0]) != self.labels[index]:
            text += f", taken for {names[int(guesses.labels[0])]}"
        return Picture(self.dataset.load(index), self.boxes[index], shown, text)


def evaluate_localizer(
    data: LocalizationDataConfig,
    classes: LocalizationClassesConfig,
    localizer: BoxFinder,
    classifiers: Sequence[str],
    device: torch.device,
    folder: Path,
    ranks: Ranks = ALONE,
) -> Results:
    """Evaluate a localizer on a config's validation set and write the results into ``folder``.

    Args:
        data: the data section.
        classes: the views of an image for ``classifiers``.
        localizer: the network or the ensemble that finds the boxes.
        classifiers: files of classifiers that predict the classes; without any, only the GT-class error is measured.
        device: the device of the classifiers.
        folder: the folder for the results, created when missing.
        ranks: the processes that evaluate together.

    Raises:
        ConfigError, DataError: see ``LocalizationEvaluation``.
    """
    evaluation = LocalizationEvaluation(data, localizer.names, ranks)
    if classifiers:
        evaluation.classify(classifiers, classes, device)
    evaluation.run(localizer)["meta"]["classifiers"] = list(classifiers)
    return evaluation.write(folder)


def score_submission(data: LocalizationDataConfig, submission: str | Path, folder: Path) -> Results:
    """Score a submission file on a config's validation set, and write the results into ``folder``.

    Raises:
        ConfigError: when the file lies in ``folder`` and would be overwritten, or an option of ``data`` names nothing.
        DataError: see ``read_submission``; also with every problem of the validation set.
    """
    if identity(Path(submission).resolve().parent) == identity(folder):
        raise ConfigError(f"--predictions: {submission} would be overwritten; choose another --output")
    evaluation = LocalizationEvaluation(data)
    evaluation.score(submission)["meta"]["submission"] = str(submission)
    return evaluation.write(folder)
