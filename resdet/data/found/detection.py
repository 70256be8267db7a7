"""Finds detection data below a path: its format, the folder of its images, and its parts for training and validation."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from resdet.config.schema import DetectionSourceConfig
from resdet.data.formats.file_names import is_image_name
from resdet.data.found.kinds import beginning, kind_of, looks_like_labels
from resdet.data.found.paths import TRAIN, VAL, lone_folder, opened
from resdet.errors import DataError
from resdet.files import parse_json, regular, walk_files
from resdet.yaml_files import LARGEST_YAML

_MOST_LOOKED_AT = 200_000
_NAME = re.compile(r'"file_name"\s*:\s*("(?:[^"\\]|\\.)*")')  # of an image, as JSON


@dataclass(frozen=True)
class FoundData:
    """Detection data that was found below a path.

    Attributes:
        layout: the format and how it was recognized, for people.
        train: what to train on, or everything when there is no part for validation.
        val: what to validate on; None when nothing in the data is meant for it.
    """

    layout: str
    train: list[DetectionSourceConfig]
    val: DetectionSourceConfig | None = None


def find_data(path: str | Path) -> FoundData:
    """Find the detection data that a folder, an annotation file or an archive holds.

    Args:
        path: a folder of photos and annotations in any format of ``data.train``; one annotation file; a data.yaml; or an
            archive of these, which is unpacked into the cache folder once.

    Raises:
        ConfigError: there is no such path.
        DataError: no annotations were found, with what was looked for and what is there instead; or a broken archive.
    """
    place = opened(path)
    found = _of_file(place) if place.is_file() else _of_folder(place)
    if found is None:
        raise DataError(f"{path}: {_nothing(place)}")
    return found


def _of_file(path: Path) -> FoundData | None:
    kind = kind_of(path)
    if kind == "voc":  # one of many
        return _of_folder(path.parent)
    if kind == "yolo":
        return _yolo(path.parent, path)
    if kind == "labelme":
        return FoundData("labelme: a json beside each image", [DetectionSourceConfig("labelme", str(path.parent))])
    if kind is None:
        return None
    return FoundData(f"{kind}: {path.name}", [_with_images(kind, path)])


def _of_folder(root: Path) -> FoundData | None:
    for look in _LOOKS:
        if found := look(root):
            return found
    lone = lone_folder(root)
    return _of_folder(lone) if lone else None


def _parts(root: Path) -> FoundData | None:
    """Folders train and val (or by another of their names), each of which is a data set."""
    folders = {entry.name.lower(): entry for entry in root.iterdir() if entry.is_dir()}
    first = next((folders[name] for name in TRAIN if name in folders), None)
    if first is None:
        return None
    train = _of_folder(first)
    if train is None:
        return None
    second = next((folders[name] for name in VAL if name in folders), None)
    val = _of_folder(second) if second else None
    return FoundData(f"{train.layout}, in {first.name}", train.train, val.train[0] if val else None)


def _described_yolo(root: Path) -> FoundData | None:
    files = [file for file in sorted(root.iterdir()) if kind_of(file) == "yolo"]
    files.sort(key=lambda file: file.name != "data.yaml")
    return _yolo(root, files[0]) if files else None


def _yolo(root: Path, description: Path) -> FoundData:
    import yaml

    try:
        if description.stat().st_size > LARGEST_YAML:
            raise DataError(f"{description}: must be at most {LARGEST_YAML >> 20} MiB")
        content = yaml.safe_load(regular(description).read_bytes())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DataError(f"{description}: is not YAML: {' '.join(str(error).split())}") from error
    named = {key for key in ("train", "val", "test") if isinstance(content, dict) and content.get(key)}
    named |= {key for key in ("train", "val", "test") if (root / "images" / key).is_dir()}
    annotations = "" if description.name == "data.yaml" else str(description)

    def part(split: str) -> DetectionSourceConfig:
        return DetectionSourceConfig("yolo", str(root), annotations, split)

    val = next((part(split) for split in ("val", "test") if split in named), None) if "train" in named else None
    return FoundData(f"yolo: {description.name}", [part("train" if "train" in named else "")], val)


def _voc(root: Path) -> FoundData | None:
    if not (root / "Annotations").is_dir() or not _any(root / "Annotations", (".xml",), "voc"):
        return None
    lists = {file.stem: file for file in sorted((root / "ImageSets" / "Main").glob("*.txt"))}
    train = next((name for name in TRAIN if name in lists), None)
    val = next((name for name in VAL if name in lists), None) if train else None
    chosen = f"image sets {train}" + (f" and {val}" if val else "") if train else "every xml"
    return FoundData(
        f"voc: Annotations, {chosen}",
        [DetectionSourceConfig("voc", str(root), split=train or "")],
        DetectionSourceConfig("voc", str(root), split=val) if val else None,
    )


def _whole_files(root: Path) -> FoundData | None:
    """One annotation file for many images, or one for each part."""
    files = [
        file
        for folder in (root, *(root / name for name in ("annotations", "Annotations", "labels")))
        if folder.is_dir()
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in (".json", ".csv", ".xml", ".jsonl") and file.is_file()
    ]
    kinds = {file: kind for file in files if (kind := kind_of(file)) not in (None, "voc", "labelme")}
    if not kinds:
        return None
    commonest = Counter(kinds.values()).most_common(1)[0][0]
    files = [file for file, kind in kinds.items() if kind == commonest]
    # COCO's own folder also has captions and keypoints of the same images
    files = [file for file in files if file.name.startswith("instances")] or files
    part = {name: [file for file in files if name in file.stem.lower()] for name in ("train", "val", "test")}
    train = part["train"] or [file for file in files if file not in part["val"] + part["test"]] or files
    val = next((file for file in part["val"] + part["test"] if file not in train), None)
    return FoundData(
        f"{commonest}: {', '.join(file.name for file in train)}",
        [_with_images(commonest, file) for file in train],
        _with_images(commonest, val) if val else None,
    )


def _beside_images(root: Path) -> FoundData | None:
    """A file of annotations beside each image, or in a folder of its own."""
    if _any(root, (".xml",), "voc"):
        return FoundData("voc: an xml for each image", [DetectionSourceConfig("voc", str(root))])
    if _any(root, (".json",), "labelme"):
        return FoundData("labelme: a json for each image", [DetectionSourceConfig("labelme", str(root))])
    if not any(_files(root, (".txt",), looks_like_labels)):
        return None
    if (root / "images" / "train").is_dir():
        val = next((name for name in ("val", "test") if (root / "images" / name).is_dir()), None)
        parts = [DetectionSourceConfig("yolo", str(root), split=name) for name in ("train", val) if name]
        return FoundData("yolo: images/train", parts[:1], parts[1] if val else None)
    return FoundData("yolo: a text file for each image", [DetectionSourceConfig("yolo", str(root))])


_LOOKS: Sequence[Callable[[Path], FoundData | None]] = (_described_yolo, _voc, _whole_files, _parts, _beside_images)


def _any(root: Path, suffixes: tuple[str, ...], kind: str) -> bool:
    return any(_files(root, suffixes, lambda file: kind_of(file) == kind))


def _files(root: Path, suffixes: tuple[str, ...], accept: Callable[[Path], bool]) -> Iterator[Path]:
    """The files below ``root`` with these suffixes that are accepted, of the first 20 of them."""
    tried = 0
    for count, name in enumerate(walk_files(root)):
        if tried == 20 or count == _MOST_LOOKED_AT:
            return
        path = Path(name)
        if path.suffix.lower() in suffixes and path.name not in ("classes.txt", "obj.names", "labels.txt", "README.txt"):
            tried += 1
            if accept(path):
                yield path


def _with_images(kind: str, file: Path) -> DetectionSourceConfig:
    """A source of one annotation file, with the folder below which its images lie."""
    return DetectionSourceConfig(kind, str(_image_folder(kind, file)), str(file))


def _image_folder(kind: str, file: Path) -> Path:
    above = file.parent.parent
    part = next((name for name in ("train", "val", "valid", "test") if name in file.stem.lower()), "")
    year = file.stem.rpartition("_")[2]
    names = [name for name in (part, year, "JPEGImages", "imgs", "data", "photos") if name]
    folders = [file.parent, *(file.parent / "images" / name for name in names if name), file.parent / "images"]
    folders += [file.parent / name for name in names]
    folders += [above / "images" / name for name in names if name] + [above / "images", *(above / name for name in names)]
    folders = [folder for folder in folders if folder.is_dir()]
    if kind == "coco" and (first := _first_images(file)):
        present = [sum((folder / name).is_file() for name in first) for folder in folders]
        if max(present):
            return folders[present.index(max(present))]
    holding = (folder for folder in folders if any(is_image_name(entry.name) for entry in folder.iterdir()))
    return next(holding, file.parent if any(_files_of_images(file.parent)) else above)


def _files_of_images(folder: Path) -> Iterator[str]:
    return (name for name in walk_files(folder) if is_image_name(name))


def _first_images(file: Path) -> list[str]:
    """The names of some images of a COCO file; none when it cannot be read, which its reader will tell.

    They stand near its beginning as a rule; only where they do not, the whole file is parsed.
    """
    try:
        names = [parse_json(name) for name in _NAME.findall(beginning(file))[:20]]
        return [name.replace("\\", "/") for name in names or _image_names(file)]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def _image_names(file: Path) -> list[str]:
    return [str(row["file_name"]) for row in parse_json(regular(file).read_bytes())["images"][:20]]


def _nothing(place: Path) -> str:
    if place.is_file():
        return "is no annotation file of a known format (COCO, Label Studio, VIA or labelme json, CVAT xml, csv, data.yaml)"
    counts: Counter[str] = Counter()
    for count, name in enumerate(walk_files(place)):
        if count == _MOST_LOOKED_AT:
            break
        counts["images" if is_image_name(name) else Path(name).suffix.lower() or "without suffix"] += 1
    there = ", ".join(f"{count} {kind}" for kind, count in counts.most_common(5)) or "nothing"
    return (
        "no annotations found. Looked for: COCO, Label Studio or VIA json, labelme jsons, CVAT xml, VOC's xml files, "
        f"YOLO's text files, csv, metadata.jsonl; there is: {there}. Photos without boxes must be annotated first; "
        "folders of classes train a classifier (resdet train-cls --data)"
    )
