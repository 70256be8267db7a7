"""What must be known to run a converted detector beside its tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resdet.structures import PixelConvention


@dataclass(frozen=True)
class DetectorSettings:
    """The settings of another toolkit's detector.

    Attributes:
        path: the file that says them; None: they are what the toolkit has by itself.
        architecture: options of a detector's config, without the backbone's name.
        test: short_side and max_side, pixels.
        rpn_weights, box_weights: factors of (dx, dy, dw, dh) in the deltas of anchors and of regions.
        pixels: the pixel convention; None: unknown.
        stride_in_1x1: where bottlenecks have their stride; None: unknown.
        facts: what the tensors must agree with: "classes", "class_agnostic", "depth"; empty: unknown.
        assumed: what no file says and detections depend on, by the toolkit's own names.
    """

    path: Path | None
    architecture: Mapping[str, Any]
    test: Mapping[str, int]
    rpn_weights: Sequence[float]
    box_weights: Sequence[float]
    pixels: PixelConvention | None = None
    stride_in_1x1: bool | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    assumed: Mapping[str, Any] = field(default_factory=dict)
