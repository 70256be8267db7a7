"""The card of a converted model, and the network that it describes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from torch import nn

from resdet.config import config_from_dict, config_to_dict
from resdet.config.schema import BackboneConfig, ClassifierConfig, DetectorConfig
from resdet.errors import ConfigError
from resdet.models.build import build_classifier, build_detector
from resdet.models.convert.conversion import Conversion
from resdet.models.convert.settings import DetectorSettings
from resdet.models.model_file import ModelCard
from resdet.version import __version__


def conversion_card(conversion: Conversion, names: Sequence[str], source: str) -> ModelCard:
    """What the model file says of a conversion with these class names, from the file called ``source``."""
    backbone = BackboneConfig(conversion.spec.name, stride_in_1x1=conversion.stride_in_1x1, width=conversion.width)
    config: Any
    test: dict[str, Any]
    settings = conversion.settings
    if settings is not None:
        try:
            config = config_from_dict(DetectorConfig, {**settings.architecture, "backbone": config_to_dict(backbone)})
        except ConfigError as error:
            raise ConfigError([f"{settings.path}: as resdet's options: {problem}" for problem in error.problems]) from error
        test = dict(settings.test)
    else:
        config = ClassifierConfig(backbone)
        # the sizes that published errors are measured at
        test = {"short_side": 0, "crop": 32} if conversion.spec.stem == "cifar" else {"short_side": 256, "crop": 224}
    return ModelCard(
        task=conversion.task,
        architecture=config_to_dict(config),
        names=list(names),
        pixels=conversion.pixels.to_dict(),
        test=test,
        provenance={"resdet": __version__, "source": source, "names_of": conversion.scheme, **_settings_of(settings)},
    )


def _settings_of(settings: DetectorSettings | None) -> dict[str, Any]:
    """Where the settings of a detector come from: a config's name, or what was assumed."""
    if settings is None:
        return {}
    if settings.assumed:
        return {"assumed": dict(settings.assumed)}
    return {"settings": settings.path.name if settings.path else "of the published model"}


def card_network(card: ModelCard) -> nn.Module:
    """The network of ``conversion_card``, randomly initialized; of the task "backbone" with a classifier of one class."""
    if card.task == "detection":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # BN statistics come with the state
            return build_detector(config_from_dict(DetectorConfig, card.architecture), card.names)
    classifier = build_classifier(config_from_dict(ClassifierConfig, card.architecture), card.names or [""])
    return classifier if card.task == "classification" else classifier.backbone
