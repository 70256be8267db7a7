"""Pictures too large for memory, read from their files window by window by libvips."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from resdet.errors import DataError
from resdet.files import regular
from resdet.images import read_size, to_rgb
from resdet.wording import reason_of

if TYPE_CHECKING:
    import pyvips

# what a file begins with, and the reader for it; no other reader of libvips is ever asked
_LOADERS = {
    b"II*\0": "tiffload", b"MM\0*": "tiffload", b"II+\0": "tiffload", b"MM\0+": "tiffload",
    b"\xff\xd8\xff": "jpegload", b"\x89PNG\r\n\x1a\n": "pngload",
}  # fmt: skip
_USUAL = ("srgb", "rgb", "b-w", "rgb16", "grey16")
_DEPTHS = {"uchar": np.uint8, "ushort": np.uint16}
_LARGE = 50_000_000  # pixels; smaller pictures are decoded whole, which is faster
_UNPACKED = 1_000_000_000  # pixels at most of a JPEG or PNG, which libvips unpacks into a temporary file
_WHOLE = 150_000_000  # pixels at most of a picture that is decoded whole: 1.4 GB
_OVERVIEW = 4096  # pixels of the longer side, at least


class WindowedFile:
    """A picture whose pixels stay in its file until they are asked for, RGB; make one with ``open_windows``.

    Attributes:
        width, height: pixels.
    """

    def __init__(self, path: Path, loader: str) -> None:
        self._path = path
        self._loader = loader
        self._stored = self._open("random")
        self._opened = opened = self._stored.autorot()
        self.width: int = opened.width
        self.height: int = opened.height

    def crop(self, box: tuple[int, int, int, int], most: int = 0) -> Image.Image:
        """The pixels of a box ``xyxy`` inside the picture; of more than ``most``, if given, a smaller copy.

        Raises:
            DataError: when they cannot be read.
        """
        x1, y1, x2, y2 = box
        part = self._opened.crop(x1, y1, x2 - x1, y2 - y1)
        factor = math.ceil(math.sqrt(part.width * part.height / most)) if most else 1
        return self._pixels(part.shrink(factor, factor) if factor > 1 else part)

    def overview(self) -> Image.Image:
        """The whole picture, smaller, with 4,096 pixels at least in its longer side; errors are those of ``crop``."""
        factor = max(1, max(self.width, self.height) // _OVERVIEW)
        small = self._open("sequential").shrink(factor, factor)  # which keeps a few lines at a time
        return self._pixels(small, lambda part: part.copy_memory().autorot())

    @property
    def usual(self) -> bool:
        """Whether the pixels are 8 or 16 bits of grey or RGB, and those of a window can be decoded alone."""
        stored = self._stored
        whole = stored.get_typeof("interlaced") and stored.get("interlaced")
        whole = whole or (self._loader != "tiffload" and stored.width * stored.height > _UNPACKED)
        return not whole and stored.format in _DEPTHS and stored.interpretation in _USUAL and stored.bands <= 4

    def _open(self, access: str) -> pyvips.Image:
        import pyvips

        # as the system spells it: a name may hold bytes that are no text, which pyvips cannot encode
        return getattr(pyvips.Image, self._loader)(os.fsencode(self._path), access=access, fail_on="truncated")

    def _pixels(self, part: pyvips.Image, turned: Callable[[pyvips.Image], pyvips.Image] = lambda part: part) -> Image.Image:
        import pyvips

        try:
            part = turned(part)
            content = part.write_to_memory()
        except pyvips.Error as error:
            raise DataError(f"{self._path}: cannot be read as an image: {reason_of(error, 200)}") from error
        array = np.frombuffer(content, _DEPTHS[part.format]).reshape(part.height, part.width, part.bands)
        array = array[:, :, :3] if part.bands > 2 else array[:, :, 0]
        if part.format == "ushort" and part.bands > 1:
            array = (array >> 8).astype(np.uint8)  # as Pillow reads it, which scales grey alone
        return to_rgb(Image.fromarray(array))


def open_windows(path: str | Path, least: int = _LARGE) -> WindowedFile | None:
    """A file's picture for reading in windows; None where it must be decoded whole.

    That is so for pictures of fewer than ``least`` pixels, of other files than TIFF, JPEG and PNG, of other pixels than 8 or
    16 bits of grey or RGB, of progressive JPEG and interlaced PNG, of a billion pixels in these, and without pyvips.
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


def check_whole(path: str | Path) -> None:
    """Raise a DataError for a picture that is not read in windows and is too large to be decoded whole on usual machines."""
    height, width = read_size(path)
    if height * width > _WHOLE:
        raise DataError(
            f"{path}: has {width} x {height} pixels; more than {_WHOLE:,} are read in windows of TIFF, JPEG and PNG alone, "
            f"of 8 or 16 bits, not progressive or interlaced, JPEG and PNG up to {_UNPACKED:,}, by pyvips (pip install "
            "'resdet[large]')"
        )
