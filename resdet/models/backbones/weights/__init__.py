"""Finding and reading pretrained weights, and checking that they are right for the network."""

from resdet.models.backbones.weights.find import find_weights
from resdet.models.backbones.weights.load import load_backbone_weights
from resdet.models.backbones.weights.report import LoadReport

__all__ = ["LoadReport", "find_weights", "load_backbone_weights"]
