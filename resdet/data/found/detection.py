"""Finds detection data below a path: its format, the folder of its images, and its parts for training and validation."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from resdet.config.schema import DetectionSourceConfig
from resdet.data.formats.file_names import is_image_name
from resdet.data.formats.nearest import files_below
from resdet.data.formats.yolo import SPLITS
from resdet.data.formats.yolo_images import usual_place
from resdet.data.formats.yolo_names import description_in, read_description
from resdet.data.found.kinds import beginning, kind_of, looks_like_labels, unread_program
from resdet.data.found.paths import TRAIN, VAL, folders_of, lone_folders, opened, part_named
from resdet.errors import DataError
from resdet.files import parse_json, regular, walk_files

_ANNOTATIONS = ("annotations", "annotation", "labels", "label", "json", "csv")  # folders of annotation files
_MOST_LOOKED_AT = 200_000
_NAME = re.compile(r'"file_name"\s*:\s*("(?:[^"\\]|\\.)*")')  # of an image, as JSON


@dataclasses.dataclass(frozen=True)
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
    folders = lone_folders(root)
    if found := next((found for folder in folders for look in _LOOKS if (found := look(folder))), None):
        return found
    described = (folder for folder in folders if description_in(folder) or (folder / usual_place(folder, "train")).is_dir())
    return _beside_images(next(described, root)) or _several(root)


def _parts(root: Path) -> FoundData | None:
    """Folders train and val (or by another of their names), each of which is a data set."""
    folders = folders_of(root)
    first, second = (part_named(folders, names) for names in (TRAIN, VAL))
    train = _of_folder(folders[first]) if first else None
    if first is None or train is None:
        return None
    val = _of_folder(folders[second]) if second and second != first else None
    parts = [*train.train, *(val.train[:1] if val else ())]
    names = description_in(root)
    if names and all(part.format == "yolo" and description_in(Path(part.root)) is None for part in parts):
        parts = [dataclasses.replace(part, annotations=str(names)) for part in parts]
    layout = f"{train.layout}, in {first}" + (f" and {second}" if val else "")
    return FoundData(layout, parts[: len(train.train)], parts[-1] if val else None)


def _several(root: Path) -> FoundData | None:
    """Folders that are data sets of one format, as the jobs of a labelling program are."""
    found = [each for folder in folders_of(root).values() if (each := _of_folder(folder))]
    sources = [source for each in found for source in each.train]
    if not sources or any(each.val for each in found) or len({source.format for source in sources}) > 1:
        return None
    return FoundData(f"{found[0].layout}, in {len(found)} folders", sources)


def _described_yolo(root: Path) -> FoundData | None:
    files = [file for file in sorted(root.iterdir()) if kind_of(file) == "yolo"]
    files += [file for file in (root / "obj.data", root / "data" / "obj.data") if file.is_file()]
    files.sort(key=lambda file: file.name != "data.yaml")
    return _yolo(root, files[0]) if files else None


def _yolo(root: Path, description: Path) -> FoundData:
    _, content = read_description(root, description)
    named = {key for key in SPLITS if content.get(key) or (root / usual_place(root, key)).is_dir()}
    annotations = "" if description.name == "data.yaml" else str(description)

    def part(split: str) -> DetectionSourceConfig:
        return DetectionSourceConfig("yolo", str(root), annotations, split)

    val = next((part(split) for split in ("val", "test") if split in named), None) if "train" in named else None
    return FoundData(f"yolo: {description.name}", [part("train" if "train" in named else "")], val)


def _voc(root: Path) -> FoundData | None:
    """VOC's own folders, in ``root`` or, as VOC's kit has them, in folders of it."""
    roots = [folder for folder in (root, *folders_of(root).values()) if _any(folder / "Annotations", (".xml",), "voc")]
    found = [_voc_lists(folder) for folder in roots if folder == root or root not in roots]
    if not found:
        return None
    val = next((each.val for each in found if each.val), None)
    return FoundData("; ".join(each.layout for each in found), [source for each in found for source in each.train], val)


def _voc_lists(root: Path) -> FoundData:
    lists = {file.stem.lower(): file.stem for file in sorted((root / "ImageSets" / "Main").glob("*.txt"))}
    train = next((lists[name] for name in TRAIN if name in lists), "")
    val = next((lists[name] for name in VAL if name in lists), "") if train else ""
    chosen = f"image sets {train}" + (f" and {val}" if val else "") if train else "every xml"
    return FoundData(
        f"voc: Annotations, {chosen}",
        [DetectionSourceConfig("voc", str(root), split=train)],
        DetectionSourceConfig("voc", str(root), split=val) if val else None,
    )


def _whole_files(root: Path) -> FoundData | None:
    """One annotation file for many images, or one for each part."""
    files = [
        file
        for folder in (root, *(folder for name, folder in folders_of(root).items() if name.lower() in _ANNOTATIONS))
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
        return _each_xml(root)
    if _any(root, (".json",), "labelme"):
        return FoundData("labelme: a json for each image", [DetectionSourceConfig("labelme", str(root))])
    if not any(_files(root, (".txt",), looks_like_labels)):
        return None
    parts = [name for name in SPLITS if (place := usual_place(root, name)).startswith("images/") and (root / place).is_dir()]
    if "train" in parts:
        sources = [DetectionSourceConfig("yolo", str(root), split=name) for name in parts]
        return FoundData("yolo: images/train", sources[:1], sources[1] if len(parts) > 1 else None)
    return FoundData("yolo: a text file for each image", [DetectionSourceConfig("yolo", str(root))])


def _each_xml(root: Path) -> FoundData:
    """An xml for each image, perhaps in folders called train and val, whatever is above or below these."""
    folders = {part for file in files_below(root) if file.lower().endswith(".xml") for part in file.split("/")[:-1]}
    train, val = (part_named(folders, names) for names in (TRAIN, VAL))
    if not (train and val) or train == val:
        return FoundData("voc: an xml for each image", [DetectionSourceConfig("voc", str(root))])
    sources = [DetectionSourceConfig("voc", str(root), split=name) for name in (train, val)]
    return FoundData(f"voc: an xml for each image, in {train} and {val}", sources[:1], sources[1])


_LOOKS: Sequence[Callable[[Path], FoundData | None]] = (_described_yolo, _voc, _whole_files, _parts)


def _any(root: Path, suffixes: tuple[str, ...], kind: str) -> bool:
    return root.is_dir() and any(_files(root, suffixes, lambda file: kind_of(file) == kind))


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
    above, stem = file.parent.parent, file.stem.lower()
    parts = sorted((name for name in (*TRAIN, *VAL) if name in stem), key=len, reverse=True)
    names = [*parts, stem.rpartition("_")[2], "jpegimages", "imgs", "data", "photos"]
    folders = [file.parent]
    for base in (file.parent, above):
        there = folders_of(base)
        images = part_named(there, ["images"])
        within = folders_of(there[images]) if images else {}
        folders += [within[name] for word in names if (name := part_named(within, [word]))]
        folders += [there[name] for word in ("images", *names) if (name := part_named(there, [word]))]
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
        program = f"; it seems to be of {it}" if (it := unread_program(place)) else ""
        known = "COCO, Label Studio, VIA or labelme json, CVAT xml, csv, data.yaml"
        return f"is no annotation file of a known format ({known}){program}"
    counts: Counter[str] = Counter()
    for count, name in enumerate(walk_files(place)):
        if count == _MOST_LOOKED_AT:
            break
        counts["images" if is_image_name(name) else Path(name).suffix.lower() or "without suffix"] += 1
    there = ", ".join(f"{count} {kind}" for kind, count in counts.most_common(5)) or "nothing"
    unread = next(
        ((file, it) for file in _files(place, (".json", ".csv"), lambda _: True) if (it := unread_program(file))), None
    )
    if unread:
        return f"no annotations found that are read; {unread[0]} seems to be of {unread[1]}. There is: {there}"
    return (
        "no annotations found. Looked for: COCO, Label Studio or VIA json, labelme jsons, CVAT xml, VOC's xml files, "
        f"YOLO's text files, csv, metadata.jsonl; there is: {there}. Photos without boxes must be annotated first; "
        "folders of classes train a classifier (resdet train-cls --data)"
    )
