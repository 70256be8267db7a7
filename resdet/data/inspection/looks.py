"""What decoding every image of a data set tells, in one pass."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from resdet.data.dataset import ClassificationDataset, DetectionDataset, size_problem
from resdet.data.images.likeness import fingerprint
from resdet.data.loading.parallel import in_chunks
from resdet.errors import DataError
from resdet.images import greatest_of_16_bits, read_file, read_header, read_image

# what makes a portrait of a landscape
_SIDEWAYS = (Image.Transpose.TRANSPOSE, Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270)


@dataclass(frozen=True, eq=False)
class Looks:
    """What the images of a data set are like; M images.

    Attributes:
        digests: M hashes of the files' bytes; empty for an image that cannot be used.
        fingerprints: uint64 (M,), of the pixels, see ``likeness``.
        turns: M, what turns the stored pixels upright by EXIF; None: they are.
        greatest: int64 (M,), the greatest value of an image of 16 bits; 0 for others.
        blank: bool (M,), all pixels are equal.
        problems: what is wrong with the images that cannot be used.
        unturned: bool (M,), of those the ones that are annotated as they lie stored, before EXIF turns them.
    """

    digests: tuple[bytes, ...]
    fingerprints: NDArray[np.uint64]
    turns: tuple[Image.Transpose | None, ...]
    greatest: NDArray[np.int64]
    blank: NDArray[np.bool_]
    problems: tuple[str, ...]
    unturned: NDArray[np.bool_]

    @property
    def usable(self) -> NDArray[np.bool_]:
        """The images that can be read and have the annotated size, bool (M,)."""
        return np.array([bool(digest) for digest in self.digests], bool)

    @property
    def turned(self) -> NDArray[np.bool_]:
        """The images whose stored pixels lie otherwise than the upright ones, bool (M,)."""
        return np.array([turn is not None for turn in self.turns], bool)

    @property
    def sideways(self) -> NDArray[np.bool_]:
        """The images whose width and height are those of the stored pixels exchanged, bool (M,)."""
        return np.array([turn in _SIDEWAYS for turn in self.turns], bool)


class _Look(NamedTuple):
    """The row of ``Looks`` of one image; that of an image that cannot be used, unless more is known."""

    digest: bytes = b""
    fingerprint: int = 0
    turn: Image.Transpose | None = None
    greatest: int = 0
    blank: bool = False
    unturned: bool = False
    problems: tuple[str, ...] = ()


def look_at(dataset: DetectionDataset | ClassificationDataset) -> Looks:
    """Decode every image of a data set that lies in files."""

    def looks_of(indices: Sequence[int]) -> list[_Look]:
        return [_look(dataset, index) for index in indices]

    return _looks([row for part in in_chunks(looks_of, range(len(dataset))) for row in part])


def _looks(rows: Sequence[_Look]) -> Looks:
    return Looks(
        tuple(row.digest for row in rows),
        np.array([row.fingerprint for row in rows], np.uint64),
        tuple(row.turn for row in rows),
        np.array([row.greatest for row in rows], np.int64),
        np.array([row.blank for row in rows], bool),
        tuple(problem for row in rows for problem in row.problems),
        np.array([row.unturned for row in rows], bool),
    )


def glance_at(datasets: Sequence[ClassificationDataset]) -> list[Looks]:
    """What is known without decoding: the digests of files of one length, for others are no copies. Those count as blank."""
    paths = [[dataset.path(index) for index in range(len(dataset))] for dataset in datasets]
    lengths = {path: path.stat().st_size if path.is_file() else 0 for of_one in paths for path in of_one}
    several = {length for length, count in Counter(lengths.values()).items() if count > 1}
    return [_looks([_glance(path) if lengths[path] in several else _Look() for path in of_one]) for of_one in paths]


def _glance(path: Path) -> _Look:
    try:
        return _Look(_digest(read_file(path)), blank=True)
    except DataError as error:
        return _Look(problems=error.problems)


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def _look(dataset: DetectionDataset | ClassificationDataset, index: int) -> _Look:
    path = dataset.path(index)
    try:
        content = read_file(path)
        image = read_image(path, content)
        _, turn = read_header(path, content)
    except DataError as error:
        return _Look(problems=error.problems)
    size = dataset.size(index) if isinstance(dataset, DetectionDataset) else (image.height, image.width)
    if problem := size_problem(path, (image.height, image.width), size):
        before = turn in _SIDEWAYS and (image.width, image.height) == size
        return _Look(turn=turn, unturned=before, problems=(problem,))
    pixels = np.asarray(image)
    return _Look(
        _digest(content),
        fingerprint(pixels),
        turn,
        greatest_of_16_bits(content),
        bool((pixels == pixels[0, 0]).all()),
    )
