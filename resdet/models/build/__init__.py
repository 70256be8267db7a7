"""From configs and model files to networks, split by what is built; the only place that unpacks the configs of networks.

``backbone``, ``classifier``, ``detector`` and ``localizer`` build networks of a config; ``load`` builds those of model files,
``start`` those that training begins with, and ``create`` those of a name.
"""

from resdet.models.build.backbone import build_backbone
from resdet.models.build.classifier import build_classifier
from resdet.models.build.create import create_model, list_models
from resdet.models.build.detector import build_detector
from resdet.models.build.load import load_localizer, load_model
from resdet.models.build.localizer import build_localizer
from resdet.models.build.start import start_classifier, start_detector, start_localizer

__all__ = [
    "build_backbone",
    "build_classifier",
    "build_detector",
    "build_localizer",
    "create_model",
    "list_models",
    "load_localizer",
    "load_model",
    "start_classifier",
    "start_detector",
    "start_localizer",
]
