"""Small localizers with random weights whose scores and boxes vary, and their model files."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch

from resdet.config import config_from_dict, config_to_dict
from resdet.config.localization import LocalizerConfig
from resdet.models.build import build_localizer
from resdet.models.localization.per_class_rpn import PerClassRPN
from resdet.models.localization.rcnn import RegionLocalizer
from resdet.models.model_file import ModelCard, write_model

NAMES = ("cat", "dog", "emu")
SMALL: dict[str, Any] = {
    "backbone": {"name": "resnet18", "width": 8},
    "anchors": {"sizes": [32, 64], "ratios": [0.5, 1]},
    "rcnn": {"side": 64},
}


def localizer_config(**changes: Any) -> LocalizerConfig:
    return config_from_dict(LocalizerConfig, {**SMALL, **changes})


def tiny_localizer(seed: int = 0, names: tuple[str, ...] = NAMES, **changes: Any) -> Any:
    """A localizer in eval mode; ``changes`` are options and sections of its config."""
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="frozen BN has mean 0")
        model = build_localizer(localizer_config(**changes), names).eval()
    rpn = model.rpn if isinstance(model, RegionLocalizer) else model
    heads = [(rpn.body, rpn.head)] + ([(model.regions.body, model.regions.head)] if isinstance(model, RegionLocalizer) else [])
    with torch.no_grad():
        for body, head in heads:  # spread what the untrained layers say over a range where nothing saturates
            features = body(torch.randn(2, 3, 64, 96))
            features = features if head is rpn.head else features.mean((2, 3), keepdim=True)
            for own, common in ((head.cls, head.common_cls), (head.reg, head.common_reg)):
                torch.nn.init.normal_(own.weight)  # an untrained one is zero: all classes say the same
                common.weight.zero_()
            logits, deltas = head(features)
            head.cls.weight.mul_(1.5 / logits.std())
            head.reg.weight.mul_(0.3 / deltas.std())
    return model


def tiny_rpn(seed: int = 0, names: tuple[str, ...] = NAMES, **changes: Any) -> PerClassRPN:
    model = tiny_localizer(seed, names, **changes)
    assert isinstance(model, PerClassRPN)
    return model


def written(path: Path, model: PerClassRPN | RegionLocalizer, crop: int = 64, **changes: Any) -> Path:
    """``model`` as a model file, with the config that ``tiny_localizer(**changes)`` was made of."""
    card = ModelCard(
        "localization", config_to_dict(localizer_config(**changes)), list(model.names), model.pixels.to_dict(), {"crop": crop}
    )
    write_model(path, model.state_dict(), card)
    return path
