"""What decoding every image of a data set tells, in one pass."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resdet.data.dataset import DetectionDataset, size_problem
from resdet.data.images.likeness import fingerprint
from resdet.data.loading.parallel import in_chunks
from resdet.errors import DataError
from resdet.images import greatest_of_16_bits, read_file, read_header, read_image


@dataclass(frozen=True, eq=False)
class Looks:
    """What the images of a data set are like; M images.

    Attributes:
        digests: M hashes of the files' bytes; empty for an image that cannot be used.
        fingerprints: uint64 (M,), of the pixels, see ``likeness``.
        turned: bool (M,), the stored pixels lie otherwise than the upright image (EXIF).
        sideways: bool (M,), of those the ones whose width and height change places.
        greatest: int64 (M,), the greatest value of an image of 16 bits; 0 for others.
        blank: bool (M,), all pixels are equal.
        problems: what is wrong with the images that cannot be used.
    """

    digests: tuple[bytes, ...]
    fingerprints: NDArray[np.uint64]
    turned: NDArray[np.bool_]
    sideways: NDArray[np.bool_]
    greatest: NDArray[np.int64]
    blank: NDArray[np.bool_]
    problems: tuple[str, ...]

    @property
    def usable(self) -> NDArray[np.bool_]:
        """The images that can be read and have the annotated size, bool (M,)."""
        return np.array([bool(digest) for digest in self.digests], bool)


_Row = tuple[bytes, int, bool, bool, int, bool]
_UNUSABLE: _Row = (b"", 0, False, False, 0, False)


def look_at(dataset: DetectionDataset) -> Looks:
    """Decode every image of a data set that lies in files."""

    def rows_of(indices: Sequence[int]) -> tuple[list[_Row], list[str]]:
        rows: list[_Row] = []
        problems: list[str] = []
        for index in indices:
            try:
                rows.append(_look(dataset, index))
            except DataError as error:
                rows.append(_UNUSABLE)
                problems += error.problems
        return rows, problems

    parts = list(in_chunks(rows_of, range(len(dataset))))
    digests, prints, turned, sideways, greatest, blank = zip(*(row for rows, _ in parts for row in rows), strict=True)
    return Looks(
        digests,
        np.array(prints, np.uint64),
        np.array(turned, bool),
        np.array(sideways, bool),
        np.array(greatest, np.int64),
        np.array(blank, bool),
        tuple(problem for _, problems in parts for problem in problems),
    )


def _look(dataset: DetectionDataset, index: int) -> _Row:
    path = dataset.path(index)
    content = read_file(path)
    image = read_image(path, content)
    if problem := size_problem(path, (image.height, image.width), dataset.size(index)):
        raise DataError(problem)
    pixels = np.asarray(image)
    upright, turn = read_header(path, content)
    return (
        hashlib.blake2b(content, digest_size=16).digest(),
        fingerprint(pixels),
        turn is not None,
        turn is not None and turn.name in ("TRANSPOSE", "TRANSVERSE", "ROTATE_90", "ROTATE_270") and upright[0] != upright[1],
        greatest_of_16_bits(content),
        bool((pixels == pixels[0, 0]).all()),
    )
