"""The common part of the readers of exports: pictures with their shapes become a data set."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from resdet.data.dataset import DetectionDataset
from resdet.data.formats.annotations import DatasetBuilder, class_mismatch
from resdet.errors import DataError

LARGEST = 1 << 30  # bytes of one export; its content takes several times as much memory
_LONGEST = 2**31 - 1  # pixels
# what code that takes an export to be as its program writes it raises on another
_UNEXPECTED = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)

Box = tuple[float, float, float, float]  # x, y, width, height


class Shape(NamedTuple):
    """An object: what it is called in messages, its class, its box, and whether it stands for a crowd."""

    where: str
    name: str
    box: Box
    crowd: bool = False


class Picture(NamedTuple):
    """An image of an export.

    Attributes:
        where: what it is called in messages.
        name: its file as the export writes it, perhaps a URL or a path of another computer.
        shapes: its objects, boxes in continuous pixels, or, where ``fractions``, in fractions of the image's sides.
        size: height and width in pixels; 0 where the export does not say.
        fractions: whether boxes are fractions.
    """

    where: str
    name: str
    shapes: list[Shape]
    size: tuple[int, int] = (0, 0)
    fractions: bool = False


def dataset_of(
    pictures: Iterable[Picture], root: str | Path, names: Sequence[str] | None, builder: DatasetBuilder
) -> DetectionDataset:
    """The data set of the pictures of an export.

    Args:
        pictures: in the order in which their images get the ids 1 … M.
        root: the folder below which the images lie.
        names: class names in label order; those found, sorted, as numbers where all are, when not given.
        builder: has the notes and problems of the reader already; its source names the export.

    Raises:
        DataError: with every problem: those of the builder, images that are not found, unknown classes, impossible boxes.
    """
    pictures = list(pictures)
    first_use = {shape.name: shape.where for picture in reversed(pictures) for shape in reversed(picture.shapes)}
    found = sorted(first_use, key=int if all(map(str.isdecimal, first_use)) else None)
    names = found if names is None else list(names)
    builder.problems += [f"{builder.source}: {problem}" for problem in class_mismatch(found, names)]
    builder.problems += [f"{first_use[name]}: uses class {name!r}" for name in found if name not in names]
    labels = {name: label for label, name in enumerate(names)}
    for picture in pictures:
        height, width = picture.size if min(picture.size) > 0 else (0, 0)
        if max(height, width) > _LONGEST:
            builder.problems.append(f"{picture.where}: an image's sides must be at most {_LONGEST} pixels")
            height, width = 0, 0
        image = builder.add_image(picture.where, Path(root), picture.name, builder.image_count + 1, height, width)
        height, width = builder.size(image)
        for shape in picture.shapes:
            x, y, w, h = shape.box
            box = (x * width, y * height, w * width, h * height) if picture.fractions else shape.box
            number = builder.object_count + 1
            builder.add_object(
                shape.where, image, labels.get(shape.name, 0), box, number, crowd=shape.crowd, ignore=shape.crowd
            )
    return builder.build(names, range(1, len(names) + 1))


def bounded(path: Path) -> Path:
    """``path``; a DataError where the file is larger than an export that can be read."""
    with contextlib.suppress(OSError):  # whoever opens it tells what is wrong
        if path.stat().st_size > LARGEST:
            raise DataError(f"{path}: is larger than {LARGEST >> 30} GiB, the most that is read of one export")
    return path


@contextlib.contextmanager
def expecting(what: str, where: str, builder: DatasetBuilder) -> Iterator[None]:
    """Turn whatever an unexpected content makes a reader raise into a problem: ``where`` is not ``what``."""
    try:
        yield
    except _UNEXPECTED as error:
        reason = f"the key {error} is missing" if isinstance(error, KeyError) else f"{' '.join(str(error).split()):.120}"
        builder.problems.append(f"{where}: is not {what}: {reason}")


def text(value: Any) -> str:
    """A class name or a file name; a ValueError for what is no text, or none.

    A whole number counts as its text, for some programs write classes as numbers.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"a name must be text, got {value!r:.60}")
    return value.strip()
