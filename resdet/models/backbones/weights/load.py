"""Pretrained weights into a network, refused where they would run but mean something else."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from resdet.errors import ConfigError
from resdet.models.backbones.registry import backbone_spec
from resdet.models.backbones.resnet import ResNet
from resdet.models.backbones.spec import BackboneSpec
from resdet.models.backbones.weights.evidence import contradicts, expected_scale
from resdet.models.backbones.weights.find import existing_weights
from resdet.models.backbones.weights.read import WeightsFile, read_weights
from resdet.models.backbones.weights.report import LoadReport, compare, describe_keys
from resdet.models.backbones.weights.source import WeightsSource, find_source
from resdet.structures import PIXEL_CONVENTIONS, PixelConvention

_log = logging.getLogger(__name__)
_SPEC_OPTIONS = ("stride_in_1x1", "shortcut", "width")


def load_backbone_weights(
    resnet: ResNet, path: str | Path, *, pixels: PixelConvention | None, stride_in_1x1: bool
) -> LoadReport:
    """Load a weights file into ``resnet``, in place.

    A file of resdet's own says what it is, and must agree. A foreign file is held to be torchvision's (RGB, normalized, stride
    in the 3x3) or the authors' (BGR bytes minus the mean, stride in the 1x1); its BN statistics show which, or its name where
    it has none. Where nothing shows it, the report's ``doubt`` says what was taken.

    Args:
        resnet: the network; untouched when the weights are refused.
        path: torch ``.pth`` or safetensors, torchvision's keys; half precision is cast up. In place of a missing
            ``datasets/weights/<name>.pth`` the weights of ``find_weights`` are taken.
        pixels: the convention wanted; None takes the file's, or torchvision's where the file does not say.
        stride_in_1x1: where the network's bottlenecks have their stride.

    Returns:
        What became of each key, and the convention. ``fc`` alone may be missing or of another shape: it then keeps its
        random start.

    Raises:
        ConfigError: no such file; keys of another network; another pixel convention or stride than the weights'.
        DataError: a file that cannot be read.
    """
    spec = resnet.spec
    file = read_weights(existing_weights(Path(path), spec.name, narrow=spec.width != 64))
    loaded, missing, unexpected, mismatched = compare(file.state, resnet.state_dict())
    agreed = pixels or card_pixels(file) or PIXEL_CONVENTIONS["torchvision"]
    report = LoadReport(file.path, describe_keys(file.state), agreed, loaded, missing, unexpected, mismatched)
    if file.card and file.card.get("task") == "detection":
        raise ConfigError(f"{file.path}: holds a detector; option 'model.backbone.weights' takes a classifier or a backbone")
    if report.misfits():
        raise ConfigError(
            f"{file.path}: weights that look like {report.looks_like} do not fit option 'model.backbone.name'={spec.name} "
            f"(shortcut {spec.shortcut}, width {spec.width}): {report.summary()}"
            + (
                ""
                if any(key.startswith("conv1.") for key in file.state)
                else "; `resdet convert` reads Detectron's and Detectron2's names"
            )
        )
    doubt = ""
    if file.card is not None:
        problems = _card_problems(file, resnet.spec, agreed, stride_in_1x1)
    elif source := find_source(file):
        problems = _source_problems(source, resnet.spec, agreed, stride_in_1x1)
    else:
        problems, doubt = [], _doubt(file, resnet.spec, agreed, stride_in_1x1, said=pixels is not None)
    if problems:
        raise ConfigError([f"{file.path}: {problem}" for problem in problems])
    for note in file.notes:
        _log.info("%s: %s", file.path, note)
    resnet.load_state_dict({key: file.state[key] for key in loaded}, strict=False)
    return replace(report, doubt=doubt)


def card_pixels(file: WeightsFile) -> PixelConvention | None:
    """The pixel convention that a file's card says; None without one."""
    return PixelConvention.from_dict(file.card["pixels"]) if file.card and file.card.get("pixels") else None


def _card_problems(file: WeightsFile, spec: BackboneSpec, pixels: PixelConvention, stride_in_1x1: bool) -> list[str]:
    """Where resdet's own file says something else than what is asked for."""
    problems = []
    written = card_pixels(file)
    if written is not None and written != pixels:
        problems.append(
            f"its pixel convention is {_name(written)}, option 'model.backbone.pixels' asks for {_name(pixels)}; "
            "auto takes the file's"
        )
    trained = card_spec(file)
    if trained is not None:
        asked = {"stride_in_1x1": stride_in_1x1, "shortcut": spec.shortcut}
        if spec.block != "bottleneck":
            del asked["stride_in_1x1"]  # a basic block has no 1x1 to put it in
        problems += [
            f"it was trained with {key}={getattr(trained, key)}, option 'model.backbone.{key}' asks for {value}"
            for key, value in asked.items()
            if getattr(trained, key) != value
        ]
    return problems


def card_spec(file: WeightsFile) -> BackboneSpec | None:
    """The shape of the network that a file's card describes; keys alone do not tell a stride or a shortcut without weights."""
    architecture: Any = (file.card or {}).get("architecture")
    backbone = architecture.get("backbone") if isinstance(architecture, dict) else None
    if not isinstance(backbone, dict) or "name" not in backbone:
        return None
    options = {key: backbone[key] for key in _SPEC_OPTIONS if key in backbone}
    return backbone_spec(backbone["name"], **options)


def _source_problems(source: WeightsSource, spec: BackboneSpec, pixels: PixelConvention, stride_in_1x1: bool) -> list[str]:
    """Where a file without a card comes from a public source that wants something else than is asked for."""
    problems = []
    if source.scale is not None and contradicts(source.scale, pixels):
        problems.append(
            f"its BN statistics belong to input of standard deviation {source.scale:.3g}, pixel convention {_name(pixels)} "
            f"gives {expected_scale(pixels):.3g}: set model.backbone.pixels={source.name}"
        )
    elif source.scale is None and pixels != PIXEL_CONVENTIONS[source.name]:
        problems.append(
            f"{source.evidence} of {source.name} weights, got pixel convention {_name(pixels)}: "
            f"set model.backbone.pixels={source.name}"
        )
    if spec.block == "bottleneck" and stride_in_1x1 != source.stride_in_1x1:
        right, other = _place(source.stride_in_1x1), _place(stride_in_1x1)
        problems.append(
            f"{source.evidence} of {source.name} weights, with a bottleneck's stride in the {right} (if these have it in the "
            f"{other}: `resdet convert --pixels {source.name} --stride {other}` makes a file that says so): "
            f"set model.backbone.stride_in_1x1={str(source.stride_in_1x1).lower()}"
        )
    return problems


def _doubt(file: WeightsFile, spec: BackboneSpec, pixels: PixelConvention, stride_in_1x1: bool, *, said: bool) -> str:
    """The warning of weights that do not show what they want: what was taken, and what measures it."""
    taken = f"pixels {_name(pixels)}{'' if said else ', the default'} ({pixels.describe()})"
    stride = ""
    if spec.block == "bottleneck":
        place = _place(stride_in_1x1)
        taken += f"; stride in the {place} (model.backbone.stride_in_1x1={str(stride_in_1x1).lower()})"
        stride = " --stride 1x1|3x3"
    path = file.path
    return (
        f"{path}: neither a card nor BN statistics nor its name shows what these weights want. Taken: {taken}. With wrong ones "
        f"a network runs and is merely bad: `resdet info --weights {path} --images DIR` measures which are plausible, `resdet "
        f"convert {path} DST.safetensors --pixels NAME{stride}` makes a file that says so"
    )


def _place(stride_in_1x1: bool) -> str:
    return "1x1" if stride_in_1x1 else "3x3"


def _name(pixels: PixelConvention) -> str:
    names = [name for name, known in PIXEL_CONVENTIONS.items() if known == pixels]
    return names[0] if names else str(pixels.to_dict())
