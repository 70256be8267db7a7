"""The common part of all annotation readers: collect images, objects and problems, then build the data set or raise them."""

from __future__ import annotations

import os
import warnings
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resdet.data.convention import AS_READ, Convention
from resdet.data.dataset import DetectionDataset
from resdet.data.formats.coco_rows import LIMIT
from resdet.data.formats.image_files import ImageFiles
from resdet.data.formats.readings import ROUNDED
from resdet.data.formats.wrong_boxes import WrongBoxes
from resdet.errors import DataError, did_you_mean, near_miss
from resdet.images import read_size
from resdet.wording import first_few

# pixels; a box with a shorter side counts as empty, because float32 arithmetic may make it empty
_SMALLEST_SIDE = 0.01
# pixels; a fraction times the image's side may miss the image's edge by this much in float64
ROUNDING = 1e-6
_EXPLAINED = 5  # unknown classes that have a line of their own, with a near name
_DIFFERENT = 20  # names of each side of a difference of classes
# what is known of an object besides its box, and how it is kept
_COLUMNS = {
    "owners": "q", "labels": "q", "crowd": "b", "difficult": "b", "ignore": "b", "empty": "b", "areas": "d",
    "annotation_ids": "q",
}  # fmt: skip
_DTYPES = {"q": np.int64, "b": np.bool_, "d": np.float64}
# the side in pixels of an image whose size is not known, against which its objects are still read for their own problems
_ENDLESS = 2**31


_KEEPING = ContextVar("keeping wrong boxes", default=False)


@contextmanager
def keeping_wrong_boxes() -> Iterator[None]:
    """Within it, readers keep boxes that are wholly outside, reversed or no fractions, which are errors elsewhere."""
    token = _KEEPING.set(True)
    try:
        yield
    finally:
        _KEEPING.reset(token)


def is_keeping() -> bool:
    """Whether wrong boxes are kept, see ``keeping_wrong_boxes``."""
    return _KEEPING.get()


class BoxWarning(UserWarning):
    """Boxes that training clips or leaves out, or that look like a mistake. ``resdet data check`` tells more of them."""


class DatasetBuilder:
    """Collects the images and objects of one source.

    ``problems`` are lines for the user; ``build`` raises them together. Objects may come in any order of images.
    ``convention``: how the files hold boxes. ``fixable``: ``data fix`` takes data of this format.
    """

    def __init__(self, source: str, convention: Convention = AS_READ, *, fixable: bool = True) -> None:
        self.source, self.convention = source, convention
        self.keeping = is_keeping()
        self.problems: list[str] = []
        self._files = ImageFiles(self.note)
        self._images: list[tuple[int, int, int]] = []  # of each image: id, height and width
        # of each object: columns, for there may be ten millions
        self._columns: dict[str, array[Any]] = {name: array(kind) for name, kind in _COLUMNS.items()}
        self._corners = array("d")
        self._empty: list[str] = []
        self._outside: list[tuple[float, str]] = []
        self._wrong = WrongBoxes(convention, fixable)
        self._notes: dict[str, tuple[int, str]] = {}

    def note(self, what: str, where: str) -> None:
        """Count something unusual that was read all the same, for one warning a kind; ``what`` is its plural."""
        count, first = self._notes.get(what, (0, where))
        self._notes[what] = (count + 1, first)

    @property
    def image_count(self) -> int:
        """The number of images added so far, and so the index of the next one."""
        return len(self._images)

    def size(self, image: int) -> tuple[int, int]:
        """(height, width) of image index ``image``, pixels; endless where its file is missing or broken, which is told."""
        return self._images[image][1:]

    @property
    def object_count(self) -> int:
        """The number of objects added and kept so far."""
        return len(self._columns["labels"])

    @property
    def _boxes(self) -> NDArray[np.float64]:
        """float64 (N, 4): x, y, width, height of the objects."""
        return np.frombuffer(self._corners, np.float64).reshape(-1, 4)

    def _column(self, name: str) -> NDArray[Any]:
        return np.frombuffer(self._columns[name], _DTYPES[_COLUMNS[name]])

    def add_image(self, where: str, folder: Path, name: str, image_id: int, height: int = 0, width: int = 0) -> int:
        """Add an image whose file is ``folder/name`` and return its index. An unsafe name or a missing file is a problem.

        Names that are written in another way are counted for a warning, and so are images that lie elsewhere below ``folder``,
        see ``ImageFiles``. A height and width of 0 are those that the image's header tells.
        """
        unknown = not (height and width)
        if problem := self._files.add(where, folder, name, at_once=unknown):
            self.problems.append(problem)
        if unknown:
            height, width = self._header(self._files.paths[-1])
        self._images.append((image_id, height, width))
        return len(self._images) - 1

    def _header(self, path: bytes) -> tuple[int, int]:
        """(height, width) of an image file; a file that is missing is told by ``build``."""
        if os.path.isfile(path):  # noqa: PTH113
            try:
                return read_size(os.fsdecode(path))
            except DataError as error:
                self.problems += error.problems
        return _ENDLESS, _ENDLESS

    def add_object(
        self,
        where: str,
        image: int,
        label: int,
        box: tuple[float, float, float, float],
        annotation_id: int,
        *,
        area: float | None = None,
        crowd: bool = False,
        difficult: bool = False,
        ignore: bool = False,
    ) -> None:
        """Add an object of image index ``image``; ``box`` is ``x, y, width, height`` in continuous pixels.

        A box without area is kept for evaluation only and a box partly outside is clipped in training, both counted for one
        warning at the end; a box that is not finite, of negative size, or wholly outside is a problem.
        """
        x, y, width, height = box
        _, image_height, image_width = self._images[image]
        empty = width == 0 or height == 0
        if not all(abs(value) < LIMIT for value in box):  # NaN is not, either
            self.problems.append(f"{where}: box must be finite, got {_show(box)}")
        elif (width < 0 or height < 0) and not self.keeping:
            self._wrong.add_reversed(f"{where}: box must have a positive width and height, got {_show(box)}", box, image)
        elif not (empty or self.keeping) and (x >= image_width or y >= image_height or x + width <= 0 or y + height <= 0):
            text = f"{where}: box lies wholly outside its image of {image_width} x {image_height} pixels, got {_show(box)}"
            self._wrong.add_outside(text, box, image)
        else:
            overshoot = max(-x, -y, x + width - image_width, y + height - image_height)
            visible_width = min(x + width, image_width) - max(x, 0)
            visible_height = min(y + height, image_height) - max(y, 0)
            empty = empty or min(visible_width, visible_height) < _SMALLEST_SIDE
            if empty:
                self._empty.append(where)
            elif overshoot >= ROUNDED:
                self._outside.append((overshoot, where))
            self._corners.extend(box)
            area = width * height if area is None else area
            values = (image, label, crowd, difficult, ignore, empty, area, annotation_id)
            for column, value in zip(self._columns.values(), values, strict=True):
                column.append(value)

    def build(self, names: Sequence[str], category_ids: Sequence[int]) -> DetectionDataset:
        """The data set, objects ordered by image.

        Raises:
            DataError: with every problem found.
        """
        missing = self._files.missing()
        if missing and len(missing) == len(self._images) > 1:
            self.problems.append(f"{self.source}: none of its {len(missing)} image files exists; {missing[0]}")
        else:
            self.problems += missing
        self.problems += self._files.shared(self.source)
        shown = np.array([size[:0:-1] for size in self._images], np.int64).reshape(-1, 2)
        self.problems += self._wrong.problems(self._boxes, self._column("owners"), shown)
        if not self._images and not self.problems:
            self.problems.append(f"{self.source}: holds no image")
        if self.problems:
            raise DataError(self.problems)
        self._warn()
        ids, heights, widths = zip(*self._images, strict=True)
        owners = self._column("owners")
        order = np.argsort(owners, kind="stable")
        objects = {name: self._column(name)[order] for name in _COLUMNS if name != "owners"}
        return DetectionDataset(
            names=tuple(names),
            category_ids=tuple(category_ids),
            source=self.source,
            files=np.array(self._files.paths, dtype=np.bytes_),
            ids=np.array(ids, dtype=np.int64),
            sizes=np.stack([np.array(heights, dtype=np.int64), np.array(widths, dtype=np.int64)], axis=1),
            offsets=np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=len(ids)))]).astype(np.int64),
            boxes=self._boxes[order],
            convention=self.convention,
            **objects,
        )

    def _twice(self) -> NDArray[np.int64]:
        """The places of the objects that equal one before them in image, class and box, in order."""
        keys = [*self._boxes.T, self._column("labels"), self._column("owners")]
        order = np.lexsort(keys)  # which keeps the order of equals
        same = np.all([key[order[1:]] == key[order[:-1]] for key in keys], axis=0)
        return np.sort(order[1:][same])

    def _warn(self) -> None:
        for what, (count, where) in self._notes.items():
            warnings.warn(f"{self.source}: {count} {what}, the first: {where.removeprefix(f'{self.source}: ')}", stacklevel=4)
        for text in self._doubts_of_boxes():
            warnings.warn(f"{self.source}: {text}", BoxWarning, stacklevel=4)

    def _doubts_of_boxes(self) -> Iterator[str]:
        if in_first_pixel(self._boxes, np.array([size for _, *size in self._images])):
            yield "every box lies within the first pixel; boxes are in pixels, are these fractions of the image?"
        if len(twice := self._twice()):
            path = self._files.paths[self._columns["owners"][twice[0]]]
            first = f"{_show(self._boxes[twice[0]])} of {os.fsdecode(path)}"
            yield f"{len(twice)} objects are given twice, with the same image, class and box, the first: {first}"
        if self._empty:
            yield f"{len(self._empty)} boxes without area are left out of training, the first: {self._empty[0]}"
        if self._outside:
            overshoot, where = max(self._outside)
            count = len(self._outside)
            yield f"{count} boxes reach out of their images and were clipped, by {overshoot:.3g} pixels at most: {where}"


def in_first_pixel(boxes: NDArray[np.float64], sizes: NDArray[Any]) -> bool:
    """Whether all boxes (N, 4) lie in the first pixel of images of these sizes, as fractions taken for pixels do."""
    return len(boxes) > 0 and bool(boxes.max() <= 1 and np.isfinite(sizes).all() and sizes.min() > 1)


def class_mismatch(found: Sequence[str], names: Sequence[str]) -> list[str]:
    """Problems with the class names ``found`` in a file: the first of those not in ``names``, and the difference of both, once.

    Classes that the file lacks are no problem, because a small split need not hold every class.
    """
    wanted, there = set(names), set(found)
    unknown = [name for name in found if name not in wanted]
    if not unknown:
        return []
    hint = did_you_mean if len(names) <= _DIFFERENT else near_miss  # the difference below names them, once
    lines = [f"class {name!r} is not among the classes asked for{hint(name, list(names))}" for name in unknown[:_EXPLAINED]]
    lacking = [name for name in names if name not in there]
    only = [first_few(each, _DIFFERENT) or "none" for each in (unknown, lacking)]
    return [*lines, f"only in the file: {only[0]}; only asked for: {only[1]}"]


def _show(box: Sequence[float]) -> str:
    return "[" + ", ".join(f"{value:g}" for value in box) + "] (x, y, width, height)"
