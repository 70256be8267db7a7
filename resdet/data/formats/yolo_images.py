"""Where the images of a YOLO folder lie, and where the label file of each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from resdet.data.formats.annotations import DatasetBuilder
from resdet.data.formats.file_names import below, is_image_name, spelled_here, unsafe_name
from resdet.data.formats.nearest import NearestImages, files_below
from resdet.files import read_text, walk_files
from resdet.wording import shown_briefly

# where a split's images lie when the description does not say
_PLACES = ("images/{}", "{}/images", "{}")
_OTHER_NAMES = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}


def label_path(image: str) -> str:
    """The label file of an image, both relative to the data set's folder, with forward slashes."""
    parts = image.split("/")
    folders = [index for index, part in enumerate(parts[:-1]) if part == "images"]
    if folders:
        parts[folders[-1]] = "labels"
    return str(PurePosixPath(*parts).with_suffix(".txt"))


def label_file(root: Path, image: str, builder: DatasetBuilder) -> Path:
    """The label file of an image: where ``label_path`` says, or beside the image."""
    path, beside = root / label_path(image), root / PurePosixPath(image).with_suffix(".txt")
    # os.path.isfile is False, not an error, for a name too long
    if path != beside and not os.path.isfile(path) and os.path.isfile(beside):  # noqa: PTH113
        builder.note("label files lie beside their images and not in a folder 'labels'", str(beside))
        return beside
    return path


def every_image(root: Path, builder: DatasetBuilder) -> dict[str, str]:
    """The images below ``root`` that have a label file, and those beside them that have none, by their paths from it on.

    Where no label file is at its place, see ``label_file``, each belongs to the nearest image of its name, and comes with it;
    else "" does.
    """
    files = files_below(root)
    known = set(files)
    images = [name for name in files if is_image_name(name.rpartition("/")[2])]
    placed = {image: {label_path(image), str(PurePosixPath(image).with_suffix(".txt"))} for image in images}
    labelled = {image: "" for image, places in placed.items() if places & known}
    if not labelled:
        near = NearestImages(images)
        for name in files:
            if name.endswith(".txt") and len(found := near.of(name)) == 1:
                if found[0] in labelled:
                    builder.problems.append(f"{root / found[0]}: has two label files, {labelled[found[0]]} and {name}")
                labelled[found[0]] = name
                builder.note("label files lie in folders of other names than images and labels", name)
    folders = {image.rpartition("/")[0] for image in labelled}
    used = [image for image in images if image.rpartition("/")[0] in folders]
    if not used:
        builder.problems.append(f"{root}: holds no image with a label file")
    for image in images:
        if image.rpartition("/")[0] not in folders:
            builder.note("images are left out, for no image of their folder has a label file", image)
    return {image: labelled.get(image, "") for image in used}


def images_of_split(root: Path, source: Path, content: dict[str, Any], split: str, builder: DatasetBuilder) -> list[str]:
    """A split's images, paths relative to ``root`` with forward slashes.

    Args:
        root: the data set's folder.
        source: the description, for messages.
        content: the description; its entry of the split names folders or lists of images, its ``path`` where they start.
        split: train, val or test.
        builder: gets problems and notes.
    """
    entry, problems = content.get(split), builder.problems
    images: dict[str, None] = {}
    for value in [usual_place(root, split)] if entry in (None, "") else entry if isinstance(entry, list) else [entry]:
        if not isinstance(value, str):
            problems.append(f"{source}: {split!r} must name folders or text files, got {shown_briefly(value)}")
            continue
        place = _placed(root, value, str(source), builder, content.get("path"))
        if problem := unsafe_name(place):
            problems.append(f"{source}: {split!r}: {problem}")
        elif os.path.isdir(root / place):  # noqa: PTH112  # unlike Path.is_dir it is False, not an error, for a name too long
            found = _walk(root, place)
            images |= dict.fromkeys(found)
            problems += _orphans(root, place, found)
        elif place.endswith(".txt"):
            images |= dict.fromkeys(_listed(root, place, images, builder))
        else:
            unused = content.get("path")
            remark = f" (its path {shown_briefly(unused)} leads to no folder below {root})" if unused not in (None, ".") else ""
            problems.append(f"{source}: {split!r}: no such folder of images: {root / place}{remark}")
    return list(images)


def usual_place(root: Path, split: str) -> str:
    """The folder of a split's images, from ``root`` on, when nothing says it; it need not be there."""
    names = [name for word in _OTHER_NAMES[split] for name in (word, word.capitalize())]
    places = [pattern.format(name) for pattern in _PLACES for name in names]
    return next((place for place in places if (root / place).is_dir()), places[0])


def _placed(root: Path, name: str, where: str, builder: DatasetBuilder, path: Any = None) -> str:
    """Where a folder or file that a description or a list names lies, from ``root`` on: the first reading that is there."""
    spelled = spelled_here(root, name)
    if spelled != name:
        builder.note("paths are written with backslashes", f"{where}: {name!r:.80}")
    plain = str(PurePosixPath(spelled.removeprefix("../")))
    for place, note in _readings(root, plain, path):
        if unsafe_name(place) is None and os.path.exists(root / place):  # noqa: PTH110
            if note:
                builder.note(note, f"{where}: {name!r:.80}")
            return place
    return plain


def _readings(root: Path, name: str, path: Any) -> Iterator[tuple[str, str]]:
    if isinstance(path, str) and path:
        start = below(root, path) if path.startswith("/") else path
        if start:
            yield str(PurePosixPath(start) / name), ""
    yield name, ""
    if inside := below(root, name):
        yield inside, f"paths are absolute and lead below {root}"
    parts = PurePosixPath(name).parts
    elsewhere = bool(PureWindowsPath(name).anchor)
    # Darknet and CVAT begin with the folder of the whole data set; Colab's and Windows' paths with those of another computer
    for dropped in range(2 if elsewhere else 1, len(parts)):
        rest = str(PurePosixPath(*parts[dropped:]))
        if dropped == 1:
            yield rest, f"paths begin with a folder {parts[0]!r} that is not there: they are read without it"
        elif "/" in rest or is_image_name(rest) or rest.endswith(".txt"):
            yield rest, "paths are those of another computer: they are read from the first folder on that is here"


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


def _listed(root: Path, place: str, before: dict[str, None], builder: DatasetBuilder) -> list[str]:
    path = root / place
    try:
        lines = read_text(path).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        builder.problems.append(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}")
        return []
    images: dict[str, None] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, where = spelled_here(path.parent, line.strip()), f"{path}: line {number}"
        if name != line.strip():
            builder.note("paths are written with backslashes", where)
        image = str(PurePosixPath(place).parent / name)
        if unsafe_name(name) or not os.path.isfile(root / image):  # noqa: PTH113
            other = _placed(root, name, where, builder)
            image = other if os.path.isfile(root / other) else image  # noqa: PTH113
        problem = unsafe_name(name)
        if problem and unsafe_name(image):
            builder.problems.append(f"{where}: {problem}")
        elif image in images or image in before:
            builder.problems.append(f"{where}: {name!r} is listed twice")
        else:
            images[image] = None
    return list(images)
