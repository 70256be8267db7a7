"""Photos for training. They are decoded once the needed number of pixels is known, and resized without antialiasing.

A JPEG is decoded with 1/2, 1/4 or 1/8 of its pixels a side where a view needs no more (its blocks of 8 x 8 are transformed to
smaller ones), so that what is left to shrink is less than by two, and linear interpolation passes no pixel over. Not for
evaluation: published numbers are measured with PIL's antialiased resizing.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from resdet.data.images.jpeg import decode_jpeg, header, jpeg_size
from resdet.images import read_file, read_header, read_image

_SHRINKS = (8, 4, 2)
# enlarging half the pixels a side by a twentieth is as close to the antialiased view as shrinking all by 1.9 (ImageNet photos)
_ENOUGH = 0.95
# the byte strings that announce an orientation, in EXIF or in XMP
_ORIENTATION = (b"Exif\0\0", b"Orientation")


class Photo:
    """An image file that is not decoded yet, upright by its EXIF orientation.

    PIL decodes files that are not plain JPEGs, and all files when the package simplejpeg is not installed.

    Attributes:
        height: pixels.
        width: pixels.
    """

    def __init__(self, path: Path, content: bytes) -> None:
        """Take a file's bytes, and its path for messages; a DataError when they do not begin with the header of an image."""
        self._path, self._content = path, content
        self._stored = jpeg_size(content)
        head = header(content) if self._stored else b""
        if self._stored and not any(mark in head for mark in _ORIENTATION):
            (self.height, self.width), self._turn = self._stored, None
        else:
            (self.height, self.width), self._turn = read_header(path, content)

    @classmethod
    def of(cls, path: Path) -> Photo:
        """The photo of a file; a DataError when it cannot be read."""
        return cls(path, read_file(path))

    def exact(self) -> Image.Image:
        """The whole image, as ``read_image`` decodes it; errors are the same."""
        return read_image(self._path, self._content)

    def window(self, box: tuple[float, float, float, float], size: tuple[int, int]) -> NDArray[np.uint8]:
        """A part of the image at another size, by linear interpolation.

        Args:
            box: ``xyxy``, pixels, inside the image; it is rounded to decoded pixels when the photo is decoded smaller.
            size: (height, width) of the result, pixels.

        Returns:
            RGB (height, width, 3).

        Raises:
            DataError: as ``read_image``.
        """
        left, top, right, bottom = box
        height, width = size
        shrink = min((right - left) / width, (bottom - top) / height)
        times = next((times for times in _SHRINKS if shrink >= _ENOUGH * times), 1)
        pixels, full = self._decoded(times, top, bottom)
        rows, columns = _span(top, bottom, self.height, full), _span(left, right, self.width, pixels.shape[1])
        resized = cv2.resize(pixels[rows, columns], (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(resized, dtype=np.uint8)

    def _decoded(self, times: int, top: float, bottom: float) -> tuple[NDArray[np.uint8], int]:
        """RGB (H, W, 3), upright, of about ``times`` fewer pixels a side, with all rows down to the span's end at least.

        Returns:
            The pixels, and the height of the whole image at their scale.
        """
        limit = Image.MAX_IMAGE_PIXELS
        if self._stored and (limit is None or self.height * self.width <= limit):
            height, full = self._stored[0], -(-self._stored[0] // times)
            rows = height if self._turn is not None else min(height, _span(top, bottom, height, full).stop * times)
            pixels = decode_jpeg(self._content, self._stored, rows, times)
            if pixels is not None:
                if self._turn is None:
                    return pixels, full
                turned = np.asarray(Image.fromarray(pixels).transpose(self._turn))
                return turned, len(turned)
        # PIL may read a file that simplejpeg cannot, or else raises an error that explains why
        pixels = np.asarray(read_image(self._path, self._content, times))
        return pixels, len(pixels)


def exact(image: Image.Image | Photo) -> Image.Image:
    """The whole image, decoded as ``read_image`` does it."""
    return image.exact() if isinstance(image, Photo) else image


def _span(low: float, high: float, full: int, length: int) -> slice:
    """From ``low`` to ``high`` of ``full`` pixels in those of a decoded side of ``length``: one at least."""
    first = min(round(low * length / full), length - 1)
    return slice(first, max(first + 1, round(high * length / full)))
