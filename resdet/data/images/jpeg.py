"""Reads the size and a part of the pixels of JPEGs with simplejpeg, when it is installed.

simplejpeg decodes with libjpeg-turbo's fastest transforms. Files that it reads differently from PIL are left to PIL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

try:
    import simplejpeg
except ImportError:  # an optional package
    simplejpeg = None

_START = b"\xff\xd8"
_BASELINE = (b"\xff\xc0", b"\xff\xc1")  # frames whose scans hold the rows from top to bottom …
_RESTART = b"\xff\xdd"  # … but for the marks between its parts, which hide from libjpeg where the file ends
START_OF_PIXELS = b"\xff\xda"
_WHOLE_BLOCKS = 32  # rows: a multiple of the height of the usual blocks, 8 and 16; libjpeg rounds up to others
# those that simplejpeg turns into the RGB that PIL does
_COLOURSPACES = ("YCbCr", "Gray", "RGB")
# what libjpeg says first, and alone, when the rows it was told of are followed by others: no damage
_MORE_ROWS = re.compile(r"Corrupt JPEG data: \d+ extraneous bytes before marker 0xd9")


def jpeg_size(content: bytes) -> tuple[int, int] | None:
    """The stored (height, width) in pixels of a JPEG that can be decoded here; None for anything else."""
    if simplejpeg is None or not content.startswith(_START):
        return None
    try:
        height, width, colourspace, _ = simplejpeg.decode_jpeg_header(content)
    except ValueError:
        return None
    return (height, width) if colourspace in _COLOURSPACES else None


def decode_jpeg(content: bytes, size: tuple[int, int], rows: int, shrink: int = 1) -> NDArray[np.uint8] | None:
    """A JPEG's pixels as they are stored, those of its upper rows at least.

    Most of the time goes into the entropy code, which has to be read from the top. So a baseline file is decoded as if its
    header gave only the wanted number of rows, and the rest of the file is not read.

    Args:
        content: the file.
        size: the result of ``jpeg_size``.
        rows: the number of stored rows wanted, 1 … height.
        shrink: 1, 2, 4 or 8; the image is decoded with so many times fewer pixels a side, rounded up.

    Returns:
        RGB (H, W, 3); None when libjpeg finds anything wrong with what it reads.
    """
    height, width = size
    enough = -(-rows // _WHOLE_BLOCKS) * _WHOLE_BLOCKS
    if enough < height and (place := _place_of_height(content)):
        shorter = b"".join((content[:place], enough.to_bytes(2, "big"), content[place + 2 :]))
        pixels = np.empty((enough // shrink, -(-width // shrink), 3), np.uint8)
        try:
            return _decoded(shorter, pixels)
        except ValueError as error:
            if _MORE_ROWS.fullmatch(str(error)):  # libjpeg keeps its first complaint, and had decoded by then
                return pixels
    try:
        return _decoded(content, np.empty((-(-height // shrink), -(-width // shrink), 3), np.uint8))
    except ValueError:
        return None


def header(content: bytes) -> bytes:
    """What comes before the pixels of a JPEG, EXIF and XMP among it; all of it where the segments are not as they should be."""
    found = list(segments(content))
    return content[: found[-1][1]] if found and found[-1][0] == START_OF_PIXELS else content


def segments(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The segments of a JPEG before its pixels, EXIF's and XMP's among them.

    Yields:
        The marker of each, where it begins and where it ends; last the start of the pixels. When that is missing, or the
        segments are not as they should be, the last one is another.
    """
    place = len(_START)
    while (marker := content[place : place + 2])[:1] == b"\xff":
        end = place + 2 + int.from_bytes(content[place + 2 : place + 4], "big")
        yield marker, place, end
        if marker == START_OF_PIXELS:
            return
        place = end


def _place_of_height(content: bytes) -> int | None:
    """Where the header of a JPEG of one piece keeps its height, in two bytes; None where it is none."""
    places = {marker: place for marker, place, _ in segments(content)}
    frame = next((places[marker] for marker in _BASELINE if marker in places), None)
    return None if frame is None or _RESTART in places else frame + 5


def _decoded(content: bytes, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``pixels`` (H, W, 3), filled; a ValueError when libjpeg complains of anything."""
    height, width, _ = pixels.shape
    decoded: NDArray[np.uint8] = simplejpeg.decode_jpeg(
        content, "RGB", fastdct=True, fastupsample=True, min_height=height, min_width=width, buffer=pixels
    )
    return decoded
