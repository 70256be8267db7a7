"""Boxes as deltas of reference boxes (R-CNN's parametrization; Faster R-CNN, equation 2).

``dx = (x - xa) / wa, dy = (y - ya) / ha, dw = log(w / wa), dh = log(h / ha)``, each times its weight, where (x, y) is the
centre, (w, h) the size, and ``a`` marks the reference (an anchor or a proposal).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# A box may grow at most to 1000 / 16 of its reference: keeps exp() finite, as everywhere in the field.
MAX_LOG_SCALE = math.log(1000 / 16)
# Of region classifiers: they bring the deltas of good proposals near unit variance (Fast R-CNN, section 2.3).
BOX_REG_WEIGHTS = (10.0, 10.0, 5.0, 5.0)


@dataclass(frozen=True)
class BoxCoder:
    """Encodes boxes against references and decodes deltas.

    Attributes:
        box_reg_weights: factors of (dx, dy, dw, dh); (1, 1, 1, 1) in the RPN, (10, 10, 5, 5) in the region classifier.
    """

    box_reg_weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)

    def encode(self, boxes: Tensor, references: Tensor) -> Tensor:
        """Deltas (N, 4) that carry ``references`` (N, 4) to ``boxes`` (N, 4), both ``xyxy`` with positive sides."""
        x, y, w, h = _center_size(boxes)
        xa, ya, wa, ha = _center_size(references)
        deltas = (x - xa) / wa, (y - ya) / ha, torch.log(w / wa), torch.log(h / ha)
        # numbers in place of a tensor, for which a device's host would wait
        return torch.stack([each * weight for each, weight in zip(deltas, self.box_reg_weights, strict=True)], dim=-1)

    def decode(self, deltas: Tensor, references: Tensor) -> Tensor:
        """Boxes ``xyxy`` float32 of deltas (..., 4) on references (..., 4), which broadcast: (N, K, 4) on (N, 1, 4)."""
        parts = deltas.float().unbind(-1)
        dx, dy, dw, dh = (each / weight for each, weight in zip(parts, self.box_reg_weights, strict=True))
        xa, ya, wa, ha = _center_size(references.float())
        x, y = dx * wa + xa, dy * ha + ya
        half_w = torch.exp(dw.clamp(max=MAX_LOG_SCALE)) * wa * 0.5
        half_h = torch.exp(dh.clamp(max=MAX_LOG_SCALE)) * ha * 0.5
        return torch.stack([x - half_w, y - half_h, x + half_w, y + half_h], dim=-1)


def _center_size(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x1, y1, x2, y2 = boxes.unbind(-1)
    w, h = x2 - x1, y2 - y1
    return x1 + 0.5 * w, y1 + 0.5 * h, w, h
