"""The boxes around shapes that are drawn in other ways. Boxes are ``x, y, width, height`` in the units given."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from resdet.data.formats.exports.pictures import Box


def around(points: Iterable[Sequence[float]]) -> Box:
    """The box around points (x, y); a ValueError where there is none."""
    xs, ys = zip(*((float(x), float(y)) for x, y in points), strict=True)
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def around_ellipse(x: float, y: float, x_radius: float, y_radius: float, degrees: float = 0) -> Box:
    """The box around an ellipse by its centre and radii, turned clockwise."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    width, height = math.hypot(x_radius * cosine, y_radius * sine), math.hypot(x_radius * sine, y_radius * cosine)
    return x - width, y - height, 2 * width, 2 * height


def around_turned(box: Box, degrees: float, pivot: tuple[float, float]) -> Box:
    """The box around a box that is turned clockwise about ``pivot``; pixels, for only there do angles keep."""
    x, y, width, height = box
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = [(x, y), (x + width, y), (x, y + height), (x + width, y + height)]
    away = [(a - pivot[0], b - pivot[1]) for a, b in corners]
    return around((pivot[0] + a * cosine - b * sine, pivot[1] + a * sine + b * cosine) for a, b in away)
