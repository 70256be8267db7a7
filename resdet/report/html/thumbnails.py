"""Small JPEGs of a data set's pictures, which together stay below a limit."""

from __future__ import annotations

import io

from PIL import Image

MOST_PICTURES = 5000  # of a gallery
_TOTAL = 16_000_000  # bytes of all thumbnails: 21 MB in base64, which leaves 9 MB for the numbers of 5,000 pictures
_MOST_BYTES = 24 << 10  # bytes of one
# longer side and JPEG quality, best first; a picture takes the first that fits into its share
_LADDER = ((360, 80), (320, 74), (256, 70), (208, 64), (176, 58), (144, 50), (112, 40), (80, 30), (64, 20))


class Thumbnails:
    """Makes thumbnails of so many pictures that each has its share of the limit.

    Args:
        pictures: the number of pictures.

    Attributes:
        share: the bytes that each may have.
    """

    def __init__(self, pictures: int) -> None:
        self.share = min(_MOST_BYTES, _TOTAL // max(pictures, 1))
        self._step = 0

    @property
    def side(self) -> int:
        """The longer side that the next thumbnail has at most; a picture need not be decoded much larger."""
        return _LADDER[self._step][0]

    def __call__(self, image: Image.Image) -> bytes:
        """A picture as a JPEG of at most ``share`` bytes where the smallest form has so few; it is never enlarged."""
        small, content = image, b""
        for step in range(self._step, len(_LADDER)):
            side, quality = _LADDER[step]
            if max(small.size) > side:
                scale = side / max(small.size)
                size = (max(1, round(small.width * scale)), max(1, round(small.height * scale)))
                small = small.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
            buffer = io.BytesIO()
            small.save(buffer, format="JPEG", quality=quality, optimize=True)
            content = buffer.getvalue()
            if len(content) <= self.share:
                break
        # the next one begins a step above what this one took: most pictures of a set are alike, and a try takes time
        self._step = max(step - 1, 0)
        return content
