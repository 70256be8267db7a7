"""resdet: classification and detection on a ResNet backbone, after He et al., 2015.

The names below are imported when first used, so that ``import resdet`` stays instant.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from resdet.version import __version__

if TYPE_CHECKING:
    from resdet.engine.run import Hook as Hook
    from resdet.engine.run import Run as Run
    from resdet.errors import ConfigError as ConfigError
    from resdet.errors import DataError as DataError
    from resdet.errors import ResdetError as ResdetError
    from resdet.evaluation.score import score_files as score
    from resdet.inference.load import load, predict
    from resdet.models.build import create_model
    from resdet.models.registry import list_backbones
    from resdet.structures import Detections as Detections
    from resdet.structures import Target as Target
    from resdet.training.api import evaluate, train

_HOMES = {
    "ConfigError": ("resdet.errors", "ConfigError"),
    "DataError": ("resdet.errors", "DataError"),
    "Detections": ("resdet.structures", "Detections"),
    "Hook": ("resdet.engine.run", "Hook"),
    "ResdetError": ("resdet.errors", "ResdetError"),
    "Run": ("resdet.engine.run", "Run"),
    "Target": ("resdet.structures", "Target"),
    "create_model": ("resdet.models.build", "create_model"),
    "evaluate": ("resdet.training.api", "evaluate"),
    "list_backbones": ("resdet.models.registry", "list_backbones"),
    "load": ("resdet.inference.load", "load"),
    "predict": ("resdet.inference.load", "predict"),
    "score": ("resdet.evaluation.score", "score_files"),
    "train": ("resdet.training.api", "train"),
}

__all__ = [
    "ConfigError",
    "DataError",
    "Detections",
    "Hook",
    "ResdetError",
    "Run",
    "Target",
    "__version__",
    "create_model",
    "evaluate",
    "list_backbones",
    "load",
    "predict",
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
