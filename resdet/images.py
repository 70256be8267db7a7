"""Image files to RGB pixels, upright."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError

from resdet.errors import DataError
from resdet.files import regular

# those that PIL decodes itself: EPS, for one, would start an external program
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_ORIENTATION_TAG = 0x0112
# EXIF orientation -> what turns the stored pixels upright; 1 and values out of the standard need nothing
_UPRIGHT: dict[object, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_THEIR_SIDE = (5, 6, 7, 8)


def read_file(path: str | Path) -> bytes:
    """The content of an image file, not decoded; a DataError names a file that cannot be read."""
    path = Path(path)
    try:
        return regular(path).read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def read_image(path: str | Path, content: bytes | None = None, shrink: int = 1) -> Image.Image:
    """Decode an image file completely, turn it upright by its EXIF orientation, and make it RGB.

    Grey is repeated three times; 16-bit grey is scaled from 0 … 65535 to 0 … 255; transparency is dropped; palettes and CMYK
    are converted; of an animation the first frame is taken.

    Args:
        path: the file.
        content: its bytes, where they are at hand; ``path`` is then its name alone.
        shrink: 2, 4 or 8: a JPEG may be decoded with so many times fewer pixels a side.

    Returns:
        A PIL image of mode RGB.

    Raises:
        DataError: naming the file when it is missing, empty, truncated, not an image, of a pixel type without a fixed range, or
            of more pixels than PIL takes for safe (``PIL.Image.MAX_IMAGE_PIXELS``, 89 million).
    """
    path = Path(path)
    Image.init()  # PIL loads some of its decoders late, and knows no format by name before
    try:
        with _opened(path, content) as file, Image.open(file, formats=_FORMATS) as image:
            _check_size(image)
            if shrink > 1:
                image.draft(None, (max(1, image.width // shrink), max(1, image.height // shrink)))
            image.load()
            turn = _UPRIGHT.get(_orientation(image))
            rgb = to_rgb(image)
    except MemoryError:
        raise
    # PIL's decoders raise nearly anything on broken bytes: OSError, SyntaxError, struct.error, ValueError, zlib.error …
    except Exception as error:
        raise _unreadable(path, error, content) from error
    return rgb if turn is None else rgb.transpose(turn)


def read_size(path: str | Path) -> tuple[int, int]:
    """The (height, width) in pixels of an image file, upright by its EXIF orientation; errors are those of ``read_header``."""
    return read_header(path)[0]


def read_header(path: str | Path, content: bytes | None = None) -> tuple[tuple[int, int], Image.Transpose | None]:
    """What the header of an image file tells.

    Args:
        path: the file.
        content: its bytes, where they are at hand; ``path`` is then its name alone.

    Returns:
        (height, width) in pixels of the upright image, and what turns the stored pixels upright; None: they are.

    Raises:
        DataError: naming the file when it is missing or has no header of an image.
    """
    path = Path(path)
    Image.init()
    try:
        with _opened(path, content) as file, Image.open(file, formats=_FORMATS) as image:
            orientation = _orientation(image)
            size = (image.width, image.height) if orientation in _ON_THEIR_SIDE else (image.height, image.width)
            return size, _UPRIGHT.get(orientation)
    except MemoryError:
        raise
    except Exception as error:  # as above
        raise _unreadable(path, error, content) from error


class _File(io.BufferedReader):
    """A file that makes no room for more than it holds: a PNG may say of a part of it that it has 4 GB."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1) -> bytes:
        return super().read(size if size is None or size < 0 else min(size, self._size))


def _opened(path: Path, content: bytes | None) -> IO[bytes]:
    return _File(regular(path)) if content is None else io.BytesIO(content)


def greatest_of_16_bits(content: bytes) -> int:
    """The greatest value of an image of 16 bits that ``read_image`` can read; 0 for images of other depths."""
    with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
        return int(np.asarray(image).max()) if image.mode == "I" or image.mode.startswith("I;16") else 0


def _unreadable(path: Path, error: Exception, content: bytes | None = None) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path}: no such image file")
    # unlike Path.is_file, os.path.isfile is False, not an error, for a name too long
    empty = content == b"" if content is not None else os.path.isfile(path) and path.stat().st_size == 0  # noqa: PTH113
    reason = "the file is empty" if empty else _reason(error, path)
    return DataError(f"{path}: cannot be read as an image: {reason}")


def _check_size(image: Image.Image) -> None:
    # PIL itself only warns, up to twice its limit
    if Image.MAX_IMAGE_PIXELS is not None and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        raise ValueError(
            f"it has {image.width} x {image.height} pixels, more than {Image.MAX_IMAGE_PIXELS} are not safe to decode"
        )


def _orientation(image: Image.Image) -> object:
    try:
        return image.getexif().get(_ORIENTATION_TAG)
    # a broken EXIF block, on which PIL raises nearly anything, says nothing of the pixels, which were read well
    except Exception:  # noqa: BLE001
        return None


def encoded(picture: Image.Image, kind: str) -> bytes:
    """The content of a JPEG or PNG file (``kind``).

    PIL, when it writes a file by itself, takes a disk that fills up with the last block for a success, and half a JPEG for one.
    """
    content = io.BytesIO()
    picture.save(content, format=kind, quality=92)
    return content.getvalue()


def to_rgb(image: Image.Image) -> Image.Image:
    """A copy in mode RGB, as ``read_image`` converts pixels; a ValueError for pixels without a fixed range."""
    if image.mode == "I" or image.mode.startswith("I;16"):
        values = np.asarray(image)
        low, high = (int(end) for end in (values.min(), values.max()))
        if low < 0 or high > 65535:
            raise ValueError(f"its pixels must be 8 or 16 bits, got {image.mode} values {low} … {high}")
        scaled = np.empty(values.shape, np.uint8)
        for row, line in zip(scaled, values, strict=True):  # one at a time, for it takes 16 bytes a pixel
            row[:] = (line.astype(np.int64) + 128) // 257
        return Image.fromarray(scaled).convert("RGB")
    if image.mode == "F":
        raise ValueError("its pixels must be 8 or 16 bits, got floats")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # the same colours; straight to RGB, PIL warns of the transparency that it drops
    return image.convert("RGB")


def _reason(error: Exception, path: Path) -> str:
    if isinstance(error, UnidentifiedImageError):  # whose text names the object that was read from
        return "cannot identify image file"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).replace(f" {str(path)!r}", "").split()) or type(error).__name__
