"""Reads the XML files of PASCAL VOC, a format that ImageNet uses for its boxes too.

The coordinates of a box are those of its first and its last pixel, both included. VOC counts pixels from 1, ImageNet from 0
(its boxes run from 0 to width - 1); here a box is continuous: ``x = xmin - first, width = xmax - xmin + 1``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
from defusedxml.common import DefusedXmlException

from resdet.data.formats.annotations import DatasetBuilder, class_mismatch
from resdet.data.formats.file_names import unsafe_name
from resdet.errors import DataError
from resdet.files import read_text, regular

_MARKS = {"": 0, "0": 0, "false": 0, "unspecified": 0, "1": 1, "true": 1}


def read_image_set(path: Path, known: Callable[[str], bool], problems: list[str]) -> list[str]:
    """The image names of a list, one a line, each perhaps with a number behind it, as in the lists of a class.

    Args:
        path: the list, UTF-8.
        known: whether a name is that of an image; it tells a number behind a name from a name that ends in one.
        problems: gets a line for each name that is unsafe or listed twice; such a name is not returned.

    Raises:
        DataError: the file cannot be read, or is not text.
    """
    try:
        lines = read_text(path).splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not text: {error}") from error
    names: dict[str, None] = {}
    for line in filter(None, map(str.strip, lines)):
        first, *rest = line.rsplit(maxsplit=1)
        name = first if rest and rest[0].lstrip("-").isdecimal() and not known(line) else line
        if problem := unsafe_name(name):
            problems.append(f"{path}: {problem}")
        elif name in names:
            problems.append(f"{path}: image {name!r} is listed twice")
        else:
            names[name] = None
    return list(names)


def parse_xml(path: Path, problems: list[str]) -> Element | None:
    """The root of an XML file, or None after adding to ``problems`` why it cannot be read; entities are refused."""
    try:
        return defusedxml.ElementTree.parse(regular(path)).getroot()
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror}")
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        problems.append(f"{path}: is not XML that can be read: {' '.join(str(error).split())}")
    return None


def known_names(
    source: str, trees: Mapping[Path, Element | None], names: Sequence[str] | None, problems: list[str]
) -> list[str]:
    """Class names in label order: ``names``, or when None those of the objects in ``trees`` (by file), sorted.

    ``problems`` gets the difference of the two, and the first file that uses each unknown name.
    """
    first_use = {name: path for path in reversed(list(trees)) for name in _class_names(trees[path])}
    if names is None:
        return sorted(first_use)
    problems += [f"{source}: {problem}" for problem in class_mismatch(sorted(first_use), names)]
    problems += [f"{path}: uses class {name!r}" for name, path in sorted(first_use.items()) if name not in names]
    return list(names)


def read_size_element(tree: Element, path: Path, problems: list[str]) -> tuple[int, int]:
    """The (height, width) of the ``size`` element, pixels.

    After a problem they are 2**31, an image without end, against which the objects are still read for their own problems.
    """
    size = tree.find("size")
    height, width = (_number(size, tag, path, "size", problems, positive=True) for tag in ("height", "width"))
    return (int(height), int(width)) if height and width else (2**31, 2**31)


def add_objects(
    tree: Element,
    path: Path,
    image: int,
    builder: DatasetBuilder,
    names: Sequence[str],
    *,
    first_pixel: int,
    keep_difficult: bool = False,
) -> None:
    """Add the objects of an XML file to image index ``image`` of ``builder``, with every problem of theirs.

    Args:
        tree: the root of the file.
        path: the file, for messages.
        image: index of the image.
        builder: gets the objects and the problems.
        names: class names in label order; ``known_names`` reports objects of other classes.
        first_pixel: the number of the first pixel, 0 or 1.
        keep_difficult: whether objects marked difficult are trained on; otherwise they are ignored.
    """
    for row, item in enumerate(tree.findall("object")):
        _add_object(item, f"{path}: object {row + 1}", image, builder, names, first_pixel, keep_difficult)


def text_of(element: Element, tag: str) -> str:
    """The text of a child element without space around it, "" where there is none."""
    return (element.findtext(tag) or "").strip()


def _class_names(tree: Element | None) -> set[str]:
    return set() if tree is None else {name for item in tree.findall("object") if (name := text_of(item, "name"))}


def _add_object(
    item: Element,
    where: str,
    image: int,
    builder: DatasetBuilder,
    names: Sequence[str],
    first_pixel: int,
    keep_difficult: bool,
) -> None:
    problems = builder.problems
    name = text_of(item, "name")
    if not name:
        problems.append(f"{where}: 'name' must not be empty or missing")
    difficult = _difficult(item, where, builder)
    box = item.find("bndbox")
    corners = [_number(box, tag, where, "bndbox", problems) for tag in ("xmin", "ymin", "xmax", "ymax")]
    if None in corners or name not in names:
        return
    xmin, ymin, xmax, ymax = (float(corner or 0) for corner in corners)
    builder.add_object(
        where,
        image,
        names.index(name),
        (xmin - first_pixel, ymin - first_pixel, xmax - xmin + 1, ymax - ymin + 1),
        builder.object_count + 1,
        difficult=difficult,
        ignore=difficult and not keep_difficult,
    )


def _difficult(item: Element, where: str, builder: DatasetBuilder) -> bool:
    """Whether an object is marked difficult, also where a program wrote the mark in its own way."""
    given = next((child for child in item if child.tag.lower() == "difficult"), None)
    text = "" if given is None else (given.text or "").strip()
    if given is None or (given.tag, text) in {("difficult", ""), ("difficult", "0"), ("difficult", "1")}:
        return text == "1"
    if text.lower() not in _MARKS:
        builder.problems.append(f"{where}: 'difficult' must be 0 or 1, got {text!r}")
        return False
    builder.note(f"objects have <{given.tag}>{text}</{given.tag}>, read as difficult {_MARKS[text.lower()]}", where)
    return _MARKS[text.lower()] == 1


def _number(
    element: Element | None, tag: str, where: str | Path, parent: str, problems: list[str], *, positive: bool = False
) -> float | None:
    """The number in a child element, or None after adding a problem."""
    text = "" if element is None else text_of(element, tag)
    rule = "a positive integer" if positive else "a number"
    try:
        value = float(int(text)) if positive else float(text)
    except (ValueError, OverflowError):
        problems.append(f"{where}: '{parent}/{tag}' must be {rule}, got {text!r}" + ("" if text else " (missing or empty)"))
        return None
    if positive and not 0 < value < 2**31:
        problems.append(f"{where}: '{parent}/{tag}' must be {rule}, got {text!r}")
        return None
    return value
