"""The anchors that a Detectron2 detector was trained with."""

from __future__ import annotations

import torch

from resdet.errors import ConfigError
from resdet.models.backbones.weights.read import WeightsFile
from resdet.models.detection.anchors import cell_anchors

SIZES, RATIOS = (32.0, 64.0, 128.0, 256.0, 512.0), (0.5, 1.0, 2.0)


def check_anchors(file: WeightsFile) -> None:
    """Check that a detector has the anchors of Detectron2's C4 models, 32² … 512² with three ratios.

    Raises:
        ConfigError: another number of them, or others where the file holds them.
    """
    objectness = file.state.get("proposal_generator.rpn_head.objectness_logits.weight")
    wanted = cell_anchors(SIZES, RATIOS)
    if objectness is not None and objectness.ndim and len(objectness) != len(wanted):
        raise ConfigError(f"{file.path}: {len(objectness)} anchors a position; only the {len(wanted)} of C4 models are known")
    for key, value in file.state.items():
        if ".cell_anchors." in key and not (value.shape == wanted.shape and torch.allclose(value.float(), wanted, atol=0.01)):
            got = value.flatten()[:12].tolist()
            raise ConfigError(f"{file.path}: {key} must be C4's anchors, sizes {SIZES} with ratios {RATIOS}, got {got} …")
