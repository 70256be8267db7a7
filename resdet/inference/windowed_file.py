"""Pictures too large for memory, read from their files window by window by libvips."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from resdet.errors import DataError
from resdet.files import regular

if TYPE_CHECKING:
    import pyvips

# what a file begins with, and the reader for it; no other reader of libvips is ever asked
_LOADERS = {
    b"II*\0": "tiffload", b"MM\0*": "tiffload", b"II+\0": "tiffload", b"MM\0+": "tiffload",
    b"\xff\xd8\xff": "jpegload", b"\x89PNG\r\n\x1a\n": "pngload",
}  # fmt: skip
_USUAL = ("srgb", "rgb", "b-w")
_LARGE = 50_000_000  # pixels; smaller pictures are decoded whole, which is faster
_OVERVIEW = 4096  # pixels of the longer side, at least


class WindowedFile:
    """A picture whose pixels stay in its file until they are asked for, RGB; make one with ``open_windows``.

    Attributes:
        width, height: pixels.
    """

    def __init__(self, path: Path, loader: str) -> None:
        self._path = path
        self._loader = loader
        self._opened = opened = self._open("random")
        self.width: int = opened.width
        self.height: int = opened.height

    def crop(self, box: tuple[int, int, int, int]) -> Image.Image:
        """The pixels of a box ``xyxy`` inside the picture.

        Raises:
            DataError: when they cannot be read.
        """
        x1, y1, x2, y2 = box
        return self._pixels(self._opened.crop(x1, y1, x2 - x1, y2 - y1))

    def overview(self) -> Image.Image:
        """The whole picture, smaller, with 4,096 pixels at least in its longer side; errors are those of ``crop``."""
        factor = max(1, max(self.width, self.height) // _OVERVIEW)
        return self._pixels(self._open("sequential").shrink(factor, factor))  # which keeps a few lines at a time

    @property
    def usual(self) -> bool:
        """Whether the pixels are 8 bits of grey or RGB, and lie upright."""
        opened = self._opened
        turned = opened.get_typeof("orientation") and opened.get("orientation") != 1
        return not turned and opened.format == "uchar" and opened.interpretation in _USUAL and opened.bands <= 4

    def _open(self, access: str) -> pyvips.Image:
        import pyvips

        # as the system spells it: a name may hold bytes that are no text, which pyvips cannot encode
        return getattr(pyvips.Image, self._loader)(os.fsencode(self._path), access=access, fail_on="truncated")

    def _pixels(self, part: pyvips.Image) -> Image.Image:
        import pyvips

        try:
            content = part.write_to_memory()
        except pyvips.Error as error:
            raise DataError(f"{self._path}: cannot be read as an image: {' '.join(str(error).split())[:200]}") from error
        array = np.frombuffer(content, np.uint8).reshape(part.height, part.width, part.bands)
        return Image.fromarray(array[:, :, :3] if part.bands > 2 else array[:, :, 0]).convert("RGB")


def open_windows(path: str | Path, least: int = _LARGE) -> WindowedFile | None:
    """A file's picture for reading in windows; None where it must be decoded whole.

    That is so for pictures of fewer than ``least`` pixels, of other files than TIFF, JPEG and PNG, of other pixels than 8 bits
    of grey or RGB, that EXIF turns, and where pyvips is not installed.
    """
    try:
        import pyvips
    except (ImportError, OSError):  # the second one where the library itself is missing
        return None
    path = Path(path)
    try:
        with regular(path).open("rb") as file:
            head = file.read(8)
        loader = next((name for magic, name in _LOADERS.items() if head.startswith(magic)), "")
        if not loader:
            return None
        found = WindowedFile(path, loader)
    except (OSError, pyvips.Error):  # told by the reader of whole pictures
        return None
    return found if found.usual and found.width * found.height >= least else None
