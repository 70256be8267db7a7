"""The tensors of torchvision's FasterRCNN on C4, and resdet's: names, and the order of rows.

Torchvision's class takes any backbone and any head, whose names are their writer's: a ResNet up to layer3 as ``backbone`` (its
parts by name, also as ``backbone.body``, or in an ``nn.Sequential``), and layer4 anywhere in ``roi_heads.box_head``.

Rows: anchors of a position are ratio by ratio, resdet's size by size; the background is the first class, with a box that
nothing reads, resdet's is the last, without one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from torch import Tensor
from torch.nn import functional as F

from resdet.models.backbones.weights.wrappings import CONV5, IN_SEQUENCE

_HEADS = {
    "rpn.head.conv": "rpn.head.conv",
    "rpn.head.conv.0.0": "rpn.head.conv",
    "rpn.head.cls_logits": "rpn.head.objectness",
    "rpn.head.bbox_pred": "rpn.head.deltas",
    "roi_heads.box_predictor.cls_score": "roi_heads.predictor.cls_score",
    "roi_heads.box_predictor.bbox_pred": "roi_heads.predictor.bbox_pred",
}
_TRUNK = re.compile(r"backbone\.(?:body\.)?(?P<part>conv1|bn1|layer[123]|[01456])\.(?P<rest>.+)")


def from_torchvision(state: Mapping[str, Tensor], sizes: int, ratios: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The residual network under torchvision's names of a ResNet, and the other layers as resdet has them.

    Args:
        state: of the detector; what has no place in a C4 detector keeps its name in the network.
        sizes: of the anchors, their number; where the rows are not of so many anchors they stay as they are.
        ratios: of the anchors, their number.
    """
    conv5 = next(found[1] for found in map(CONV5.fullmatch, state) if found)
    network, heads = {}, {}
    for key, value in state.items():
        layer, _, kind = key.rpartition(".")
        trunk = _TRUNK.fullmatch(key)
        if layer in _HEADS:
            heads[f"{_HEADS[layer]}.{kind}"] = value
        elif trunk:
            network[f"{IN_SEQUENCE.get(trunk['part'], trunk['part'])}.{trunk['rest']}"] = value
        else:
            network[f"layer4.{key.removeprefix(conv5)}" if key.startswith(conv5) else key] = value
    for kind in ("weight", "bias"):
        _change(heads, f"rpn.head.objectness.{kind}", lambda rows: _reordered(rows, ratios, sizes, 1))
        _change(heads, f"rpn.head.deltas.{kind}", lambda rows: _reordered(rows, ratios, sizes, 4))
        _change(heads, f"roi_heads.predictor.cls_score.{kind}", lambda rows: rows.roll(-1, 0))
        _change(heads, f"roi_heads.predictor.bbox_pred.{kind}", lambda rows: rows[4:] if len(rows) > 4 else rows)
    return network, heads


def to_torchvision(state: Mapping[str, Tensor], sizes: int, ratios: int) -> dict[str, Tensor]:
    """A detector's tensors under torchvision's names: its parts by name, layer4 first in a box head that is a sequence."""
    back = {ours: theirs for theirs, ours in _HEADS.items()}  # of the two names of the RPN's convolution the newer
    renamed = {}
    for key, value in state.items():
        layer, _, kind = key.rpartition(".")
        if layer in back:
            renamed[f"{back[layer]}.{kind}"] = value
        elif key.startswith("trunk."):
            renamed[f"backbone.{key.removeprefix('trunk.')}"] = value
        else:
            renamed[f"roi_heads.box_head.0.{key.removeprefix('roi_heads.res5.layer4.')}"] = value
    for kind in ("weight", "bias"):
        _change(renamed, f"rpn.head.cls_logits.{kind}", lambda rows: _reordered(rows, sizes, ratios, 1))
        _change(renamed, f"rpn.head.bbox_pred.{kind}", lambda rows: _reordered(rows, sizes, ratios, 4))
        _change(renamed, f"roi_heads.box_predictor.cls_score.{kind}", lambda rows: rows.roll(1, 0))
        _change(
            renamed, f"roi_heads.box_predictor.bbox_pred.{kind}", lambda rows: F.pad(rows, (*(0, 0) * (rows.ndim - 1), 4, 0))
        )
    return renamed


def _change(state: dict[str, Tensor], key: str, change: Callable[[Tensor], Tensor]) -> None:
    if key in state:
        state[key] = change(state[key])


def _reordered(rows: Tensor, outer: int, inner: int, each: int) -> Tensor:
    """Rows of ``outer`` × ``inner`` anchors, ``each`` of an anchor, with the two sides exchanged."""
    if len(rows) != outer * inner * each:
        return rows
    return rows.reshape(outer, inner, each, *rows.shape[1:]).transpose(0, 1).reshape(rows.shape).contiguous()
