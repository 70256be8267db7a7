"""Pascal VOC's xml files.

VOC counts pixels from 1 and its boxes include their last pixel; here a box is continuous, so ``xmin, ymin`` lose 1 on reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
from defusedxml.common import DefusedXmlException

from resdet.data.annotations import DatasetBuilder, class_mismatch, unsafe_name
from resdet.data.dataset import DetectionDataset
from resdet.errors import DataError


def read_voc(
    root: str | Path, split: str, names: Sequence[str] | None = None, *, keep_difficult: bool = False
) -> DetectionDataset:
    """Read one image set of a VOC folder.

    An image is ``JPEGImages/<id>.jpg``, or, where that is missing, the same with the suffix of its xml's ``filename``. Image
    ids are 1 … M in the order of the image set; category ids are label + 1.

    Args:
        root: the folder that holds Annotations, ImageSets and JPEGImages.
        split: a name under ImageSets/Main, without ``.txt``.
        names: class names in label order; those found, sorted, when not given.
        keep_difficult: train on objects marked difficult; otherwise they are ignored. The mark itself stays, for evaluation.

    Raises:
        DataError: with every problem of the files: a missing list or xml, broken XML, missing or mistyped elements, ids listed
            twice, boxes that are not finite, reversed or outside, unsafe or missing image files, unknown classes.
    """
    root = Path(root)
    builder = DatasetBuilder(str(root / "ImageSets" / "Main" / f"{split}.txt"))
    trees = {key: _parse(root, key, builder.problems) for key in _read_split(Path(builder.source), builder.problems)}
    first_use = {name: key for key in reversed(trees) for name in _class_names(trees[key])}
    names = sorted(first_use) if names is None else list(names)
    if mismatch := class_mismatch(sorted(first_use), names):
        builder.problems += [f"{builder.source}: {problem}" for problem in mismatch]
        unknown = [name for name in sorted(first_use) if name not in names]
        builder.problems += [f"{_xml_path(root, first_use[name])}: uses class {name!r}" for name in unknown]
    for key, parsed in trees.items():
        if parsed is not None:
            _read_image(root, key, parsed, builder, names, keep_difficult)
    return builder.build(names, range(1, len(names) + 1))


def _read_split(path: Path, problems: list[str]) -> list[str]:
    """The image ids of a list; class lists with a second column are read too."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not text: {error}") from error
    keys: dict[str, None] = {}
    for key in (line.split()[0] for line in lines if line.split()):
        if problem := unsafe_name(key):
            problems.append(f"{path}: {problem}")
        elif key in keys:
            problems.append(f"{path}: image {key!r} is listed twice")
        else:
            keys[key] = None
    return list(keys)


def _xml_path(root: Path, key: str) -> Path:
    return root / "Annotations" / f"{key}.xml"


def _parse(root: Path, key: str, problems: list[str]) -> Element | None:
    path = _xml_path(root, key)
    try:
        return defusedxml.ElementTree.parse(path).getroot()
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror}")
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        problems.append(f"{path}: is not XML that can be read: {' '.join(str(error).split())}")
    return None


def _class_names(tree: Element | None) -> set[str]:
    return set() if tree is None else {name for item in tree.findall("object") if (name := _text(item, "name"))}


def _read_image(root: Path, key: str, tree: Element, builder: DatasetBuilder, names: list[str], keep_difficult: bool) -> None:
    path = _xml_path(root, key)
    size = tree.find("size")
    height, width = (_number(size, tag, path, "size", builder.problems, positive=True) for tag in ("height", "width"))
    folder = root / "JPEGImages"
    # the id and not the filename, which renaming and copying leave behind, says which image it is
    suffix = ".jpg" if (folder / f"{key}.jpg").is_file() else PurePath(_text(tree, "filename")).suffix or ".jpg"
    # with a broken size the objects are still read, for their own problems, against an image without end
    image_size = (int(height), int(width)) if height and width else (2**31, 2**31)
    image = builder.add_image(str(path), folder, f"{key}{suffix}", builder.image_count + 1, *image_size)
    for row, item in enumerate(tree.findall("object")):
        _read_object(item, f"{path}: object {row + 1}", image, builder, names, keep_difficult)


def _read_object(
    item: Element, where: str, image: int, builder: DatasetBuilder, names: list[str], keep_difficult: bool
) -> None:
    problems = builder.problems
    name = _text(item, "name")
    if not name:
        problems.append(f"{where}: 'name' must not be empty or missing")
    flag = _text(item, "difficult") or "0"
    if flag not in ("0", "1"):
        problems.append(f"{where}: 'difficult' must be 0 or 1, got {flag!r}")
    box = item.find("bndbox")
    corners = [_number(box, tag, where, "bndbox", problems) for tag in ("xmin", "ymin", "xmax", "ymax")]
    if None in corners or name not in names:
        return
    xmin, ymin, xmax, ymax = (float(corner or 0) for corner in corners)
    difficult = flag == "1"
    builder.add_object(
        where,
        image,
        names.index(name),
        (xmin - 1, ymin - 1, xmax - xmin + 1, ymax - ymin + 1),
        builder.object_count + 1,
        difficult=difficult,
        ignore=difficult and not keep_difficult,
    )


def _text(element: Element, tag: str) -> str:
    return (element.findtext(tag) or "").strip()


def _number(
    element: Element | None, tag: str, where: str | Path, parent: str, problems: list[str], *, positive: bool = False
) -> float | None:
    """The number in a child element, or None after complaining."""
    text = "" if element is None else _text(element, tag)
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
