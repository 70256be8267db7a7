"""Networks that training begins with: of a config, and where it names a trained model, of that one's tensors."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from resdet.config.localization import LocalizerConfig
from resdet.config.schema import ClassifierConfig, DetectorConfig
from resdet.errors import ConfigError
from resdet.models.backbones.weights.find import existing_weights
from resdet.models.backbones.weights.read import read_weights
from resdet.models.build.classifier import build_classifier
from resdet.models.build.detector import build_detector
from resdet.models.build.load import load_localizer
from resdet.models.build.localizer import build_localizer, build_region_net
from resdet.models.card_network import card_config, check_same_network, with_card
from resdet.models.classifier import Classifier
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.detection.finetune import take_over
from resdet.models.localization.per_class_rpn import PerClassRPN
from resdet.models.localization.rcnn import RegionLocalizer
from resdet.models.model_file import read_model
from resdet.structures import PixelConvention

_log = logging.getLogger(__name__)
_WNID = re.compile(r"n\d{8}")  # what ImageNet calls a class


def start_classifier(config: ClassifierConfig, names: Sequence[str], mean_image: Tensor | None = None) -> Classifier:
    """The classifier that training begins with: of ``build_classifier``, with ``fc`` at random when it is for other classes.

    The ``fc`` of ``config.backbone.weights`` is kept when the file says that it is for the classes ``names``, in this order.
    Where a file says nothing, 1000 classes are ImageNet's, and an ``fc`` of as many other classes as there are names is kept.

    Raises:
        ConfigError, DataError: errors of ``build_backbone``.
    """
    model = build_classifier(config, names, mean_image)
    if not config.backbone.weights:
        return model
    spec = model.backbone.spec
    file = read_weights(existing_weights(Path(config.backbone.weights), spec.name, narrow=spec.width != 64))
    if "fc.weight" not in file.state:
        _log.info("%s: has no classifier: that of the %d classes starts anew", file.path, len(names))
        return model
    outputs = len(file.state["fc.weight"])
    if not _is_for(names, outputs, (file.card or {}).get("names")):
        if outputs == len(names):  # otherwise it is at random already
            model.backbone.renew_classifier()
        _log.info("%s: its classifier is for %d other classes: that of the %d here starts anew", file.path, outputs, len(names))
    return model


def start_detector(config: DetectorConfig, names: Sequence[str]) -> FasterRCNN:
    """The detector that training begins with: of ``build_detector``, and where ``config.weights`` names one, of its tensors.

    A detector without context may go into one with it, see ``take_over``; all else that makes the network must be as it was.

    Raises:
        ConfigError: no such file, one of another network or pixel convention; errors of ``build_backbone``.
        DataError: a file that cannot be read.
    """
    path = config.weights
    if not path:
        return build_detector(config, names)
    state, card = read_model(path)
    own = card_config(path, card)
    if isinstance(own, DetectorConfig) and config.roi.context:
        own = replace(own, roi=replace(own.roi, context=True))
    pixels = PixelConvention.from_dict(card.pixels)
    check_same_network(path, own, config, pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # BN statistics come with the state below
        detector = build_detector(config, names)
    detector.pixels = pixels
    _log.info("detector from %s: %s", path, take_over(detector, detector.names, state, card.names).summary())
    return detector


def start_localizer(config: LocalizerConfig, names: Sequence[str]) -> PerClassRPN | RegionLocalizer:
    """The localizer that training begins with: of stage rcnn with the trained RPN of ``config.weights``.

    Raises:
        ConfigError: as ``build_localizer``; no such file, one of another network, other classes or another pixel convention.
        DataError: a file that cannot be read.
    """
    if config.stage == "rpn":
        return build_localizer(config, names)
    rpn, own = load_localizer(config.weights)
    if not isinstance(rpn, PerClassRPN):
        raise ConfigError(f"{config.weights}: option 'model.weights' must name a localizer of stage rpn, it is of stage rcnn")
    check_same_network(config.weights, own, replace(config, stage="rpn"), rpn.pixels)
    regions = build_region_net(config, len(names))
    problems = []
    if rpn.names != tuple(names):
        problems.append(f"its classes must be those of the data, {_few(names)}, got {_few(rpn.names)}")
    if rpn.pixels != regions.pixels:
        problems.append(f"it was trained on {rpn.pixels}, the weights of 'model.backbone' want {regions.pixels}")
    if problems:
        raise ConfigError([f"{config.weights}: {problem}" for problem in problems])
    return with_card(RegionLocalizer(rpn, regions), config)


def _is_for(names: Sequence[str], outputs: int, own: Sequence[str] | None) -> bool:
    """Whether a file's ``fc`` is taken to be for the classes ``names``; ``own`` are those that its card names, if it does."""
    if own:
        return list(own) == list(names)
    return outputs == len(names) and (outputs != 1000 or all(map(_WNID.fullmatch, names)))


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" … ({len(names)})" if len(names) > 4 else "")
