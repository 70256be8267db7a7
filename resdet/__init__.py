"""resdet: classification, detection and localization on a ResNet backbone, after He et al., 2015.

The names below are imported when first used, so that ``import resdet`` stays instant.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from resdet.version import __version__

if TYPE_CHECKING:
    from resdet.engine.run import Hook, Run
    from resdet.errors import ConfigError, DataError, ResdetError
    from resdet.evaluation.score import score_files as score
    from resdet.inference.classifier import ImageClassifier
    from resdet.inference.detector import Detector
    from resdet.inference.load import load, load_classifier, load_detector, load_localizer, predict
    from resdet.inference.localizer import Localizer
    from resdet.inference.save import save
    from resdet.models.backbones.registry import list_backbones
    from resdet.models.build import create_model, list_models
    from resdet.structures import Classification, Detections, Target
    from resdet.training.api import evaluate, train

_HOMES = {
    "Classification": ("resdet.structures", "Classification"),
    "ConfigError": ("resdet.errors", "ConfigError"),
    "DataError": ("resdet.errors", "DataError"),
    "Detections": ("resdet.structures", "Detections"),
    "Detector": ("resdet.inference.detector", "Detector"),
    "Hook": ("resdet.engine.run", "Hook"),
    "ImageClassifier": ("resdet.inference.classifier", "ImageClassifier"),
    "Localizer": ("resdet.inference.localizer", "Localizer"),
    "ResdetError": ("resdet.errors", "ResdetError"),
    "Run": ("resdet.engine.run", "Run"),
    "Target": ("resdet.structures", "Target"),
    "create_model": ("resdet.models.build", "create_model"),
    "evaluate": ("resdet.training.api", "evaluate"),
    "list_backbones": ("resdet.models.backbones.registry", "list_backbones"),
    "list_models": ("resdet.models.build", "list_models"),
    "load": ("resdet.inference.load", "load"),
    "load_classifier": ("resdet.inference.load", "load_classifier"),
    "load_detector": ("resdet.inference.load", "load_detector"),
    "load_localizer": ("resdet.inference.load", "load_localizer"),
    "predict": ("resdet.inference.load", "predict"),
    "save": ("resdet.inference.save", "save"),
    "score": ("resdet.evaluation.score", "score_files"),
    "train": ("resdet.training.api", "train"),
}

__all__ = [
    "Classification",
    "ConfigError",
    "DataError",
    "Detections",
    "Detector",
    "Hook",
    "ImageClassifier",
    "Localizer",
    "ResdetError",
    "Run",
    "Target",
    "__version__",
    "create_model",
    "evaluate",
    "list_backbones",
    "list_models",
    "load",
    "load_classifier",
    "load_detector",
    "load_localizer",
    "predict",
    "save",
    "score",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'resdet' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return __all__
