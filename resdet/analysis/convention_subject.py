"""Finds the residual network in a weights file of any kind, and makes it ready to run under any convention."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from torch import Tensor

from resdet.errors import ConfigError
from resdet.models.backbones.resnet import ResNet
from resdet.models.backbones.spec import BackboneSpec
from resdet.models.backbones.weights.evidence import layers_with_statistics
from resdet.models.backbones.weights.load import card_pixels, card_spec
from resdet.models.backbones.weights.read import WeightsFile
from resdet.models.backbones.weights.report import LoadReport, compare, describe_keys
from resdet.models.convert import CONVENTIONS, convert_weights
from resdet.structures import PixelConvention

# the places of the residual network's parts in resdet's models: classifiers, detectors, localizers of one and of two stages
_PLACES = re.compile(r"(?:backbone\.|trunk\.|roi_heads\.res5\.|(?:rpn\.)?body\.)?((?:conv1|bn1|bn_last|layer\d+|fc)\..+)")


@dataclass(frozen=True)
class Subject:
    """The network to measure.

    Attributes:
        path: the file, for messages.
        spec: the network; its stride is that of the file's card, or False.
        state: its tensors, by torchvision's names.
        classifies: whether ``fc`` is among its tensors.
        norms: the names of the BN layers whose statistics come from whole images and were not folded.
        pixels: the convention on the file's card; None without a card.
        short_side, crop: the shorter side and the crop of its test images, pixels.
    """

    path: str
    spec: BackboneSpec
    state: dict[str, Tensor]
    classifies: bool
    norms: tuple[str, ...]
    pixels: PixelConvention | None
    short_side: int
    crop: int

    def network(self, stride_in_1x1: bool) -> ResNet:
        """The network with its tensors, in eval mode, with its stride in the first 1x1 convolution or in the 3x3."""
        network = ResNet(replace(self.spec, stride_in_1x1=stride_in_1x1))
        network.load_state_dict(self.state, strict=False)
        return network.eval()


def find_subject(file: WeightsFile) -> Subject:
    """The residual network of a classifier, a backbone, a detector or a localizer, of resdet or of another toolkit.

    Raises:
        ConfigError: when it is not a network of resdet.
        DataError: when tensors are not parameters of any network.
    """
    task, spec, tensors = _of_card(file) if file.card is not None else _of_toolkit(file)
    state = {match[1]: value for key, value in tensors.items() if (match := _PLACES.fullmatch(key))}
    classifies = "fc.weight" in state
    spec = replace(spec, num_classes=len(state["fc.weight"]) if classifies else 1)
    network = ResNet(spec)
    report = LoadReport(file.path, describe_keys(state), CONVENTIONS["torchvision"], *compare(state, network.state_dict()))
    if report.misfits():
        raise ConfigError(f"{file.path}: its tensors are no {spec.name} with shortcut {spec.shortcut}: {report.summary(3)}")
    norms = layers_with_statistics(state)
    if task == "detection":  # whose last stage sees regions
        norms = [name for name in norms if not name.startswith(f"layer{len(spec.layers)}.")]
    side, crop = _sizes(file, spec)
    return Subject(str(file.path), spec, state, classifies, tuple(norms), card_pixels(file), side, crop)


def _of_toolkit(file: WeightsFile) -> tuple[str, BackboneSpec, dict[str, Tensor]]:
    # any convention will do here, so that the file is accepted; the right one is measured later
    found = convert_weights(file, pixels=CONVENTIONS["torchvision"], stride_in_1x1=False)
    return found.task, replace(found.spec, width=found.width or found.spec.width), found.state


def _of_card(file: WeightsFile) -> tuple[str, BackboneSpec, dict[str, Tensor]]:
    spec = card_spec(file)
    if spec is None:
        raise ConfigError(f"{file.path}: its card names no network")
    return str((file.card or {}).get("task")), spec, file.state


def _sizes(file: WeightsFile, spec: BackboneSpec) -> tuple[int, int]:
    """Shorter side and crop of test images: a classifier's own, else those that published errors are measured at."""
    test = (file.card or {}).get("test")
    crop = test.get("crop") if isinstance(test, dict) else None
    if isinstance(test, dict) and type(crop) is int and crop > 0:
        side = test.get("short_side")
        return side if type(side) is int and side > 0 else crop, crop
    return (32, 32) if spec.stem == "cifar" else (256, 224)
