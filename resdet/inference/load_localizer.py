"""From configs and model files to a localizer that is ready to run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from resdet.config.localization import LocalizerConfig, LocalizerTestConfig
from resdet.errors import ConfigError
from resdet.inference.exported.networks import ExportedLocalizer
from resdet.inference.kinds import card_sizes
from resdet.inference.localizer import Localizer
from resdet.inference.localizer_views import LocalizerViews
from resdet.models.build import load_localizer
from resdet.models.localization.per_class_rpn import PerClassRPN
from resdet.models.localization.rcnn import RegionLocalizer
from resdet.models.model_file import read_card


def make_localizer(
    models: Sequence[PerClassRPN | RegionLocalizer | ExportedLocalizer], test: LocalizerTestConfig, crop: int
) -> Localizer:
    """Networks, tested as a config says; ``crop`` is the side of the square that they were trained on, pixels.

    Raises:
        ConfigError: networks of different stages or classes, options out of range.
    """
    return Localizer(
        *models,
        views=LocalizerViews(test.views, tuple(test.short_sides), crop),
        proposals=test.proposals,
        nms_thresh=test.nms_thresh,
        vote_iou=test.vote_iou,
    )


def load_localizers(
    paths: Sequence[str | Path], device: torch.device, *, config: LocalizerConfig | None = None, crop: int | None = None
) -> Localizer:
    """The localizer of one model file, or an ensemble of several.

    Args:
        paths: files that `train-loc` wrote, of one stage and the same classes.
        device: where they run.
        config: what their test is, and where there is one file the network that it must hold; the first file's own when None.
        crop: side of the square of ``views`` center, pixels; as the first file says when None.

    Raises:
        ConfigError: no such file, one of another task, stage, network or classes.
        DataError: a file that cannot be read.
    """
    loaded = [load_localizer(path, config if len(paths) == 1 else None) for path in paths]
    side = _trained_crop(paths[0]) if crop is None else crop
    try:
        return make_localizer([model.to(device) for model, _ in loaded], (config or loaded[0][1]).test, side)
    except ConfigError as error:
        raise ConfigError([f"{', '.join(map(str, paths))}: {problem}" for problem in error.problems]) from error


def _trained_crop(path: str | Path) -> int:
    return card_sizes(path, read_card(path), "crop")["crop"]
