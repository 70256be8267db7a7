"""The model of a file that is to be exported: the network as torch runs it, and its graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from resdet.config import config_to_dict
from resdet.config.schema import ClassifierConfig, DetectionTestConfig, DetectorConfig, LocalizerConfig, LocalizerTestConfig
from resdet.errors import ConfigError
from resdet.export.classifier import classifier_graph
from resdet.export.detector import detector_graph
from resdet.export.graph import Graph
from resdet.export.localizer import localizer_graph
from resdet.inference.classifier import ImageClassifier
from resdet.inference.detector import Detector
from resdet.inference.kinds import card_sizes
from resdet.inference.load import changed_test
from resdet.inference.load_localizer import make_localizer
from resdet.inference.localizer import Localizer
from resdet.models.build import load_localizer, load_model
from resdet.models.card_network import card_config
from resdet.models.classifier import Classifier
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.localization.per_class_rpn import PerClassRPN
from resdet.models.model_file import ModelCard, read_card


@dataclass(frozen=True)
class Subject:
    """A model that is to be exported.

    Attributes:
        path: its file.
        card: the card of the exported file: the model's, with the options of testing that were asked for.
        original: the model, ready to run in torch.
        sizes: how pictures are resized for it, pixels.
    """

    path: Path
    card: ModelCard
    original: Detector | ImageClassifier | Localizer
    sizes: Mapping[str, int]

    def graph(self, *, half: bool, resize: bool) -> Graph:
        """The whole of it; ``half``: layers compute in float16; ``resize``: pictures of any size go in."""
        dtype = np.float16 if half else np.float32
        if isinstance(self.original, Detector):
            limits = (self.sizes["short_side"], self.sizes["max_side"]) if resize else None
            return detector_graph(cast(FasterRCNN, self.original.models[0]), dtype, limits)
        if isinstance(self.original, ImageClassifier):
            short_side = self.sizes["short_side"] if resize else None
            return classifier_graph(cast(Classifier, self.original.model), dtype, self.sizes["crop"], short_side)
        views = self.original.views
        short_side = views.short_sides[0] if resize else None
        return localizer_graph(cast(PerClassRPN, self.original.models[0]), dtype, self.original.vote_iou, short_side)


def read_subject(path: str | Path, *, resize: bool, test: Mapping[str, Any]) -> Subject:
    """The model of a file.

    Args:
        path: a ``model.safetensors`` of any task.
        resize: whether the exported file is to take pictures of any size.
        test: options of ``model.test`` in place of the file's.

    Raises:
        ConfigError: no such file, options that the file does not have, and all that cannot be exported.
        DataError: a file that cannot be read.
    """
    path, card = Path(path), read_card(path)
    config = card_config(path, card)
    if isinstance(config, ClassifierConfig):
        return _classifier(path, card, resize=resize, test=test)
    config = replace(config, test=changed_test(config.test, test))
    card = replace(card, architecture=config_to_dict(config))
    if isinstance(config, DetectorConfig):
        return _detector(path, card, config)
    return _localizer(path, card, config, resize=resize)


def _detector(path: Path, card: ModelCard, config: DetectorConfig) -> Subject:
    _check(path, _detector_problems(config.test))
    sizes = card_sizes(path, card, "short_side", "max_side")
    model, _ = load_model(path, config)
    original = Detector(cast(FasterRCNN, model), short_side=sizes["short_side"], max_side=sizes["max_side"])
    return Subject(path, card, original, sizes)


def _detector_problems(test: DetectionTestConfig) -> list[str]:
    plain = DetectionTestConfig()
    return [
        f"'model.test.{name}' must be {getattr(plain, name)}, an exported detector makes one pass with NMS, "
        f"got {getattr(test, name)}"
        for name in ("soft_nms", "refine", "vote_iou", "flip", "short_sides")
        if getattr(test, name) != getattr(plain, name)
    ]


def _classifier(path: Path, card: ModelCard, *, resize: bool, test: Mapping[str, Any]) -> Subject:
    sizes = card_sizes(path, card, "short_side", "crop")
    problems = [f"holds a classifier, options of 'model.test' are a detector's: {', '.join(test)}"] if test else []
    if resize and sizes["short_side"] < sizes["crop"]:
        problems.append(
            f"resizing inside needs a shorter side of at least the crop of {sizes['crop']} pixels, got {sizes['short_side']}"
        )
    _check(path, problems)
    model, _ = load_model(path)
    original = ImageClassifier(cast(Classifier, model), short_side=sizes["short_side"], crop=sizes["crop"])
    return Subject(path, card, original, sizes)


def _localizer(path: Path, card: ModelCard, config: LocalizerConfig, *, resize: bool) -> Subject:
    problems = _localizer_problems(config.stage, config.test)
    if resize and (config.test.views != "dense" or 0 in config.test.short_sides):
        problems.append(f"resizing inside is for 'model.test.views' dense and a shorter side, got {config.test.views}")
    _check(path, problems)
    sizes = card_sizes(path, card, "crop")
    model, _ = load_localizer(path, config)
    return Subject(path, card, make_localizer([model], config.test, sizes["crop"]), sizes)


def _localizer_problems(stage: str, test: LocalizerTestConfig) -> list[str]:
    problems = []
    if stage != "rpn":
        problems.append(f"a localizer of stage {stage} cuts its regions out of the picture itself; only stage rpn is one graph")
    if len(test.short_sides) > 1:
        problems.append(f"'model.test.short_sides' must be one number: the file makes one pass, got {test.short_sides}")
    return problems


def _check(path: Path, problems: list[str]) -> None:
    if problems:
        raise ConfigError([f"{path}: {problem}" for problem in problems])
