"""New networks by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from resdet.config.localization import LocalizerConfig
from resdet.config.schema import BackboneConfig, ClassifierConfig, DetectorConfig
from resdet.errors import ConfigError, did_you_mean
from resdet.models.backbones.registry import family_rules, list_backbones
from resdet.models.build.classifier import build_classifier
from resdet.models.build.detector import build_detector
from resdet.models.build.localizer import build_localizer
from resdet.models.classifier import Classifier
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.localization.per_class_rpn import PerClassRPN
from resdet.models.localization.rcnn import RegionLocalizer

# the families of backbones that detectors and localizers are made of, and what they are called in their names
_FAMILIES = {"resnet": "r", "resnext": "x", "wide_resnet": "wr"}


def create_model(
    name: str,
    *,
    num_classes: int | None = None,
    names: Sequence[str] | None = None,
    weights: str | Path = "",
    pixels: str = "auto",
    stride_in_1x1: bool = False,
) -> FasterRCNN | Classifier | PerClassRPN | RegionLocalizer:
    """A new network by name, a torch.nn.Module.

    Args:
        name: one of ``list_models()``: a backbone's name for a classifier, ``faster_rcnn_r50_c4`` for a detector,
            ``per_class_rpn_r50`` or ``per_class_rcnn_r50`` for a localizer of one stage or of two. CIFAR's families have more
            depths than are listed.
        num_classes: K, without background; the classes are called "0", "1", …
        names: the K class names, in label order, in place of ``num_classes``.
        weights: file of pretrained backbone weights; empty: random initialization.
        pixels: pixel convention of the weights: auto, torchvision or msra.
        stride_in_1x1: where the weights have a bottleneck's stride; True for msra.

    Raises:
        ConfigError: an unknown name, no classes, or weights that do not fit.
        DataError: a weights file that cannot be read.
    """
    classes = _class_names(num_classes, names)
    detectors, rpns, rcnns = _detectors(), _localizers("rpn"), _localizers("rcnn")

    def backbone(own: str) -> BackboneConfig:
        return BackboneConfig(own, str(weights), pixels, stride_in_1x1)

    if name in detectors:
        return build_detector(DetectorConfig(backbone=backbone(detectors[name])), classes)
    if name in rpns:
        return build_localizer(LocalizerConfig(stage="rpn", backbone=backbone(rpns[name])), classes)
    if name in rcnns:
        return build_localizer(LocalizerConfig(stage="rcnn", backbone=backbone(rcnns[name])), classes)
    known = list_models()
    if name not in known and not name.startswith(tuple(family_rules())):
        raise ConfigError(f"unknown model {name!r}{did_you_mean(name, known)}")
    return build_classifier(ClassifierConfig(backbone=backbone(name)), classes)


def list_models() -> list[str]:
    """The names that ``create_model`` knows: backbones, which are classifiers, then detectors, then localizers."""
    return [*list_backbones(), *_detectors(), *_localizers("rpn"), *_localizers("rcnn")]


def _detectors() -> dict[str, str]:
    """Name of a detector -> its backbone."""
    return {f"faster_rcnn_{short}_c4": backbone for short, backbone in _short_names().items()}


def _localizers(stage: str) -> dict[str, str]:
    """Name of a localizer of a stage -> its backbone."""
    return {f"per_class_{stage}_{short}": backbone for short, backbone in _short_names().items()}


def _short_names() -> dict[str, str]:
    """``{"r18": "resnet18", …}``, of all backbones of ``_FAMILIES``."""
    return {
        short + backbone.removeprefix(family): backbone
        for family, short in _FAMILIES.items()
        for backbone in list_backbones()
        if backbone.startswith(family)
    }


def _class_names(num_classes: int | None, names: Sequence[str] | None) -> list[str]:
    if (num_classes is None) == (names is None):
        raise ConfigError(f"create_model needs 'num_classes' or 'names', one of them, got {num_classes} and {names}")
    if names is None:
        if not isinstance(num_classes, int) or num_classes < 1:
            raise ConfigError(f"'num_classes' must be a number of at least 1, got {num_classes!r}")
        return [str(label) for label in range(num_classes)]
    several = isinstance(names, Collection) and not isinstance(names, str)
    if not several or not names or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"'names' must be a list of at least one text, got {names!r}")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ConfigError(f"'names' must hold each class once, holds {', '.join(map(repr, twice))} more often")
    return list(names)
