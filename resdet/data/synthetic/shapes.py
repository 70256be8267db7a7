"""Drawing scenes of textured shapes on cluttered ground, with the true box of what is visible of each.

Everything random comes from the generator passed in, so a scene is a function of its seed. Coordinates are (x, y) pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from resdet.data.synthetic.textures import background, texture

Points = NDArray[np.float64]
Pixels = NDArray[np.uint8]

_SUBPIXEL_BITS = 6
_OVERSAMPLING = 4
# an object of which a smaller share can be seen is no object any more
_LEAST_VISIBLE = 0.4
_SMALLEST_SIDE, _LARGEST_SIDE = 1 / 16, 1 / 2
_GROUND = -1


@dataclass(frozen=True)
class SceneObject:
    """What can be seen of one object, or of a crowd.

    Attributes:
        label: index into ``CLASS_NAMES``.
        box: x, y, width, height: the tight box of the visible pixels.
        area: visible pixels.
        crowd: whether it is a region of many objects of the class, too small to be marked one by one.
    """

    label: int
    box: tuple[int, int, int, int]
    area: int
    crowd: bool = False


def _circle(radius: float, count: int, start: float = 0.0, stop: float = 2 * np.pi) -> Points:
    angles = np.linspace(start, stop, count, endpoint=stop - start < 2 * np.pi)
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _fixed_point(points: Points) -> NDArray[np.int32]:
    """Points in OpenCV's fixed-point coordinates, whose origin is the centre of the first pixel."""
    fixed: NDArray[np.int32] = np.round((points - 0.5) * 2**_SUBPIXEL_BITS).astype(np.int32)
    return fixed


def _star() -> Points:
    points = _circle(1.0, 10, -np.pi / 2, 1.5 * np.pi)
    points[1::2] *= 0.42
    return points


def _crescent() -> Points:
    outer = _circle(1.0, 40, 0.65, 2 * np.pi - 0.65)
    tip_x, tip_y = outer[0]
    centre = 0.62
    radius = float(np.hypot(tip_x - centre, tip_y))
    angle = float(np.arctan2(tip_y, tip_x - centre))
    inner = _circle(radius, 30, angle, 2 * np.pi - angle) + np.array([centre, 0])
    return np.concatenate([outer, inner[::-1]])


_BAR = 0.36
_OUTLINES: dict[str, list[Points]] = {
    "disk": [_circle(1.0, 48)],
    "ring": [_circle(1.0, 48), _circle(0.55, 36)],
    "square": [np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], dtype=np.float64)],
    "triangle": [_circle(1.0, 3, -np.pi / 2, 1.5 * np.pi)],
    "star": [_star()],
    "cross": [
        np.array(
            [
                *[(-_BAR, -1), (_BAR, -1), (_BAR, -_BAR), (1, -_BAR), (1, _BAR), (_BAR, _BAR)],
                *[(_BAR, 1), (-_BAR, 1), (-_BAR, _BAR), (-1, _BAR), (-1, -_BAR), (-_BAR, -_BAR)],
            ]
        )
    ],
    "crescent": [_crescent()],
    "arrow": [np.array([(-1, -0.28), (0.1, -0.28), (0.1, -0.8), (1, 0), (0.1, 0.8), (0.1, 0.28), (-1, 0.28)])],
}
CLASS_NAMES = tuple(_OUTLINES)


def draw_scene(rng: np.random.Generator, height: int, width: int) -> tuple[Pixels, list[SceneObject]]:
    """A scene of 1 to 6 objects, in 8 % of the cases none, in 6 % with a crowd besides.

    The longer side of an object is between 1/16 and 1/2 of the longer side of the image. Objects hide each other and leave the
    image in part; one that is hidden by more than 60 % does not count.

    Returns:
        RGB uint8 (height, width, 3), and the objects.
    """
    canvas = _Canvas(background(rng, height, width))
    for _ in range(rng.integers(2, 6)):
        _draw_distractor(canvas, rng)
    if rng.random() < 0.08:
        return canvas.finished(rng), []
    crowd = _draw_crowd(canvas, rng) if rng.random() < 0.06 else []
    labels: dict[int, int] = {}
    placed: list[NDArray[np.float64]] = []
    for _ in range(rng.integers(1, 7)):
        side = max(height, width) * (_SMALLEST_SIDE + (_LARGEST_SIDE - _SMALLEST_SIDE) * rng.random() ** 1.5)
        centre = _place(rng, side, canvas, placed)
        if centre is not None:
            label = int(rng.integers(len(CLASS_NAMES)))
            labels[canvas.draw(rng, _outline(rng, label, side, centre))] = label
    if rng.random() < 0.3:
        _draw_distractor(canvas, rng, largest=0.16)
    objects = [canvas.visible(key, label) for key, label in labels.items()]
    for label, keys in crowd:
        objects.append(canvas.visible_crowd(keys, label))
    return canvas.finished(rng), [found for found in objects if found is not None]


def draw_crop(rng: np.random.Generator, label: int, side: int) -> Pixels:
    """A picture that one object of class ``label`` mostly fills, drawn as in the scenes: RGB uint8 (side, side, 3)."""
    canvas = _Canvas(background(rng, side, side))
    for _ in range(rng.integers(1, 4)):
        _draw_distractor(canvas, rng, largest=0.5)
    length = side * rng.uniform(0.45, 0.95)
    slack = max(0.0, side - length) / 2 + 0.08 * side
    centre = side / 2 + rng.uniform(-slack, slack, 2)
    canvas.draw(rng, _outline(rng, label, length, centre))
    if rng.random() < 0.3:
        _draw_distractor(canvas, rng, largest=0.3)
    return canvas.finished(rng)


class _Canvas:
    """An image, and for every pixel which drawing is on top."""

    def __init__(self, pixels: NDArray[np.float32]) -> None:
        self.pixels = pixels
        self.height, self.width = pixels.shape[:2]
        self.owner = np.full(pixels.shape[:2], _GROUND, dtype=np.int32)
        self.full_areas: list[int] = []

    def draw(self, rng: np.random.Generator, outline: list[Points], opacity: float = 1.0) -> int:
        """Draw a textured polygon (even-odd, antialiased) and return its key."""
        points = np.concatenate(outline)
        left, top = (np.floor(points.min(0)).astype(int) - 1).tolist()
        right, bottom = (np.ceil(points.max(0)).astype(int) + 2).tolist()
        # drawn large and averaged: OpenCV's own antialiased filling adds a pixel around the outline
        large = np.zeros(((bottom - top) * _OVERSAMPLING, (right - left) * _OVERSAMPLING), np.uint8)
        cv2.fillPoly(large, [_fixed_point((part - [left, top]) * _OVERSAMPLING) for part in outline], 255, shift=_SUBPIXEL_BITS)
        mask = np.asarray(cv2.resize(large, (right - left, bottom - top), interpolation=cv2.INTER_AREA), dtype=np.uint8)
        key = len(self.full_areas)
        self.full_areas.append(int(np.count_nonzero(mask > 127)))
        seen = (slice(max(0, -top), max(0, self.height - top)), slice(max(0, -left), max(0, self.width - left)))
        window = (slice(max(0, top), max(0, bottom)), slice(max(0, left), max(0, right)))
        ground = self.pixels[window]
        if ground.size:
            surface = texture(rng, ground[::4, ::4].mean((0, 1)), *mask.shape)
            self._stamp(window, mask[seen], surface[seen], key, opacity)
        return key

    def draw_over(self, mask: Pixels, colour: NDArray[np.float32]) -> None:
        """Paint a mask (height, width) of the whole image in one colour."""
        x, y, width, height = cv2.boundingRect(mask)
        window = (slice(y, y + height), slice(x, x + width))
        self._stamp(window, mask[window], colour, _GROUND)

    def _stamp(
        self, window: tuple[slice, slice], mask: Pixels, surface: NDArray[np.float32], key: int, opacity: float = 1.0
    ) -> None:
        alpha = mask[..., None].astype(np.float32) * np.float32(opacity / 255)
        self.pixels[window] += alpha * (surface - self.pixels[window])
        self.owner[window][mask > 127] = key

    def visible(self, key: int, label: int) -> SceneObject | None:
        """What the drawings on top and the image's border leave of a drawing; None when that is too little."""
        mask = self.owner == key
        area = int(np.count_nonzero(mask))
        box = _tight_box(mask)
        if area < max(1.0, _LEAST_VISIBLE * self.full_areas[key]) or min(box[2:]) < 3:
            return None
        return SceneObject(label, box, area)

    def visible_crowd(self, keys: list[int], label: int) -> SceneObject | None:
        """The region of several drawings; None when hardly any of it is visible."""
        mask = np.isin(self.owner, keys)
        area = int(np.count_nonzero(mask))
        if area < _LEAST_VISIBLE * sum(self.full_areas[key] for key in keys):
            return None
        return SceneObject(label, _tight_box(mask), area, crowd=True)

    def finished(self, rng: np.random.Generator) -> Pixels:
        """The image with the camera's noise."""
        noise = rng.standard_normal(self.pixels.shape, dtype=np.float32) * np.float32(rng.uniform(0, 8))
        return np.clip(self.pixels + noise, 0, 255).astype(np.uint8)


def _tight_box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return int(x), int(y), int(width), int(height)


def _outline(rng: np.random.Generator, label: int, side: float, centre: NDArray[np.float64]) -> list[Points]:
    """A class's outline, squeezed and turned at random, with a box around ``centre`` whose longer side is ``side``."""
    squeeze, turn = np.array([1.0, rng.uniform(0.75, 1.0)]), _rotation(rng)
    parts = [part * squeeze @ turn for part in _OUTLINES[CLASS_NAMES[label]]]
    low, high = parts[0].min(0), parts[0].max(0)
    return [(part - (low + high) / 2) * (side / (high - low).max()) + centre for part in parts]


def _rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _place(
    rng: np.random.Generator, side: float, canvas: _Canvas, placed: list[NDArray[np.float64]]
) -> NDArray[np.float64] | None:
    """A centre that leaves at most a tenth of the object outside on each side, and mostly apart from the objects before it."""
    half = side / 2
    overlap_allowed = 0.35 if rng.random() < 0.35 else 0.03
    reach = min(0.8 * half, canvas.width / 2, canvas.height / 2)
    for _ in range(12):
        centre = np.array([rng.uniform(reach, canvas.width - reach), rng.uniform(reach, canvas.height - reach)])
        box = np.concatenate([centre - half, centre + half])
        if all(_overlap(box, other) <= overlap_allowed for other in placed):
            placed.append(box)
            return centre
    return None


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Intersection of two ``xyxy`` boxes over the smaller one."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    smaller = min(np.prod(a[2:] - a[:2]), np.prod(b[2:] - b[:2]))
    return float(np.prod(np.maximum(sides, 0)) / smaller)


def _draw_crowd(canvas: _Canvas, rng: np.random.Generator) -> list[tuple[int, list[int]]]:
    label = int(rng.integers(len(CLASS_NAMES)))
    extent = min(canvas.height, canvas.width) * rng.uniform(0.3, 0.45)
    corner = rng.uniform(0, np.array([canvas.width, canvas.height]) - extent)
    side = max(canvas.height, canvas.width) / 22
    count = int(rng.integers(14, 28))
    keys = [canvas.draw(rng, _outline(rng, label, side, corner + rng.uniform(0, extent, 2))) for _ in range(count)]
    return [(label, keys)]


def _draw_distractor(canvas: _Canvas, rng: np.random.Generator, largest: float = 0.4) -> None:
    """A blob, a thin polyline or a speckle of dots: clutter of no class."""
    extent = max(canvas.height, canvas.width)
    centre = rng.uniform(0, [canvas.width, canvas.height])
    kind = rng.integers(3)
    if kind == 0:
        angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
        radii = rng.uniform(0.15, 0.5, 9) * extent * rng.uniform(0.1, largest)
        # flat, so that it is no disk
        corners = np.stack([np.cos(angles), rng.uniform(0.3, 0.5) * np.sin(angles)], axis=1) * radii[:, None]
        canvas.draw(rng, [_rounded(corners) @ _rotation(rng) + centre], rng.uniform(0.5, 1.0))
        return
    mask = np.zeros((canvas.height, canvas.width), np.uint8)
    if kind == 1:
        steps = rng.normal(0, extent * largest / 2.5, (int(rng.integers(2, 6)), 2))
        points = _fixed_point(centre + np.cumsum(steps, axis=0))
        cv2.polylines(mask, [points], False, 255, int(rng.integers(1, extent // 60 + 3)), cv2.LINE_AA, _SUBPIXEL_BITS)
    else:
        dots = _fixed_point(centre + rng.normal(0, extent * largest / 4, (12, 2)))
        for dot, radius in zip(dots.tolist(), rng.uniform(0.5, 1 + extent / 120, 12).tolist(), strict=True):
            cv2.circle(mask, dot, int(radius * 2**_SUBPIXEL_BITS), 255, -1, cv2.LINE_AA, _SUBPIXEL_BITS)
    canvas.draw_over(mask, rng.uniform(0, 255, 3).astype(np.float32))


def _rounded(corners: Points) -> Points:
    """A closed polygon with its corners cut twice (Chaikin)."""
    for _ in range(3):
        following = np.roll(corners, -1, axis=0)
        corners = np.stack([0.75 * corners + 0.25 * following, 0.25 * corners + 0.75 * following], axis=1).reshape(-1, 2)
    return corners
