"""The layers of another toolkit's detector that are no part of a residual network, as resdet's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from resdet.errors import ConfigError
from resdet.models.backbones.weights.read import WeightsFile
from resdet.models.convert.settings import DetectorSettings
from resdet.models.detection.anchors import cell_anchors
from resdet.models.detection.box_coder import BOX_REG_WEIGHTS, BoxCoder

_PREDICTOR = "roi_heads.predictor"


def fitted_heads(file: WeightsFile, heads: Mapping[str, Tensor], settings: DetectorSettings) -> tuple[dict[str, Tensor], int]:
    """The layers with a box for each class, and deltas times resdet's factors; and K.

    A box that all classes share becomes one of each, which is the same. Deltas are divided by their factors before anything
    else is done with them, so that other factors can stand in the layer's weights.

    Args:
        file: where they come from, for messages.
        heads: under resdet's names, the background last.
        settings: of the detector.

    Raises:
        ConfigError: the box predictor has neither 4 K deltas nor 4, or is not what the settings say.
    """
    fitted = dict(heads)
    count, shared = _classes(file, heads)
    found = {"classes": count, "class_agnostic": shared}
    # of one class the box is its own, and shared
    if any(settings.facts.get(key, value) != value for key, value in found.items() if count > 1 or key == "classes"):
        raise ConfigError(f"{settings.path}: says {_words(settings.facts)}, {file.path} has {_words(found)}: of another model?")
    for kind in ("weight", "bias"):
        key, rpn = f"{_PREDICTOR}.bbox_pred.{kind}", f"rpn.head.deltas.{kind}"
        if key in fitted:
            every = fitted[key].repeat(count if shared else 1, *[1] * (fitted[key].ndim - 1))
            fitted[key] = _scaled(every, settings.box_weights, BOX_REG_WEIGHTS)
        if rpn in fitted:
            fitted[rpn] = _scaled(fitted[rpn], settings.rpn_weights, BoxCoder.box_reg_weights)
    return fitted, count


def check_anchors(file: WeightsFile, heads: Mapping[str, Tensor], settings: DetectorSettings) -> None:
    """Check that a detector has as many anchors as its settings say, and the same where the file holds them.

    Raises:
        ConfigError: another number of them, or others.
    """
    anchors = settings.architecture["anchors"]
    wanted = cell_anchors(anchors["sizes"], anchors["ratios"], rounded=anchors.get("rounded", False))
    sizes = f"sizes {anchors['sizes']} with ratios {anchors['ratios']}"
    objectness = heads.get("rpn.head.objectness.weight")
    if objectness is not None and len(objectness) != len(wanted):
        by = f"{settings.path} says" if settings.path else "C4 models have, and no config.yaml says which ones they are"
        raise ConfigError(f"{file.path}: {len(objectness)} anchors a position instead of the {len(wanted)} that {by}")
    for key, value in file.state.items():
        if ".cell_anchors." in key and not (value.shape == wanted.shape and torch.allclose(value.float(), wanted, atol=0.01)):
            raise ConfigError(f"{file.path}: {key} must be {sizes}, got {value.flatten()[:12].tolist()} …")


def _classes(file: WeightsFile, heads: Mapping[str, Tensor]) -> tuple[int, bool]:
    """K, and whether all classes share a box."""
    scores, deltas = (heads.get(f"{_PREDICTOR}.{layer}.weight") for layer in ("cls_score", "bbox_pred"))
    got = [None if weight is None else len(weight) for weight in (scores, deltas)]
    if scores is None or deltas is None or len(scores) < 2 or len(deltas) not in (4, 4 * (len(scores) - 1)):
        raise ConfigError(
            f"{file.path}: its box predictor must have K + 1 scores and 4 K deltas, or 4, got {got[0]} and {got[1]}"
        )
    return len(scores) - 1, len(deltas) == 4


def _words(facts: Mapping[str, object]) -> str:
    return f"{facts['classes']} classes with {'one box for all' if facts['class_agnostic'] else 'a box for each'}"


def _scaled(rows: Tensor, theirs: Sequence[float], ours: Sequence[float]) -> Tensor:
    """Rows (4 n, …) of dx, dy, dw, dh in turn, from one kind of deltas to the other."""
    if tuple(theirs) == tuple(ours) or len(rows) % 4:
        return rows
    factors = torch.tensor([own / other for own, other in zip(ours, theirs, strict=True)], dtype=torch.float64)
    return (rows.double() * factors.repeat(len(rows) // 4).view(-1, *[1] * (rows.ndim - 1))).to(rows.dtype)
