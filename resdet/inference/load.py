"""``resdet.load``: any model file, or several detectors, ready to run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from safetensors import SafetensorError, safe_open

from resdet.config import config_from_dict, config_to_dict
from resdet.config.old_names import with_new_names
from resdet.config.schema import ClassifierConfig, DetectionTestConfig, DetectorConfig, LocalizerConfig, LocalizerTestConfig
from resdet.errors import ConfigError
from resdet.evaluation.predictions import class_difference
from resdet.files import regular
from resdet.inference.classifier import ImageClassifier
from resdet.inference.detector import Detector, Improvements
from resdet.inference.device import Device, select_device
from resdet.inference.exported.program import is_exported
from resdet.inference.exported.runtimes import check_torch_runs
from resdet.inference.hub import local_file
from resdet.inference.kinds import card_sizes, check_kind
from resdet.inference.load_exported import load_exported
from resdet.inference.load_localizer import load_localizers
from resdet.inference.localizer import Localizer
from resdet.models.backbones.weights.read import read_weights
from resdet.models.build import build_classifier, load_model
from resdet.models.card_network import card_config
from resdet.models.classifier import Classifier
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.model_file import FileVersion, check_file, read_card
from resdet.ops.kernels import Kernels
from resdet.ops.precision import number_format

TestConfigT = TypeVar("TestConfigT", DetectionTestConfig, LocalizerTestConfig)


def load(
    path: str | Path | Sequence[str | Path],
    *,
    device: Device = "auto",
    precision: str = "fp32",
    compiled: bool = False,
    test: Mapping[str, Any] | None = None,
    runtime: str = "auto",
) -> Detector | ImageClassifier | Localizer:
    """Read a model file of any task and make it ready to run; ``load_detector`` and its like say which one it must be.

    Args:
        path: a ``model.safetensors`` that training or ``save`` wrote; or several of detectors or localizers of the same
            classes: an ensemble, for which pictures are resized as the first file says. Or an ``.onnx`` or ``.xml`` file that
            `resdet export` wrote, which runs on the CPU, and as it was exported. ``hf://owner/name`` or
            ``hf://owner/name/file.safetensors`` is fetched from the Hugging Face Hub, once.
        device: auto, cpu, cuda or mps, or a torch.device.
        precision: of detectors alone: "fp32", or "bf16" or "fp16" for the convolutions of a device that has it.
        compiled: of detectors alone: let torch.compile fuse the layers, which takes minutes; for a GPU.
        test: not for classifiers: options of ``model.test`` in place of those of the (first) file: ``{"refine": True}``.
        runtime: of model files torch; of ``.onnx`` files onnxruntime or openvino, of ``.xml`` files openvino; auto: the first.

    Raises:
        ConfigError: no such file, one that does not fit, an unknown option or a value out of range, other classes.
        DataError: a file that cannot be read.
        ResdetError: the Hub cannot be reached, or refuses.
    """
    paths = _at_least_one(path)
    if any(map(is_exported, paths)):
        return load_exported(paths, device=device, precision=precision, compiled=compiled, test=test, runtime=runtime)
    check_torch_runs(paths[0], runtime)
    config = card_config(paths[0], read_card(paths[0]))
    if isinstance(config, DetectorConfig) or (isinstance(config, ClassifierConfig) and len(paths) > 1):
        return load_detector(paths, device=device, precision=precision, compiled=compiled, test=test)
    if precision != "fp32" or compiled:
        raise ConfigError(f"{paths[0]}: holds no detector: other number formats and compiling are a detector's")
    if isinstance(config, LocalizerConfig):
        return load_localizer(paths, device=device, test=test)
    if test:
        raise ConfigError(f"{paths[0]}: holds a classifier, options of 'model.test' are a detector's: {', '.join(test)}")
    return load_classifier(paths[0], device=device)


def load_detector(
    path: str | Path | Sequence[str | Path],
    *,
    device: Device = "auto",
    precision: str = "fp32",
    compiled: bool = False,
    test: Mapping[str, Any] | None = None,
    runtime: str = "auto",
) -> Detector:
    """``load`` for a detector, or an ensemble of several; a ConfigError for a file of another task too."""
    paths = _at_least_one(path)
    if any(map(is_exported, paths)):
        how: dict[str, Any] = {"precision": precision, "compiled": compiled, "test": test, "runtime": runtime}
        return cast(Detector, load_exported(paths, DetectorConfig, device=device, **how))
    check_torch_runs(paths[0], runtime)
    where = select_device(device)
    file = FileVersion.of(paths[0])
    cards = [read_card(each) for each in paths]
    configs = [card_config(each, card) for each, card in zip(paths, cards, strict=True)]
    if len(paths) > 1:
        check_detectors(paths, configs)
    check_kind(paths[0], configs[0], DetectorConfig)
    options = changed_test(configs[0].test, test or {})
    sizes = [card_sizes(each, card, "short_side", "max_side") for each, card in zip(paths, cards, strict=True)]
    for each, own in zip(paths, sizes, strict=True):
        if own != sizes[0]:
            warnings.warn(f"{each}: pictures are resized to {sizes[0]}, as {paths[0]} says, not to {own}", stacklevel=2)
    changed = [replace(config, test=options) for config in configs]
    models = load_detectors(paths, changed, where, precision=precision, compiled=compiled)
    short_side, max_side = sizes[0]["short_side"], sizes[0]["max_side"]
    return Detector(
        *models,
        short_side=short_side,
        max_side=max_side,
        improvements=improvements_of(options),
        file=file if len(paths) == 1 else None,
    )


def load_classifier(path: str | Path, *, device: Device = "auto", runtime: str = "auto") -> ImageClassifier:
    """``load`` for a classifier; a ConfigError for a file of another task too."""
    path = local_file(path)
    if is_exported(path):
        return cast(ImageClassifier, load_exported([path], ClassifierConfig, device=device, runtime=runtime))
    check_torch_runs(path, runtime)
    where = select_device(device)
    card = read_card(path)
    check_kind(path, card_config(path, card), ClassifierConfig)
    sizes = card_sizes(path, card, "short_side", "crop")
    model, _ = load_model(path)
    return ImageClassifier(cast(Classifier, model.to(where)), **sizes)


def load_localizer(
    path: str | Path | Sequence[str | Path],
    *,
    device: Device = "auto",
    test: Mapping[str, Any] | None = None,
    runtime: str = "auto",
) -> Localizer:
    """``load`` for a localizer, or an ensemble of several; a ConfigError for a file of another task too."""
    paths = _at_least_one(path)
    if any(map(is_exported, paths)):
        return cast(Localizer, load_exported(paths, LocalizerConfig, device=device, test=test, runtime=runtime))
    check_torch_runs(paths[0], runtime)
    where = select_device(device)
    config = card_config(paths[0], read_card(paths[0]))
    check_kind(paths[0], config, LocalizerConfig)
    return load_localizers(paths, where, config=replace(config, test=changed_test(config.test, test or {})))


def _at_least_one(path: str | Path | Sequence[str | Path]) -> list[str | Path]:
    paths = [path] if isinstance(path, (str, Path)) else list(path) if isinstance(path, Sequence) else [path]
    if not paths:
        raise ConfigError("load needs at least one model file, got none")
    if wrong := [each for each in paths if not isinstance(each, (str, Path))]:
        raise ConfigError(f"load needs the path of a model file, or a list of them, got {wrong[0]!r}")
    return [local_file(each) for each in paths]


def check_detectors(paths: Sequence[str | Path], configs: Sequence[Any]) -> None:
    """A ConfigError naming each of the model files ``paths`` whose config, of ``card_config``, is not a detector's."""
    kinds = {ClassifierConfig: "classification", LocalizerConfig: "localization"}
    problems = [
        f"{path}: holds a {kinds[type(config)]} model; an ensemble is of detectors"
        for path, config in zip(paths, configs, strict=True)
        if not isinstance(config, DetectorConfig)
    ]
    if problems:
        raise ConfigError(problems)


def load_detectors(
    paths: Sequence[str | Path],
    configs: Sequence[DetectorConfig],
    device: torch.device,
    *,
    precision: str = "fp32",
    compiled: bool = False,
    kernels: Kernels | None = None,
) -> list[FasterRCNN]:
    """Detectors of the same classes, in eval mode, prepared for inference (``FasterRCNN.prepare``).

    Args:
        paths: their model files.
        configs: the options of each that are free at test time, as for ``load_model``.
        device: where they run.
        precision: "fp32", "bf16" or "fp16", of the convolutions.
        compiled: whether torch.compile fuses the layers.
        kernels: how a CPU computes their products; None: see ``FasterRCNN.prepare``.

    Raises:
        ConfigError: a file that does not fit its config, or other classes than the first file's, or in another order; a number
            format that is unknown, or that the device does not have.
        DataError: a file that cannot be read.
    """
    models = [cast(FasterRCNN, load_model(path, config)[0]) for path, config in zip(paths, configs, strict=True)]
    common_names({str(path): model.names for path, model in zip(paths, models, strict=True)})
    dtype = number_format(precision, device)
    return [model.to(device).prepare(dtype, compiled=compiled, kernels=kernels) for model in models]


def common_names(names: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The class names of the members of an ensemble, which are called ``{file: names}``.

    Raises:
        ConfigError: naming each member whose classes, or their order, differ from the first one's.
    """
    (first, reference), *others = names.items()
    problems = [f"{path}: {difference} in {first}" for path, own in others if (difference := class_difference(own, reference))]
    if problems:
        raise ConfigError(problems)
    return tuple(reference)


def changed_test(config: TestConfigT, changes: Mapping[str, Any]) -> TestConfigT:
    """``config`` with other values of some options; a ConfigError names each that is unknown or out of range."""
    values, notes = with_new_names({"model": {"test": changes}})
    if notes:
        warnings.warn(", ".join(notes), stacklevel=3)
    try:
        changed: TestConfigT = config_from_dict(type(config), {**config_to_dict(config), **values["model"]["test"]})
    except ConfigError as error:
        raise ConfigError([f"model.test: {problem}" for problem in error.problems]) from error
    return changed


def improvements_of(config: DetectionTestConfig) -> Improvements:
    """What a config's ``model.test`` adds to one pass; a ConfigError when its scales do not increase."""
    return Improvements(config.refine, config.flip, tuple(config.short_sides))


def is_model_file(path: str | Path) -> bool:
    """Whether a file is one that training wrote, alone enough to run; a broken safetensors file counts as one.

    Raises:
        ConfigError: no such file.
    """
    path = Path(path)
    check_file(path)
    try:
        with safe_open(regular(path), framework="pt") as file:
            return "resdet" in (file.metadata() or {})
    except (SafetensorError, OSError):
        return path.suffix == ".safetensors"


def load_foreign_classifier(path: str | Path, config: ClassifierConfig, names: Sequence[str]) -> Classifier:
    """The classifier that ``config`` describes with the weights of a file without a card, in eval mode on the CPU.

    Args:
        path: torch ``.pth`` or safetensors of a whole classifier, ``fc`` included.
        config: the network, and the pixel convention of its weights.
        names: the class names, in label order.

    Raises:
        ConfigError: weights of another network, without a classifier, or of another number of classes.
        DataError: a file that cannot be read.
    """
    weight = read_weights(path).state.get("fc.weight")
    if weight is None:
        raise ConfigError(f"{path}: holds no classifier: must have 'fc.weight'")
    if weight.shape[0] != len(names):
        raise ConfigError(f"{path}: its classifier has {weight.shape[0]} classes, the data has {len(names)}")
    return build_classifier(replace(config, backbone=replace(config.backbone, weights=str(path))), names).eval()


def predict(
    weights: str | Path | Sequence[str | Path],
    images: Any,
    *,
    device: Device = "auto",
    precision: str = "fp32",
    test: Mapping[str, Any] | None = None,
    color: str = "rgb",
    runtime: str = "auto",
) -> Any:
    """``load(weights, …).predict(images)``: for one call; keep what ``load`` returns for more than one.

    Args:
        weights: a model file, or several of detectors.
        images: a picture or many, as ``Detector.predict`` and ``ImageClassifier.predict`` take them.
        device: auto, cpu, cuda or mps, or a torch.device.
        precision: number format of a detector's convolutions, as for ``load``.
        test: options of ``model.test``, as for ``load``.
        color: order of an array's or tensor's channels, ``"rgb"`` or ``"bgr"``.
        runtime: what runs it, as for ``load``.

    Raises:
        ConfigError: a localizer, which needs classes; otherwise, as DataError, those of ``load`` and of its ``predict``.
    """
    model = load(weights, device=device, precision=precision, test=test, runtime=runtime)
    if isinstance(model, Localizer):
        raise ConfigError(f"{weights}: holds a localizer, which must be told classes: load(weights).predict(image, classes)")
    return model.predict(images, color=color)
