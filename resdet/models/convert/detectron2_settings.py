"""The settings of a Detectron2 detector, which its weights file does not hold: those of a config.yaml, or Detectron2's own."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resdet.errors import ConfigError, DataError
from resdet.files import read_yaml
from resdet.models.convert.convention import known_convention
from resdet.models.convert.detectron2_names import OF_TESTING, OTHER_HEADS, POOLINGS, SETTINGS
from resdet.models.convert.settings import DetectorSettings
from resdet.structures import PixelConvention
from resdet.wording import shown_briefly

CONFIG = "config.yaml"
_BASE = "Base-RCNN-C4.yaml"  # the one base in which nothing of a model differs from Detectron2's own values
_LONGEST = 1000  # letters of a value that is a Python literal
_ABSENT = object()


def detectron2_settings(path: Path | None = None, *, boxes_only: bool = False, published: bool = False) -> DetectorSettings:
    """The settings that a config.yaml of Detectron2's says; without one those that Detectron2 has by itself.

    Args:
        path: the file; what it does not name is as Detectron2 has it by itself.
        boxes_only: whether it may have a mask or a keypoint head.
        published: whether the detector is one of Detectron2's own, so that nothing is assumed without a file.

    Raises:
        ConfigError: naming each setting that resdet's detectors do not have, and each value that is none.
        DataError: the file cannot be read, or is not YAML.
    """
    given = {} if path is None else _read(path)
    values = {name: _value(given, name, setting.default) for name, setting in SETTINGS.items()}
    problems = [
        f"{path}: {name} must be {setting.kind.words}, got {shown_briefly(values[name])}"
        for name, setting in SETTINGS.items()
        if not setting.kind.fits(values[name]) and not (boxes_only and name in OTHER_HEADS)
    ]
    if problems:
        raise ConfigError(problems)
    facts = {
        "classes": values["MODEL.ROI_HEADS.NUM_CLASSES"],
        "class_agnostic": values["MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG"],
        "depth": values["MODEL.RESNETS.DEPTH"],
    }
    return DetectorSettings(
        path,
        _architecture(values),
        {"short_side": values["INPUT.MIN_SIZE_TEST"], "max_side": values["INPUT.MAX_SIZE_TEST"]},
        values["MODEL.RPN.BBOX_REG_WEIGHTS"],
        values["MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS"],
        pixels=_pixels(values) if path else None,
        stride_in_1x1=values["MODEL.RESNETS.STRIDE_IN_1X1"] if path else None,
        facts=facts if path else {},
        assumed={} if path or published else {name: setting.default for name, setting in OF_TESTING.items()},
    )


def config_beside(weights: Path) -> Path | None:
    """Detectron2's config.yaml in the folder of a weights file; None where there is none, or another program's."""
    path = weights.parent / CONFIG
    try:
        return path if path.is_file() and "MODEL" in _mapping(path) else None
    except DataError:
        return None


def _read(path: Path) -> dict[str, Any]:
    content = _mapping(path)
    if "MODEL" not in content:
        raise ConfigError(f"{path}: is no config of a Detectron2 model: it has no section MODEL (LazyConfig is not read)")
    base = content.get("_BASE_", _BASE)
    if not isinstance(base, str) or base.rpartition("/")[2] != _BASE:
        raise ConfigError(
            f"{path}: its '_BASE_' {shown_briefly(base)} is not read: give the whole config, which Detectron2 writes into the "
            f"folder of a training as {CONFIG}"
        )
    return content


def _mapping(path: Path) -> dict[str, Any]:
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: must be a mapping of sections, got {type(content).__name__}")
    return content


def _value(given: Mapping[str, Any], name: str, default: Any) -> Any:
    """What a config says under a name, as Detectron2 understands it: text may be a Python literal."""
    value: Any = given
    for part in name.split("."):
        value = value.get(part, _ABSENT) if isinstance(value, Mapping) else _ABSENT
    if value is _ABSENT:
        return default
    if isinstance(value, str) and not isinstance(default, str) and len(value) <= _LONGEST:
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return value
    value = list(value) if isinstance(value, tuple) else value
    if name.startswith("MODEL.ANCHOR_GENERATOR.") and isinstance(value, list) and len(value) == 1:
        value = list(value[0]) if isinstance(value[0], (list, tuple)) else value  # of the one map
    return value


def _architecture(values: Mapping[str, Any]) -> dict[str, Any]:
    sections: dict[str, Any] = {"roi": {"pooling": POOLINGS[values["MODEL.ROI_BOX_HEAD.POOLER_TYPE"]]}}
    for name, setting in SETTINGS.items():
        value, places = values[name], setting.places
        # a list of several places is one value for each, or one for all
        each = [value] if len(places) < 2 else (value * len(places))[: len(places)]
        for place, one in zip(places, each, strict=False):
            section, _, option = place.rpartition(".")
            (sections.setdefault(section, {}) if section else sections)[option] = one
    return sections


def _pixels(values: Mapping[str, Any]) -> PixelConvention:
    order, mean, std = values["INPUT.FORMAT"], values["MODEL.PIXEL_MEAN"], values["MODEL.PIXEL_STD"]
    known = known_convention(mean, std)
    return known if known and known.order == order else PixelConvention(order, tuple(mean), tuple(std), 255)
