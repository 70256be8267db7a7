"""What a user may hand in as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from resdet.images import read_image, to_rgb

ImageInput = str | Path | Image.Image | NDArray[np.uint8]


def to_image(source: ImageInput) -> Image.Image:
    """Turn a file, a PIL image or an RGB uint8 array (H, W, 3) into a PIL image in RGB.

    A file is turned upright by its EXIF orientation; an image in memory is taken as it is, so that boxes fit its pixels.

    Raises:
        DataError: a file that is missing or no image.
        TypeError: anything else, an array of another shape or dtype, or an image of pixels without a fixed range (floats).
    """
    if isinstance(source, (str, Path)):
        return read_image(source)
    if isinstance(source, Image.Image):
        try:
            return to_rgb(source)
        except ValueError as error:
            raise TypeError(f"a PIL image of mode {source.mode} is no picture: {error}") from error
    if isinstance(source, np.ndarray) and source.dtype == np.uint8 and source.ndim == 3 and source.shape[2] == 3:
        return Image.fromarray(source)
    got = f"{source.dtype} {source.shape}" if isinstance(source, np.ndarray) else type(source).__name__
    raise TypeError(f"an image must be a path, a PIL image or an RGB uint8 array (H, W, 3), got {got}")
