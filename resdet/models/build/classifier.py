"""Classifiers of a config."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from resdet.config.schema import ClassifierConfig
from resdet.models.build.backbone import build_backbone
from resdet.models.card_network import with_card
from resdet.models.classifier import Classifier


def build_classifier(config: ClassifierConfig, names: Sequence[str], mean_image: Tensor | None = None) -> Classifier:
    """The classifier of a config for the classes ``names``, see ``Classifier``; errors of ``build_backbone``."""
    resnet, pixels = build_backbone(config.backbone, len(names))
    return with_card(Classifier(resnet, pixels, names, mean_image), config)
