"""The settings of torchvision's FasterRCNN on C4, which its weights file does not hold: a JSON file's, or torchvision's own.

``resdet convert --to torchvision`` writes such a file beside the weights. Under "arguments" are those of torchvision's class.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resdet.errors import ConfigError, DataError
from resdet.files import read_json
from resdet.models.convert.convention import known_convention
from resdet.models.convert.settings import (
    NUMBER,
    PIXELS,
    SIZES,
    WHOLE,
    YES_NO,
    DetectorSettings,
    Kind,
    Setting,
    check_values,
    numbers,
    placed,
    taken,
    values_of,
)
from resdet.models.detection.box_coder import BOX_REG_WEIGHTS
from resdet.models.model_file import ModelCard
from resdet.structures import PixelConvention

_TEXT = Kind(lambda value: isinstance(value, str), "text")
_TEXTS = Kind(lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value), "a list of texts")
# torchvision drops proposals below this, pixels, and has this in its box losses; there is no argument for either
MIN_SIZE, BETA = 1e-3, 1 / 9

SETTINGS: Mapping[str, Setting] = {
    "backbone": Setting("", _TEXT),
    "stride_in_1x1": Setting(False, YES_NO),
    "names": Setting([], _TEXTS),
    "anchors.sizes": Setting([32.0, 64.0, 128.0, 256.0, 512.0], SIZES, ("anchors.sizes",)),
    "anchors.aspect_ratios": Setting([0.5, 1.0, 2.0], SIZES, ("anchors.ratios",)),
    "anchors.rounded": Setting(True, YES_NO, ("anchors.rounded",)),
    "roi_pool.output_size": Setting(14, WHOLE, ("roi.pooled_size",)),
    "roi_pool.sampling_ratio": Setting(2, WHOLE, ("roi.sampling_ratio",)),
    "roi_pool.aligned": Setting(False, YES_NO),
    "arguments.min_size": Setting(800, PIXELS),
    "arguments.max_size": Setting(1333, PIXELS),
    "arguments.image_mean": Setting([0.485, 0.456, 0.406], numbers(3, 3, "3 numbers", positive=False)),
    "arguments.image_std": Setting([0.229, 0.224, 0.225], numbers(3, 3, "3 numbers above 0")),
    "arguments.rpn_pre_nms_top_n_train": Setting(2000, WHOLE, ("rpn.pre_nms_top_n_train",)),
    "arguments.rpn_pre_nms_top_n_test": Setting(1000, WHOLE, ("rpn.pre_nms_top_n_test",)),
    "arguments.rpn_post_nms_top_n_train": Setting(2000, WHOLE, ("rpn.post_nms_top_n_train",)),
    "arguments.rpn_post_nms_top_n_test": Setting(1000, WHOLE, ("rpn.post_nms_top_n_test",)),
    "arguments.rpn_nms_thresh": Setting(0.7, NUMBER, ("rpn.nms_thresh",)),
    "arguments.rpn_fg_iou_thresh": Setting(0.7, NUMBER, ("rpn.fg_iou_thresh",)),
    "arguments.rpn_bg_iou_thresh": Setting(0.3, NUMBER, ("rpn.bg_iou_thresh",)),
    "arguments.rpn_batch_size_per_image": Setting(256, WHOLE, ("rpn.batch_size_per_image",)),
    "arguments.rpn_positive_fraction": Setting(0.5, NUMBER, ("rpn.positive_fraction",)),
    "arguments.box_score_thresh": Setting(0.05, NUMBER, ("test.score_thresh",)),
    "arguments.box_nms_thresh": Setting(0.5, NUMBER, ("test.nms_thresh",)),
    "arguments.box_detections_per_img": Setting(100, WHOLE, ("test.detections_per_image",)),
    "arguments.box_fg_iou_thresh": Setting(0.5, NUMBER, ("roi.fg_iou_thresh",)),
    "arguments.box_bg_iou_thresh": Setting(0.5, NUMBER, ("roi.bg_iou_thresh",)),
    "arguments.box_batch_size_per_image": Setting(512, WHOLE, ("roi.batch_size_per_image",)),
    "arguments.box_positive_fraction": Setting(0.25, NUMBER, ("roi.positive_fraction",)),
    "arguments.bbox_reg_weights": Setting([10.0, 10.0, 5.0, 5.0], numbers(4, 4, "4 numbers above 0")),
}
_NOT_TESTED = ("train", "fg_iou", "bg_iou", "batch_size", "fraction", "image_", "stride", "names", "backbone")


def torchvision_settings(path: Path | None = None) -> DetectorSettings:
    """The settings that a JSON file says; without one those that torchvision's class has by itself, and C4's anchors.

    Raises:
        ConfigError: with each value that is none.
        DataError: the file cannot be read, or is not JSON.
    """
    given = {} if path is None else _read(path)
    values = values_of(SETTINGS, given)
    check_values(SETTINGS, values, path)
    sections = placed(SETTINGS, values)
    sections["rpn"] |= {"min_size": MIN_SIZE, "smooth_l1_beta": BETA}
    sections["roi"] |= {"pooling": "align" if values["roi_pool.aligned"] else "align_v1", "smooth_l1_beta": BETA}
    assumed = {name: setting.default for name, setting in SETTINGS.items() if not any(part in name for part in _NOT_TESTED)}
    return DetectorSettings(
        path,
        sections,
        {"short_side": values["arguments.min_size"], "max_side": values["arguments.max_size"]},
        rpn_weights=(1.0, 1.0, 1.0, 1.0),
        box_weights=values["arguments.bbox_reg_weights"],
        pixels=_pixels(values) if path else None,
        stride_in_1x1=values["stride_in_1x1"] if path else None,
        names=values["names"],
        facts={"backbone": values["backbone"]} if values["backbone"] else {},
        assumed={} if path else assumed,
    )


def settings_beside(weights: Path) -> Path | None:
    """The JSON file of settings that ``resdet convert --to torchvision`` writes beside weights; None where there is none."""
    path = weights.with_suffix(".json")
    try:
        return path if path.is_file() and "arguments" in _read(path) else None
    except (ConfigError, DataError):
        return None


def _read(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict) or "arguments" not in content:
        raise ConfigError(f"{path}: are no settings of a torchvision detector: it has no section 'arguments'")
    return content


def _pixels(values: Mapping[str, Any]) -> PixelConvention:
    mean, std = values["arguments.image_mean"], values["arguments.image_std"]
    known = known_convention([255 * each for each in mean], [255 * each for each in std])
    return known if known and known.order == "RGB" else PixelConvention("RGB", tuple(mean), tuple(std), 1)


def torchvision_values(config: Mapping[str, Any], card: ModelCard, pixels: PixelConvention) -> dict[str, Any]:
    """The settings of a detector of resdet's, by their names in the JSON file.

    Args:
        config: a whole detector's config as plain values.
        card: of its file.
        pixels: what its tensors want, RGB.
    """
    return {
        **taken(SETTINGS, config),
        "stride_in_1x1": config["backbone"]["stride_in_1x1"],
        "names": list(card.names),
        "roi_pool.aligned": config["roi"]["pooling"] == "align",
        "arguments.min_size": card.test["short_side"],
        "arguments.max_size": card.test["max_side"],
        "arguments.image_mean": [value / pixels.range for value in pixels.mean],
        "arguments.image_std": [value / pixels.range for value in pixels.std],
        "arguments.bbox_reg_weights": list(BOX_REG_WEIGHTS),
    }
