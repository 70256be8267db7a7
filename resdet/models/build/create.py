"""Networks of a name."""

from __future__ import annotations

import re

from resdet.config.schema import BackboneConfig, ClassifierConfig, DetectorConfig
from resdet.models.build.classifier import build_classifier
from resdet.models.build.detector import build_detector
from resdet.models.classifier import Classifier
from resdet.models.detection.faster_rcnn import FasterRCNN


def create_model(
    name: str, *, num_classes: int, weights: str = "", pixels: str = "auto", stride_in_1x1: bool = False
) -> FasterRCNN | Classifier:
    """A new network by name.

    Args:
        name: ``faster_rcnn_r18_c4`` … ``faster_rcnn_r152_c4``, or a backbone's name for a classifier.
        num_classes: K, without background.
        weights: file of pretrained backbone weights; empty: random initialization.
        pixels: pixel convention of the weights: auto, torchvision or msra.
        stride_in_1x1: where the weights have a bottleneck's stride; True for msra.

    Raises:
        ConfigError: an unknown name, or weights that do not fit.
        DataError: a weights file that cannot be read.
    """
    names = [str(label) for label in range(num_classes)]
    detector = re.fullmatch(r"faster_rcnn_r(\d+)_c4", name)
    backbone = BackboneConfig(f"resnet{detector[1]}" if detector else name, weights, pixels, stride_in_1x1)
    if detector:
        return build_detector(DetectorConfig(backbone=backbone), names)
    return build_classifier(ClassifierConfig(backbone=backbone), names)
