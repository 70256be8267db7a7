"""Small detectors with random weights whose scores and boxes vary, small pictures, and comparisons."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch

from resdet.config import config_from_dict, config_to_dict
from resdet.config.schema import DetectorConfig
from resdet.models.build import build_detector
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.model_file import ModelCard, write_model
from resdet.structures import Detections

NAMES = ["cat", "dog", "emu"]
SMALL = {
    "backbone": {"name": "resnet18", "width": 8},
    "anchors": {"sizes": [16, 32]},
    "rpn": {"pre_nms_top_n_test": 100, "post_nms_top_n_test": 20},
}


def tiny_config(changes: dict[str, dict[str, Any]]) -> DetectorConfig:
    sections = {name: {**SMALL.get(name, {}), **changes.get(name, {})} for name in {**SMALL, **changes}}
    return config_from_dict(DetectorConfig, sections)


def tiny_detector(seed: int = 0, names: list[str] | None = None, **changes: dict[str, Any]) -> FasterRCNN:
    """A detector in eval mode; ``changes`` are sections of its config."""
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="frozen BN has mean 0")
        model = build_detector(tiny_config(changes), names or NAMES).eval()
    return spread_outputs(model)


def short_run(tiny_coco: Any) -> dict[str, Any]:
    """Changes to the run file ``coco_r50``: eight steps of a tiny detector from scratch, without evaluation."""
    return {
        "from_scratch": True,
        "model.backbone.name": "resnet18",
        "model.backbone.width": 4,
        "model.backbone.weights": "",
        "model.freeze_at": 0,
        "model.anchors.sizes": [16, 32],
        "data.train": [{"format": "coco", "root": str(tiny_coco.images), "annotations": str(tiny_coco.annotations)}],
        "data.short_side": [64],
        "data.max_side": 96,
        "data.val.root": "",
        "data.val.annotations": "",
        "data.workers": 0,
        "schedule.iterations": 8,
        "schedule.milestones": [],
        "schedule.warmup_iterations": 1,
        "run.batch": 2,
    }


@torch.no_grad()
def spread_outputs(model: FasterRCNN) -> FasterRCNN:
    """``model`` itself; what its untrained output layers say is spread over a range where nothing saturates."""
    corner = torch.rand(50, 2) * 50
    regions = torch.cat([corner, corner + 6 + torch.rand(50, 2) * 60], dim=1)
    features = model.trunk(model.pixels.normalize(picture(7, 96, 128))[None])
    logits, deltas = model.rpn.head(features)
    model.rpn.head.objectness.weight.mul_(1.5 / logits.std())
    model.rpn.head.deltas.weight.mul_(0.2 / deltas.std())
    logits, deltas = model.roi_heads(features, [regions], [(96, 128)])
    predictor = model.roi_heads.predictor
    scale = 1.5 / (logits - logits.mean(0)).std()
    predictor.cls_score.bias.copy_((predictor.cls_score.bias - logits.mean(0)) * scale)
    predictor.cls_score.weight.mul_(scale)
    predictor.bbox_pred.weight.mul_(1.0 / deltas.std())
    return model


def written(path: Path, model: FasterRCNN, sizes: tuple[int, int] = (64, 96), **changes: dict[str, Any]) -> Path:
    """``model`` as a model file, with the config that ``tiny_detector(**changes)`` was made of."""
    architecture = config_to_dict(tiny_config(changes))
    test = {"short_side": sizes[0], "max_side": sizes[1]}
    write_model(path, model.state_dict(), ModelCard("detection", architecture, list(model.names), model.pixels.to_dict(), test))
    return path


def picture(seed: int = 0, height: int = 64, width: int = 96) -> torch.Tensor:
    """Coloured noise with some structure, uint8 (3, height, width)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(256, (1, 3, 8, 8), generator=generator).float()
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0].to(torch.uint8)


def same(found: Detections, other: Detections) -> bool:
    """Whether two detections are equal bit for bit."""
    pairs = ((found.boxes, other.boxes), (found.scores, other.scores), (found.labels, other.labels))
    return found.size == other.size and all(torch.equal(a, b) for a, b in pairs)
