"""Evaluates model files, one or an ensemble, on the validation set of a config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch

from resdet.config import config_to_dict
from resdet.config.schema import ClassificationRunConfig, DetectionRunConfig, LocalizationRunConfig
from resdet.data.own import IndexedDataset, class_names, own_classification_dataset, own_detection_dataset
from resdet.distributed.join import joined
from resdet.distributed.ranks import Ranks
from resdet.engine.run_lock import not_in_training
from resdet.engine.task import Results
from resdet.errors import ConfigError
from resdet.evaluation.classification import evaluate_predictions
from resdet.evaluation.predictions import average_predictions, normalized_shares, read_predictions
from resdet.files import identity
from resdet.inference.device import Device, select_device
from resdet.inference.exported.networks import ExportedClassifier, ExportedDetector
from resdet.inference.exported.program import Program, is_exported, open_program
from resdet.inference.exported.runtimes import check_torch_runs
from resdet.inference.hub import local_file
from resdet.inference.load import (
    check_detectors,
    common_names,
    is_model_file,
    load_detectors,
    load_foreign_classifier,
)
from resdet.inference.load_exported import check_options, model_of
from resdet.inference.load_localizer import load_localizers
from resdet.inference.localizer import Localizer
from resdet.models.build import load_model
from resdet.models.card_network import card_config, check_same_network
from resdet.models.classifier import Classifier
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.model_file import read_card
from resdet.ops.kernels import default_kernels
from resdet.report.classification import write_classification
from resdet.structures import PixelConvention
from resdet.training.classification.evaluation import ClassifierEvaluation
from resdet.training.detection.evaluation import DetectorEvaluation
from resdet.training.localization.evaluation import evaluate_localizer

if TYPE_CHECKING:
    from resdet.config.check import RunFile


@dataclass(frozen=True)
class EvaluationOptions:
    """Options for the evaluation of model files.

    Attributes:
        device: auto, cpu, cuda or mps.
        shares: the weight of each detector or classifier of an ensemble; None: equal weights.
        classifiers: for localizers, the files of classifiers that predict the classes; without any, the true class is given.
        precision: for detectors, "fp32", or "bf16" or "fp16" for the convolutions on a device that has it.
        compiled: for detectors, whether torch.compile fuses the layers.
        backend: for detectors, the package that computes COCO's numbers, hotcoco or pycocotools.
        runtime: what runs the files, as for ``resdet.load``.
    """

    device: Device = "auto"
    shares: Sequence[float] | None = None
    classifiers: Sequence[str] = ()
    precision: str = "fp32"
    compiled: bool = False
    backend: str = "hotcoco"
    runtime: str = "auto"


def evaluate_files(
    config: RunFile, weights: Sequence[str], folder: Path, options: EvaluationOptions, own: IndexedDataset | None = None
) -> Results:
    """Evaluate model files on the validation set of a config, several together as an ensemble.

    Args:
        config: gives the data, and for a single file also the options of testing.
        weights: model files, or ``hf://owner/name``; with a classification config also weights of other toolkits for its
            network.
        folder: the folder for the results, created when missing.
        options: the options of the evaluation.
        own: a data set of detection or classification that replaces the config's validation files.

    In a process that torchrun started, all of its processes evaluate together, and the first one writes.

    Raises:
        ConfigError, DataError: for files that do not fit the config or each other, and for every problem of the data; when
            another process trains in the folder.
        PredictionError: for a model whose scores are NaN or infinite.
    """
    for path in weights:
        if not is_exported(path):
            check_torch_runs(path, options.runtime)
    weights = [str(local_file(each)) for each in weights]
    with joined(str(options.device)) as ranks, ranks.entered(not_in_training(folder)):
        device = select_device(options.device)
        if isinstance(config, DetectionRunConfig):
            return _evaluate_detectors(config, weights, folder, options, device, ranks, own)
        if isinstance(config, ClassificationRunConfig):
            return _evaluate_classifiers(config, weights, folder, options, device, ranks, own)
        if own is not None:
            raise ConfigError("localizers are evaluated on files, not on data sets of one's own")
        if any(map(is_exported, weights)):
            localizer = cast(Localizer, model_of(_exported_program(config, weights, options)))
        else:
            localizer = load_localizers(weights, device, config=config.model, crop=config.data.crop)
        return evaluate_localizer(config.data, config.classes, localizer, options.classifiers, device, folder, ranks)


def evaluate_prediction_files(files: Sequence[str], shares: Sequence[float], folder: Path) -> Results:
    """The metrics of the weighted average of several ``predictions.npz``, which ``eval`` writes for classifiers.

    Raises:
        ConfigError: when the file that is written into ``folder`` is one of these.
        DataError: when files cannot be read, or differ in their images or classes.
    """
    written = folder / "predictions.npz"
    if identity(written) in map(identity, files):
        raise ConfigError(f"--predictions: {written} would be overwritten; choose another --output")
    predictions = average_predictions([read_predictions(file) for file in files], shares, files)
    metrics = evaluate_predictions(predictions)
    metrics["meta"] |= {"predictions": list(files), "shares": normalized_shares(shares, len(files))}
    return Results(metrics, write_classification(folder, predictions, metrics))


def _evaluate_detectors(
    config: DetectionRunConfig,
    weights: Sequence[str],
    folder: Path,
    options: EvaluationOptions,
    device: torch.device,
    ranks: Ranks,
    own: IndexedDataset | None,
) -> Results:
    """Evaluate detectors; the network of each file comes from its own card."""
    if any(map(is_exported, weights)):
        models: Sequence[FasterRCNN | ExportedDetector] = [ExportedDetector(_exported_program(config, weights, options))]
    else:
        models = _torch_detectors(config, weights, options, device, ranks)
    names = models[0].names
    dataset = None if own is None else own_detection_dataset(own, _same_names(own, names))
    evaluation = DetectorEvaluation(config.data, names, config.model.test, options.backend, dataset, ranks)
    metrics = evaluation.run_ensemble(models, options.shares)
    metrics["meta"]["precision"] = options.precision
    if len(models) > 1:
        metrics["meta"]["weights"] = list(weights)
    return evaluation.write(models[0], folder)


def _torch_detectors(
    config: DetectionRunConfig, weights: Sequence[str], options: EvaluationOptions, device: torch.device, ranks: Ranks
) -> list[FasterRCNN]:
    configs = [config.model]
    if len(weights) > 1:
        # a config describes one network, and can be held against one file: of an ensemble it says what is free at test time
        own = [card_config(path, read_card(path)) for path in weights]
        check_detectors(weights, own)
        configs = [replace(each, rpn=config.model.rpn, test=config.model.test) for each in own]
    kernels = default_kernels()

    def load() -> list[FasterRCNN]:
        return load_detectors(weights, configs, device, precision=options.precision, compiled=options.compiled, kernels=kernels)

    loaded = load() if ranks.first else None
    # what it has measured decides for all, because another way to compute a product rounds differently
    kernels.answers.update(ranks.once(lambda: kernels.answers))
    return loaded or load()


def _exported_program(
    config: DetectionRunConfig | LocalizationRunConfig, weights: Sequence[str], options: EvaluationOptions
) -> Program:
    """An exported file, opened; a ConfigError where the config says other than the file, which cannot be changed."""
    check_options(weights, device=options.device, precision=options.precision, compiled=options.compiled)
    program = open_program(weights[0], options.runtime)
    check_same_network(program.path, program.config, config.model, PixelConvention.from_dict(program.card.pixels))
    wanted, fixed = (
        {f"model.test.{name}": value for name, value in config_to_dict(model.test).items()}
        for model in (config.model, program.config)
    )
    sizes = program.card.test
    if isinstance(config, LocalizationRunConfig):
        wanted["data.crop"], fixed["data.crop"] = config.data.crop, sizes.get("crop")
    elif program.facts.resizes:
        wanted |= {"data.test_short_side": config.data.test_short_side, "data.max_side": config.data.max_side}
        fixed |= {"data.test_short_side": sizes.get("short_side"), "data.max_side": sizes.get("max_side")}
    problems = [
        f"{program.path}: was exported with {name!r} {fixed[name]}, the config says {wanted[name]}"
        for name in wanted
        if wanted[name] != fixed[name]
    ]
    if isinstance(config, DetectionRunConfig) and config.data.val.proposals:
        problems.append(f"{program.path}: an exported detector proposes by itself, 'data.val.proposals' must be empty")
    if problems:
        raise ConfigError(problems)
    return program


def _evaluate_classifiers(
    config: ClassificationRunConfig,
    weights: Sequence[str],
    folder: Path,
    options: EvaluationOptions,
    device: torch.device,
    ranks: Ranks,
    own: IndexedDataset | None,
) -> Results:
    """Evaluate classifiers; the network of a model file comes from its own card."""
    known = [path for path in weights if is_exported(path) or is_model_file(path)]
    read = {path: _load_classifier(path, config, len(weights), options.runtime) for path in known}
    names = _common_names(read)
    dataset = None if own is None else own_classification_dataset(own, _same_names(own, names))
    evaluation = ClassifierEvaluation(config.data, config.test, names, dataset, ranks)
    models = [
        (read[path] if path in read else load_foreign_classifier(path, config.model, evaluation.names)).to(device)
        for path in weights
    ]
    metrics = evaluation.run_ensemble(models, options.shares or [1.0] * len(models))
    if len(models) > 1:
        metrics["meta"]["weights"] = list(weights)
    return evaluation.write(models[0], folder)


def _load_classifier(path: str, config: ClassificationRunConfig, members: int, runtime: str) -> Classifier | ExportedClassifier:
    # a config describes one network, so it can only be compared with one file
    if is_exported(path):
        return _exported_classifier(path, config, runtime)
    model, _ = load_model(path, config.model if members == 1 else None)
    if not isinstance(model, Classifier):
        raise ConfigError(f"{path}: holds a detection model, the config describes a classification model")
    return model


def _exported_classifier(path: str, config: ClassificationRunConfig, runtime: str) -> ExportedClassifier:
    program = open_program(path, runtime)
    check_same_network(program.path, program.config, config.model, PixelConvention.from_dict(program.card.pixels))
    if program.facts.resizes:
        raise ConfigError(f"{path}: was exported with --resize; only a classifier that takes crops can be evaluated")
    return ExportedClassifier(program)


def _common_names(models: Mapping[str, Classifier | ExportedClassifier]) -> tuple[str, ...] | None:
    """The class names that all ``models`` have; None when there is no model."""
    return common_names({path: model.names for path, model in models.items()}) if models else None


def _same_names(own: IndexedDataset, names: Sequence[str] | None) -> Sequence[str]:
    """The class names of a data set of one's own; a ConfigError when they are not the models' ``names``, in their order."""
    found = class_names(own)
    if names is not None and found != tuple(names):
        wanted, given = list(names), list(found)
        raise ConfigError(f"{type(own).__name__}: its classes must be the model's, in their order: {wanted}, got {given}")
    return found
