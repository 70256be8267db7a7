"""Reads YOLO's text files: one file for each image, one line for each object, in fractions of the image's sides."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from resdet.data.dataset import DetectionDataset
from resdet.data.formats.annotations import DatasetBuilder, class_mismatch, spelled_here, unsafe_name
from resdet.data.formats.folder import is_image_name
from resdet.errors import DataError
from resdet.files import walk_files
from resdet.images import read_size

DESCRIPTION = "data.yaml"
SPLITS = ("train", "val", "test")


class _PlainLoader(yaml.SafeLoader):
    """Loads YAML without merge keys (``<<``), because a few nested ones can make an enormous mapping."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Refuse merge keys."""
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise yaml.constructor.ConstructorError(None, None, "merge keys (<<) are not read", node.start_mark)


def read_yolo(
    root: str | Path, split: str, names: Sequence[str] | None = None, description: str | Path | None = None
) -> DetectionDataset:
    """Read one split of a YOLO folder.

    The images are those below ``images/<split>``, or where the yaml's entry of the split says: a folder, a text file of paths,
    or a list of these, relative to ``root`` (paths in a text file to its folder); a leading ``../``, which some exports write,
    is dropped, and the yaml's own ``path`` is not used. An image's label file has the same path with ``labels`` for the last
    folder called ``images``, and the suffix ``.txt``. Its lines are ``class x y width height``: an index into the yaml's
    ``names``, and the centre and size of the box as fractions of the image's sides. Without a label file an image has no
    objects. Sizes come from the images' headers, upright by EXIF. Image ids are 1 … M by path, or in the order of a text file;
    category ids are label + 1.

    Args:
        root: the data set's folder.
        split: train, val or test.
        names: class names in label order, to which those of the yaml are mapped; the yaml's own when not given.
        description: the yaml, when it is not ``root/data.yaml``.

    Raises:
        DataError: with every problem of the files: a broken yaml, missing folders and images, images that share a label file,
            label files without an image, broken lines, boxes that are not finite, negative or outside, unknown classes.
    """
    root = Path(root)
    source = root / DESCRIPTION if description is None else Path(description)
    content = _read_yaml(source)
    builder = DatasetBuilder(str(source))
    found = _class_names(content.get("names"), source, builder.problems)
    names = found if names is None else list(names)
    builder.problems += [f"{source}: {problem}" for problem in class_mismatch(found, names)]
    labels = [names.index(name) if name in names else 0 for name in found]
    label_files: dict[Path, str] = {}
    for image in _image_paths(root, source, content.get(split), split, builder.problems):
        label_file = root / label_path(image)
        if label_file in label_files:
            builder.problems.append(f"{root / image}: its label file {label_file} is that of {label_files[label_file]} too")
        label_files[label_file] = image
        _read_image(root, image, label_file, labels, builder)
    return builder.build(names, range(1, len(names) + 1))


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_bytes(), _PlainLoader)  # noqa: S506  # a SafeLoader
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: must be a mapping with the key 'names', got {type(content).__name__}")
    return content


def _class_names(value: Any, source: Path, problems: list[str]) -> list[str]:
    if isinstance(value, dict):
        if set(value) != set(range(len(value))):
            problems.append(f"{source}: 'names' must have the keys 0 … {len(value) - 1}, got {_shown(list(value))}")
            return []
        value = [value[index] for index in range(len(value))]
    if not isinstance(value, list) or not value:
        problems.append(f"{source}: 'names' must be a list of class names, or a mapping of their indices, got {_shown(value)}")
        return []
    names: list[str] = []
    for index, name in enumerate(value):
        if not isinstance(name, str) or not name:
            problems.append(f"{source}: 'names': class {index} must be text (in quotes, if need be), got {_shown(name)}")
        elif name in names:
            problems.append(f"{source}: 'names': {name!r} is used twice")
        # not str(name): with aliases a small file can hold an enormous list
        names.append(name if isinstance(name, str) else f"class {index}")
    return names


def _image_paths(root: Path, source: Path, entry: Any, split: str, problems: list[str]) -> list[str]:
    """The split's images, paths relative to ``root`` with forward slashes."""
    images: dict[str, None] = {}
    for value in [f"images/{split}"] if entry in (None, "") else entry if isinstance(entry, list) else [entry]:
        if not isinstance(value, str):
            problems.append(f"{source}: {split!r} must name folders or text files, got {_shown(value)}")
            continue
        place = str(PurePosixPath(spelled_here(root, value).removeprefix("../")))
        if problem := unsafe_name(place):
            problems.append(f"{source}: {split!r}: {problem}")
        elif os.path.isdir(root / place):  # noqa: PTH112  # unlike Path.is_dir it is False, not an error, for a name too long
            found = _walk(root, place)
            images |= dict.fromkeys(found)
            problems += _orphans(root, place, found)
        elif place.endswith(".txt"):
            images |= dict.fromkeys(_listed(root, place, images, problems))
        else:
            problems.append(f"{source}: {split!r}: no such folder of images: {root / place}")
    return list(images)


def _walk(root: Path, place: str, *, labels: bool = False) -> list[str]:
    """Images, or label files, below a folder of ``root``, by path relative to ``root``."""
    if labels and not (root / place).is_dir():
        return []
    # LabelImg puts its classes.txt among the labels
    return sorted(
        path.relative_to(root).as_posix()
        for path in map(Path, walk_files(root / place))
        if (path.suffix == ".txt" and path.name != "classes.txt" if labels else is_image_name(path.name))
    )


def _orphans(root: Path, place: str, images: Sequence[str]) -> list[str]:
    """Label files of a folder of images to which there is no image; none where images and labels lie together."""
    folder = label_path(f"{place}/x").rpartition("/")[0]
    if folder == place:
        return []
    known = {label_path(image) for image in images}
    return [
        f"{root / path}: a label file without an image in {root / place}"
        for path in _walk(root, folder, labels=True)
        if path not in known
    ]


def _listed(root: Path, place: str, before: dict[str, None], problems: list[str]) -> list[str]:
    path = root / place
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}")
        return []
    images: dict[str, None] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name = spelled_here(path.parent, line.strip())
        image = str(PurePosixPath(place).parent / name)
        if problem := unsafe_name(name):
            problems.append(f"{path}: line {number}: {problem}")
        elif image in images or image in before:
            problems.append(f"{path}: line {number}: {name!r} is listed twice")
        else:
            images[image] = None
    return list(images)


def label_path(image: str) -> str:
    """The label file of an image, both relative to the data set's folder, with forward slashes."""
    parts = image.split("/")
    folders = [index for index, part in enumerate(parts[:-1]) if part == "images"]
    if folders:
        parts[folders[-1]] = "labels"
    return str(PurePosixPath(*parts).with_suffix(".txt"))


def _read_image(root: Path, image: str, label_file: Path, labels: Sequence[int], builder: DatasetBuilder) -> None:
    try:
        height, width = read_size(root / image)
    except DataError as error:
        builder.problems += error.problems
        return
    index = builder.add_image(builder.source, root, image, builder.image_count + 1, height, width)
    try:
        lines = label_file.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        builder.problems.append(f"{label_file}: cannot be read: {getattr(error, 'strerror', None) or error}")
        return
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{label_file}: line {number}"
        try:
            key, *fractions = line.split()
            x, y, w, h = map(float, fractions)
            label = labels[_index(key, len(labels))]
        except ValueError:
            rule = f"'class x y width height', a class from 0 to {len(labels) - 1} and four numbers"
            builder.problems.append(f"{where}: must be {rule}, got {line.strip()!r:.80}")
            continue
        box = ((x - w / 2) * width, (y - h / 2) * height, w * width, h * height)
        builder.add_object(where, index, label, box, builder.object_count + 1)


def _shown(value: Any) -> str:
    try:
        return f"{reprlib.repr(value):.80}"
    except ValueError:  # the number has more digits than Python converts to text
        return f"a {type(value).__name__} too large to show"


def _index(text: str, count: int) -> int:
    """The class index in ``text``; a ValueError when it is not one of 0 … count - 1."""
    if not text.isascii() or not text.isdecimal() or not int(text) < count:
        raise ValueError(text)
    return int(text)
