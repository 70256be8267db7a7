"""Reads the pictures that a user may pass in."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from resdet.errors import ConfigError, DataError
from resdet.images import read_image, to_rgb

ImageInput: TypeAlias = str | Path | Image.Image | NDArray[np.uint8] | Tensor

_COLORS = ("rgb", "bgr")
_RULE = (
    "an image must be a path, a PIL image, a uint8 array (H, W, 3) or a uint8 tensor (3, H, W); one channel is grey, a fourth "
    "is transparency"
)


def check_color(color: str) -> None:
    """Raise a ConfigError unless ``color`` is ``"rgb"`` or ``"bgr"``."""
    if color not in _COLORS:
        raise ConfigError(f"'color' must be one of {', '.join(_COLORS)}, got {color!r}")


def to_image(source: ImageInput, color: str = "rgb") -> Image.Image:
    """Turn a picture that a user passes in into a PIL image in RGB.

    A file is turned upright by its EXIF orientation; an image in memory is taken as it is, so that boxes fit its pixels.

    Args:
        source: a path; a PIL image; an array uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); a tensor uint8 (H, W), (1, H, W),
            (3, H, W) or (4, H, W) on any device. Grey is repeated three times, transparency is dropped.
        color: the order of the channels of arrays and tensors, ``"rgb"`` or ``"bgr"``, which is OpenCV's. It does not apply to
            files and PIL images.

    Raises:
        ConfigError: for another ``color``.
        DataError: when a file is missing or not an image, also one that PIL has opened and not yet read.
        TypeError: for anything else, an array of another shape or dtype, or an image whose pixels have no fixed range (floats).
    """
    check_color(color)
    if isinstance(source, (str, Path)):
        return read_image(source)
    if isinstance(source, Image.Image):
        _load(source)
        try:
            return to_rgb(source)
        except ValueError as error:
            raise TypeError(f"a PIL image of mode {source.mode} is no picture: {error}") from error
    if isinstance(source, Tensor) and source.dtype == torch.uint8:
        planes = source.detach().cpu().numpy()
        array = planes.transpose(1, 2, 0) if planes.ndim == 3 else planes
    elif isinstance(source, np.ndarray) and source.dtype == np.uint8:
        array = source
    else:
        raise TypeError(f"{_RULE}, got {_described(source)}")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or not array.size:
        raise TypeError(f"{_RULE}, got {_described(source)}")
    return Image.fromarray(_rgb(array, color))


def _load(image: Image.Image) -> None:
    """Read the pixels of an image that PIL has opened, which it puts off until they are needed."""
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # PIL's decoders raise nearly anything on broken bytes
        name = getattr(image, "filename", "") or f"a PIL image of mode {image.mode}"
        raise DataError(f"{name}: cannot be read as an image: {error}") from error


def _rgb(array: NDArray[np.uint8], color: str) -> NDArray[np.uint8]:
    pixels = array.repeat(3, axis=2) if array.shape[2] == 1 else array[:, :, :3]
    return np.ascontiguousarray(pixels[:, :, ::-1] if color == "bgr" else pixels)


def _described(source: object) -> str:
    return f"{source.dtype} {tuple(source.shape)}" if isinstance(source, (np.ndarray, Tensor)) else type(source).__name__
