"""The settings of a Detectron2 detector, which its weights file does not hold: those of a config.yaml, or Detectron2's own."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resdet.errors import ConfigError, DataError
from resdet.models.backbones.spec import BackboneSpec
from resdet.models.convert.convention import known_convention
from resdet.models.convert.detectron2_names import FIXED, OF_TESTING, OTHER_HEADS, POOLINGS, SETTINGS
from resdet.models.convert.settings import DetectorSettings, check_values, placed, taken, values_of
from resdet.models.model_file import ModelCard
from resdet.structures import PixelConvention
from resdet.wording import shown_briefly
from resdet.yaml_files import read_yaml

CONFIG = "config.yaml"
_SECTIONS = "of sections"
_BASE = "Base-RCNN-C4.yaml"  # the one base in which nothing of a model differs from Detectron2's own values


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
    values = values_of(SETTINGS, given)
    check_values(SETTINGS, values, path, OTHER_HEADS if boxes_only else ())
    facts = {
        "classes": values["MODEL.ROI_HEADS.NUM_CLASSES"],
        "class_agnostic": values["MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG"],
        "backbone": f"resnet{values['MODEL.RESNETS.DEPTH']}",
    }
    sections = placed(SETTINGS, values)
    return DetectorSettings(
        path,
        {**sections, "roi": {**sections["roi"], "pooling": POOLINGS[values["MODEL.ROI_BOX_HEAD.POOLER_TYPE"]]}},
        {"short_side": values["INPUT.MIN_SIZE_TEST"], "max_side": values["INPUT.MAX_SIZE_TEST"]},
        values["MODEL.RPN.BBOX_REG_WEIGHTS"],
        values["MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS"],
        pixels=_pixels(values) if path else None,
        stride_in_1x1=values["MODEL.RESNETS.STRIDE_IN_1X1"] if path else None,
        facts=facts if path else {},
        assumed={} if path or published else {name: setting.default for name, setting in OF_TESTING.items()},
    )


def config_beside(weights: Path) -> Path | None:
    """Detectron2's config.yaml in the folder of a weights file; None, with a warning, where another program's lies there."""
    path = weights.parent / CONFIG
    if not path.is_file():
        return None
    try:
        _read_sections(path)
    except (ConfigError, DataError) as error:
        warnings.warn(f"not read, though it lies beside {weights.name}: {error}", stacklevel=2)
        return None
    return path


def _read_sections(path: Path) -> dict[str, Any]:
    content = read_yaml(path, _SECTIONS)
    if "MODEL" not in content:
        raise ConfigError(f"{path}: is no config of a Detectron2 model: it has no section MODEL (LazyConfig is not read)")
    return content


def _read(path: Path) -> dict[str, Any]:
    content = _read_sections(path)
    base = content.get("_BASE_", _BASE)
    if not isinstance(base, str) or base.rpartition("/")[2] != _BASE:
        raise ConfigError(
            f"{path}: its '_BASE_' {shown_briefly(base)} is not read: give the whole config, which Detectron2 writes into the "
            f"folder of a training as {CONFIG}"
        )
    return content


def _pixels(values: Mapping[str, Any]) -> PixelConvention:
    order, mean, std = values["INPUT.FORMAT"], values["MODEL.PIXEL_MEAN"], values["MODEL.PIXEL_STD"]
    known = known_convention(mean, std)
    return known if known and known.order == order else PixelConvention(order, tuple(mean), tuple(std), 255)


def detectron2_values(
    config: Mapping[str, Any], card: ModelCard, spec: BackboneSpec, pixels: PixelConvention
) -> dict[str, Any]:
    """The settings of a detector of resdet's, by Detectron2's names.

    Args:
        config: a whole detector's config as plain values.
        card: of its file.
        spec: its backbone.
        pixels: what its tensors want.
    """
    values = taken(SETTINGS, config)
    for section in ("MODEL.RPN", "MODEL.ROI_HEADS"):
        low, high = values[f"{section}.IOU_THRESHOLDS"]
        values[f"{section}.IOU_THRESHOLDS"] = [low] if low == high else [low, high]
        values[f"{section}.IOU_LABELS"] = [0, 1] if low == high else [0, -1, 1]
    for name in ("SIZES", "ASPECT_RATIOS"):
        values[f"MODEL.ANCHOR_GENERATOR.{name}"] = [values[f"MODEL.ANCHOR_GENERATOR.{name}"]]
    return {
        **values,
        **{name: setting.default for name, setting in FIXED.items()},
        "INPUT.FORMAT": pixels.order,
        "INPUT.MIN_SIZE_TEST": card.test["short_side"],
        "INPUT.MAX_SIZE_TEST": card.test["max_side"],
        "MODEL.PIXEL_MEAN": [value * 255 / pixels.range for value in pixels.mean],
        "MODEL.PIXEL_STD": [value * 255 / pixels.range for value in pixels.std],
        "MODEL.PROPOSAL_GENERATOR.MIN_SIZE": int(config["rpn"]["min_size"]),
        "MODEL.RESNETS.DEPTH": int(spec.name.removeprefix("resnet")),
        "MODEL.RESNETS.STRIDE_IN_1X1": config["backbone"]["stride_in_1x1"],
        "MODEL.RESNETS.STEM_OUT_CHANNELS": spec.width,
        "MODEL.RESNETS.RES2_OUT_CHANNELS": 4 * spec.width,
        "MODEL.RESNETS.WIDTH_PER_GROUP": spec.width,
        "MODEL.ROI_HEADS.NUM_CLASSES": len(card.names),
        "MODEL.ROI_BOX_HEAD.POOLER_TYPE": next(name for name, own in POOLINGS.items() if own == config["roi"]["pooling"]),
    }
