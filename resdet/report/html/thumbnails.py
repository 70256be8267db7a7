"""Small JPEGs of a data set's pictures, which together stay below a limit."""

from __future__ import annotations

import io

from PIL import Image

MOST_PICTURES = 5000  # of a gallery
MOST_SIDE = 360  # pixels of the longer side of a thumbnail
_TOTAL = 16_000_000  # bytes of all thumbnails: 21 MB in base64, which leaves 9 MB for the numbers of 5,000 pictures
_MOST_BYTES = 24 << 10  # bytes of one
# longer side and JPEG quality, best first; a picture takes the first that fits into its share
_LADDER = ((MOST_SIDE, 80), (320, 74), (256, 70), (208, 64), (176, 58), (144, 50), (112, 40), (80, 30), (64, 20))


def thumbnail(image: Image.Image, share: int) -> bytes:
    """A picture as a JPEG of at most ``share`` bytes where the smallest form has so few; a picture is never enlarged."""
    content = b""
    for side, quality in _LADDER:
        small = image.copy()
        small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
        buffer = io.BytesIO()
        small.save(buffer, format="JPEG", quality=quality, optimize=True)
        content = buffer.getvalue()
        if len(content) <= share:
            break
    return content


def share_of_each(pictures: int) -> int:
    """The bytes that each of so many thumbnails may have."""
    return min(_MOST_BYTES, _TOTAL // max(pictures, 1))
