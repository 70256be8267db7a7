"""From a resdet model file to tensors and settings that torchvision or Detectron2 loads."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from resdet.errors import ConfigError
from resdet.files import atomic_write, write_json, write_text
from resdet.models.backbones.registry import backbone_spec
from resdet.models.backbones.spec import BackboneSpec
from resdet.models.card_network import card_config, card_pixels
from resdet.models.convert.detectron2_settings import CONFIG, detectron2_values
from resdet.models.convert.names import to_detectron2
from resdet.models.convert.settings import nested
from resdet.models.convert.torchvision_detector import to_torchvision
from resdet.models.convert.torchvision_settings import MIN_SIZE, torchvision_values
from resdet.models.model_file import ModelCard, read_model
from resdet.structures import PixelConvention

TOOLKITS = ("torchvision", "detectron2")
# what a card's backbone lacks, or has otherwise, in the toolkits' networks
_PLAIN = {"stem": "imagenet", "preactivation": False, "averaged_shortcut": False, "shortcut": "B", "shortcut_norm": True}
_DETECTRON2 = {"block": "bottleneck", "groups": 1, "base_width": 64}
# of the options of testing what does not change one pass, with ordinary NMS
_ONE_PASS = {"soft_nms": "none", "vote_iou": 0.0, "refine": False, "flip": False, "short_sides": []}


@dataclass(frozen=True)
class ConvertedBack:
    """Files that were written.

    Attributes:
        paths: the weights, and of a detector its settings.
        facts: what a network must be for them, for people.
    """

    paths: tuple[Path, ...]
    facts: Mapping[str, str]


def convert_back(source: str | Path, destination: str | Path, toolkit: str) -> ConvertedBack:
    """Write a model's tensors under another toolkit's names, and a detector's settings beside them.

    Torchvision's detectors take RGB: of one that was trained on BGR the first convolution's inputs are exchanged.

    Args:
        source: a resdet model file: of a detector; for torchvision of a classifier or a backbone, too.
        destination: the ``.pth`` to write, which must not exist. Settings: ``config.yaml`` beside it for Detectron2, the same
            name with ``.json`` for torchvision.
        toolkit: one of ``TOOLKITS``.

    Raises:
        ConfigError: no such file, a destination that exists, or what the toolkit's models do not have, by name.
        DataError: a file that cannot be read.
    """
    path, beside = Path(destination), Path(destination).with_suffix(".json")
    if toolkit == "detectron2":
        beside = path.parent / CONFIG
    if path.suffix != ".pth":
        raise ConfigError(f"{path}: must end in .pth")
    if there := [f"{each}: exists already" for each in (path, beside) if each.exists()]:
        raise ConfigError(there)
    state, card = read_model(source)
    spec, stride = _network(source, card)
    facts = {"network": spec.name, "stride": f"in the {'1x1' if stride else '3x3'}" if spec.block == "bottleneck" else "usual"}
    if card.task != "detection":
        if toolkit != "torchvision" or "mean_image" in state:
            what = "has a mean image" if "mean_image" in state else "holds no detector"
            raise ConfigError(f"{source}: {what}, which has no place in {toolkit}'s files")
        _save(path, {key.removeprefix("backbone."): value for key, value in state.items()})
        return ConvertedBack((path,), {**facts, "pixels": card_pixels(source, card).describe()})
    config = asdict(card_config(source, card))
    _check(source, config, spec, toolkit)
    pixels = card_pixels(source, card)
    if toolkit == "detectron2":
        _save(path, {"model": {to_detectron2(key): value for key, value in state.items()}})
        values = detectron2_values(config, card, spec, pixels)
        write_text(beside, yaml.safe_dump(nested({**values, "MODEL.WEIGHTS": path.name})))
        return ConvertedBack((path, beside), facts)
    if pixels.order == "BGR":
        state["trunk.conv1.weight"] = state["trunk.conv1.weight"].flip(1)
        pixels = PixelConvention("RGB", pixels.mean[::-1], pixels.std[::-1], pixels.range)
    anchors = config["anchors"]
    _save(path, to_torchvision(state, len(anchors["sizes"]), len(anchors["ratios"])))
    write_json(beside, nested({**torchvision_values(config, card, pixels), "backbone": spec.name}))
    return ConvertedBack((path, beside), facts)


def _network(source: str | Path, card: ModelCard) -> tuple[BackboneSpec, bool]:
    """The backbone of a card, with its own shortcuts, and where its bottlenecks have their stride."""
    values: Mapping[str, Any] = card.architecture.get("backbone", {})
    if card.task != "backbone":
        values = asdict(card_config(source, card).backbone)
    spec = backbone_spec(values.get("name", ""))
    shortcut = values.get("shortcut", "auto")
    spec = replace(
        spec,
        width=values.get("width") or spec.width,
        shortcut=spec.shortcut if shortcut == "auto" else shortcut,
        shortcut_norm=values.get("shortcut_norm", True),
    )
    others = [f"{key} {getattr(spec, key)}" for key, own in _PLAIN.items() if getattr(spec, key) != own]
    if others:
        raise ConfigError(f"{source}: other toolkits have no such network: {', '.join(others)}")
    return spec, bool(values.get("stride_in_1x1", False))


def _check(source: str | Path, config: Mapping[str, Any], spec: BackboneSpec, toolkit: str) -> None:
    """A ConfigError with each option of a detector that the toolkit's do not have."""
    test, roi, rpn = config["test"], config["roi"], config["rpn"]
    others = {f"test.{name}": test[name] for name, own in _ONE_PASS.items() if test[name] != own}
    if roi["context"]:
        others["roi.context"] = True
    if toolkit == "detectron2":
        others |= {f"backbone.{key}": getattr(spec, key) for key, own in _DETECTRON2.items() if getattr(spec, key) != own}
        if config["anchors"]["rounded"]:
            others["anchors.rounded"] = True
        if rpn["min_size"] % 1:
            others["rpn.min_size"] = rpn["min_size"]
    else:
        if roi["pooling"] == "pool":
            others["roi.pooling"] = "pool"
        if rpn["min_size"] > MIN_SIZE:
            others["rpn.min_size"] = rpn["min_size"]
    if others:
        raise ConfigError([f"{source}: {toolkit}'s detectors have no 'model.{name}' {value}" for name, value in others.items()])


def _save(path: Path, content: Mapping[str, Any] | Mapping[str, Tensor]) -> None:
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)  # by a path it would write the temporary file's name into the file
    atomic_write(path, lambda temporary: temporary.write_bytes(buffer.getvalue()))
