"""Surfaces for the shapes data set: grounds, stripes, checks, gradients, noise.

Everything random comes from the generator passed in; colours are float32 RGB in 0 … 255.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

# the ground is duller than what lies on it, and a surface keeps to its first colour, as in most photographs of things
_GROUND_SATURATION = 0.3
_TEXTURE_CONTRAST = 0.6


def background(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Muted colours that run into each other, with coarse and fine blotches: float32 (height, width, 3)."""
    coarse = rng.uniform(0, 255, (2, 2, 3)).astype(np.float32) * 0.5 + rng.uniform(0, 127, 3).astype(np.float32)
    layers = [cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)]
    for cells, strength in ((4, rng.uniform(0, 30)), (16, rng.uniform(0, 25))):
        blotches = rng.normal(0, strength, (cells, cells, 3)).astype(np.float32)
        layers.append(cv2.resize(blotches, (width, height), interpolation=cv2.INTER_CUBIC))
    if rng.random() < 0.25:
        layers.append(rng.uniform(5, 18) * _wave(rng, height, width)[..., None])
    vivid = np.asarray(sum(layers), dtype=np.float32)
    grey = vivid.mean(2, keepdims=True)
    return np.asarray(grey + _GROUND_SATURATION * (vivid - grey), dtype=np.float32)


def texture(rng: np.random.Generator, ground: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """A surface of two colours: plain, a gradient, stripes, checks or noise; float32 (height, width, 3).

    The first colour is the farthest of three from the colour of the ``ground`` (3,), so that hardly anything is invisible.
    """
    candidates = rng.uniform(0, 255, (4, 3)).astype(np.float32)
    first = candidates[np.abs(candidates[:3] - ground).sum(1).argmax()]
    second = candidates[3]
    weight = _WEIGHTS[rng.integers(len(_WEIGHTS))](rng, height, width)[..., None]
    return np.asarray(first + _TEXTURE_CONTRAST * weight * (second - first), dtype=np.float32)


def _plane(rng: np.random.Generator, height: int, width: int, period: float) -> NDArray[np.float32]:
    """Distance along a random direction, in periods."""
    angle, phase = rng.uniform(0, 2 * np.pi), rng.uniform(0, 1)
    x = np.arange(width, dtype=np.float32) * np.float32(np.cos(angle) / period)
    y = np.arange(height, dtype=np.float32) * np.float32(np.sin(angle) / period)
    return x[None, :] + y[:, None] + np.float32(phase)


def _wave(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Soft stripes between 0 and 1."""
    period = rng.uniform(4, max(5.0, max(height, width) / 3))
    return np.asarray(0.5 + 0.5 * np.sin(2 * np.pi * _plane(rng, height, width, period)), dtype=np.float32)


def _stripes(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    return np.asarray(np.clip(3 * _wave(rng, height, width) - 1, 0, 1), dtype=np.float32)


def _checks(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    return np.abs(np.round(_stripes(rng, height, width)) - _stripes(rng, height, width))


def _gradient(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    plane = _plane(rng, height, width, 1.0)
    return np.asarray((plane - plane.min()) / max(float(np.ptp(plane)), 1e-6), dtype=np.float32)


def _plain(_: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    return np.zeros((height, width), dtype=np.float32)


def _noise(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    return rng.random((height, width), dtype=np.float32)


_WEIGHTS: tuple[Callable[[np.random.Generator, int, int], NDArray[np.float32]], ...] = (
    _plain,
    _gradient,
    _stripes,
    _checks,
    _noise,
)
