"""What a YOLO folder says of itself: data.yaml, Darknet's obj.data, or only a list of class names."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from resdet.errors import DataError
from resdet.files import read_text
from resdet.wording import shown_briefly
from resdet.yaml_files import read_yaml

DESCRIPTION = "data.yaml"
_DESCRIPTIONS = (DESCRIPTION, "data.yml", "dataset.yaml", "obj.data")
_LISTS = (
    "classes.txt",
    "obj.names",
    "labels/classes.txt",
    "images/classes.txt",
    "data/obj.names",
    "labels.txt",
    "_darknet.labels",
)
SPLITS = ("train", "val", "test")
_KEYS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def read_description(root: Path, given: Path | None) -> tuple[Path, dict[str, Any]]:
    """The file that describes a YOLO folder, and its content with the keys of data.yaml.

    The file is ``given``, or the first of data.yaml, data.yml, dataset.yaml and obj.data in ``root``, or a list of class names;
    where there is none, it is ``root`` itself, and says nothing.

    Raises:
        DataError: the file cannot be read, or is not of its kind.
    """
    path = given or description_in(root)
    if path is None:
        return root, {}
    if path.suffix in (".txt", ".names", ".labels"):
        return path, {"names": _lines(path)}
    content = _darknet(path) if path.suffix == ".data" else read_yaml(path, "with the key 'names'")
    # CVAT calls parts by the names that they have there: Train, Validation
    return path, {key: value for name, value in content.items() if (key := _usual_key(name)) == name or key not in content}


def description_in(root: Path) -> Path | None:
    """The file in ``root`` that describes it, or names its classes; None where there is none."""
    return next((root / name for name in (*_DESCRIPTIONS, *_LISTS) if (root / name).is_file()), None)


def _usual_key(name: Any) -> Any:
    return _KEYS.get(name.lower(), name) if isinstance(name, str) else name


def class_names(value: Any, source: Path, problems: list[str]) -> list[str]:
    """The class names that ``names`` of a description holds; none after a problem that leaves them unknown."""
    if isinstance(value, dict):
        # JSON has no numbers for keys
        value = {int(key) if isinstance(key, str) and key.isdecimal() else key: name for key, name in value.items()}
        if set(value) != set(range(len(value))):
            problems.append(f"{source}: 'names' must have the keys 0 … {len(value) - 1}, got {shown_briefly(list(value))}")
            return []
        value = [value[index] for index in range(len(value))]
    if not isinstance(value, list) or not value:
        wanted = "a list of class names, or a mapping of their indices"
        problems.append(f"{source}: 'names' must be {wanted}, got {shown_briefly(value)}")
        return []
    names: list[str] = []
    value = [str(name) if type(name) is int and abs(name) < 1 << 63 else name for name in value]  # digits, or sizes
    for index, name in enumerate(value):
        if not isinstance(name, str) or not name:
            problems.append(f"{source}: 'names': class {index} must be text (in quotes, if need be), got {shown_briefly(name)}")
        elif name in names:
            problems.append(f"{source}: 'names': {name!r} is used twice")
        # not str(name): with aliases a small file can hold an enormous list
        names.append(name if isinstance(name, str) else f"class {index}")
    return names


def _darknet(path: Path) -> dict[str, Any]:
    """obj.data, lines ``key = value``: "train" and "valid" name lists of images, "names" the file of class names."""
    values = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in _lines(path))}
    content: dict[str, Any] = {key: value for key, value in values.items() if _usual_key(key) in SPLITS}
    written = PurePosixPath(values.get("names", "obj.names"))
    # Darknet's own paths begin where its program is started; CVAT puts the files beside obj.data
    places = [path.parent / written.name, path.parent.joinpath(*written.parts[1:])]
    names = next((place for place in places if place.is_file()), None)
    return {**content, "names": None if names is None else _lines(names)}


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in read_text(path).splitlines() if line.strip()]
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not text: {error}") from error
