"""Evaluation of model files on a config's validation set, one or an ensemble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from resdet.config.schema import ClassificationRunConfig, DetectionRunConfig
from resdet.engine.task import Results
from resdet.errors import ConfigError
from resdet.evaluation.classification import evaluate_predictions
from resdet.evaluation.predictions import average_predictions, normalized_shares, read_predictions
from resdet.inference.device import select_device
from resdet.inference.load import check_detectors, common_names, is_model_file, load_detectors, load_foreign_classifier
from resdet.inference.load_localizer import load_localizers
from resdet.models.build import load_model
from resdet.models.card_network import card_config
from resdet.models.classifier import Classifier
from resdet.models.model_file import read_card
from resdet.report.classification import write_classification
from resdet.training.classification.evaluation import ClassifierEvaluation
from resdet.training.detection.evaluation import DetectorEvaluation
from resdet.training.localization.evaluation import evaluate_localizer

if TYPE_CHECKING:
    from resdet.config.check import RunFile


@dataclass(frozen=True)
class EvaluationOptions:
    """How model files are evaluated.

    Attributes:
        device: auto, cpu, cuda or mps.
        shares: weight of each detector or classifier of an ensemble; None: equal ones.
        classifiers: of a localizer, files of the classifiers that say the classes; without any, the true class is given.
        precision: of detectors: "fp32", or "bf16" or "fp16" for the convolutions of a device that has it.
        compiled: of detectors: whether torch.compile fuses the layers.
        backend: of detectors: who computes COCO's numbers, hotcoco or pycocotools.
    """

    device: str = "auto"
    shares: Sequence[float] | None = None
    classifiers: Sequence[str] = ()
    precision: str = "fp32"
    compiled: bool = False
    backend: str = "hotcoco"


def evaluate_files(config: RunFile, weights: Sequence[str], folder: Path, options: EvaluationOptions) -> Results:
    """Evaluate model files on the validation set of a config, several together as an ensemble.

    Args:
        config: its data is evaluated on; of one file it also says what is free at test time.
        weights: model files; of a classification config also foreign weights for the config's network.
        folder: gets the results; made when missing.
        options: how.

    Raises:
        ConfigError, DataError: files that do not fit the config or each other, and every problem of the data.
    """
    device = select_device(options.device)
    if isinstance(config, DetectionRunConfig):
        return _evaluate_detectors(config, weights, folder, options, device)
    if isinstance(config, ClassificationRunConfig):
        return _evaluate_classifiers(config, weights, folder, options, device)
    localizer = load_localizers(weights, device, config=config.model, crop=config.data.crop)
    return evaluate_localizer(config.data, config.classes, localizer, options.classifiers, device, folder)


def evaluate_prediction_files(files: Sequence[str], shares: Sequence[float], folder: Path) -> Results:
    """The numbers of the weighted average of several ``predictions.npz``, as ``eval`` writes them of classifiers.

    Raises:
        DataError: files that cannot be read, or that are of other images or classes.
    """
    predictions = average_predictions([read_predictions(file) for file in files], shares, files)
    metrics = evaluate_predictions(predictions)
    metrics["meta"] |= {"predictions": list(files), "shares": normalized_shares(shares, len(files))}
    return Results(metrics, write_classification(folder, predictions, metrics))


def _evaluate_detectors(
    config: DetectionRunConfig, weights: Sequence[str], folder: Path, options: EvaluationOptions, device: torch.device
) -> Results:
    """Each file's own card says what its network is."""
    configs = [config.model]
    if len(weights) > 1:
        # a config describes one network, and can be held against one file: of an ensemble it says what is free at test time
        own = [card_config(path, read_card(path)) for path in weights]
        check_detectors(weights, own)
        configs = [replace(each, rpn=config.model.rpn, test=config.model.test) for each in own]
    models = load_detectors(weights, configs, device, precision=options.precision, compiled=options.compiled)
    evaluation = DetectorEvaluation(config.data, models[0].names, config.model.test, options.backend)
    metrics = evaluation.run_ensemble(models, options.shares)
    metrics["meta"]["precision"] = options.precision
    if len(models) > 1:
        metrics["meta"]["weights"] = list(weights)
    return evaluation.write(models[0], folder)


def _evaluate_classifiers(
    config: ClassificationRunConfig, weights: Sequence[str], folder: Path, options: EvaluationOptions, device: torch.device
) -> Results:
    """A model file's own card says what its network is."""
    own = {path: _load_classifier(path, config, len(weights)) for path in weights if is_model_file(path)}
    evaluation = ClassifierEvaluation(config.data, config.test, _common_names(own))
    models = [
        (own[path] if path in own else load_foreign_classifier(path, config.model, evaluation.names)).to(device)
        for path in weights
    ]
    metrics = evaluation.run_ensemble(models, options.shares or [1.0] * len(models))
    if len(models) > 1:
        metrics["meta"]["weights"] = list(weights)
    return evaluation.write(models[0], folder)


def _load_classifier(path: str, config: ClassificationRunConfig, members: int) -> Classifier:
    # a config describes one network: it can be held against one file
    model, _ = load_model(path, config.model if members == 1 else None)
    if not isinstance(model, Classifier):
        raise ConfigError(f"{path}: holds a detection model, the config describes a classification model")
    return model


def _common_names(models: Mapping[str, Classifier]) -> tuple[str, ...] | None:
    """The class names that all ``models`` have; None when there is no model."""
    return common_names({path: model.names for path, model in models.items()}) if models else None
