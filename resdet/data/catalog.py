"""From the data section of a run file to data sets and their transforms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor

from resdet.config.schema import (
    ClassificationDataConfig,
    ClassificationSourceConfig,
    DetectionDataConfig,
    DetectionSourceConfig,
)
from resdet.data.dataset import ClassificationDataset, DetectionDataset, concatenate
from resdet.data.formats.cifar import read_cifar
from resdet.data.formats.coco import read_coco
from resdet.data.formats.folder import read_folder
from resdet.data.formats.image_list import read_image_list
from resdet.data.formats.image_names import only_listed
from resdet.data.formats.imagenet import read_imagenet
from resdet.data.formats.imagenet_det import read_imagenet_det
from resdet.data.formats.shards import read_shards
from resdet.data.formats.voc import read_voc
from resdet.data.formats.yolo import DESCRIPTION, SPLITS, read_yolo
from resdet.data.options import existing_file, is_file, is_folder, no_file, no_folder, no_list
from resdet.data.proposals import Proposals, join_proposals, read_proposals
from resdet.data.statistics import mean_image, read_mean_image
from resdet.data.transforms.augmentation import build_augmentation
from resdet.data.transforms.classification import ClassificationTestTransform, ClassificationTrainTransform
from resdet.data.transforms.detection import DetectionTrainTransform
from resdet.data.transforms.lighting import IMAGENET_COMPONENTS, read_components
from resdet.errors import ConfigError, DataError
from resdet.files import cache_folder

Names = Sequence[str] | None


def build_dataset(
    sources: Sequence[DetectionSourceConfig], names: Names = None, *, option: str = "data.train"
) -> DetectionDataset:
    """Read detection sources and join them; arguments and errors are those of ``read_sources``."""
    return concatenate(read_sources(sources, names, option=option))


def read_sources(
    sources: Sequence[DetectionSourceConfig], names: Names = None, *, option: str = "data.train"
) -> list[DetectionDataset]:
    """Read detection sources, all of the same classes, each with its own image ids.

    Args:
        sources: what to read.
        names: class names in label order; those of the first source when not given.
        option: what the sources are called in messages.

    Raises:
        ConfigError: when there is no source, or a folder or file named by an option is missing.
        DataError: with every problem of every source.
    """
    if not sources:
        raise ConfigError(f"option '{option}' must name at least one data set, got none")
    labels = [f"{option}[{index}]" if len(sources) > 1 else option for index in range(len(sources))]
    problems = [problem for source, label in zip(sources, labels, strict=True) for problem in _missing(source, label)]
    if problems:
        raise ConfigError(problems)
    datasets: list[DetectionDataset] = []
    for source in sources:
        known = names or (datasets[0].names if datasets else None)
        try:
            datasets.append(_read(source, known))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return datasets


def source_proposals(
    sources: Sequence[DetectionSourceConfig], datasets: Sequence[DetectionDataset], *, option: str = "data.train"
) -> Proposals | None:
    """The precomputed regions that detection sources name, of all images in order; None where no source names any.

    Args:
        sources: what was read.
        datasets: of ``read_sources``.
        option: what the sources are called in messages.

    Raises:
        ConfigError: when an option names no file, or only some of the sources name one.
        DataError: with every problem of every file.
    """
    if not any(source.proposals for source in sources):
        return None
    labels = [f"{option}[{index}]" if len(sources) > 1 else option for index in range(len(sources))]
    files = [existing_file(f"{label}.proposals", source.proposals) for label, source in zip(labels, sources, strict=True)]
    parts: list[Proposals] = []
    problems: list[str] = []
    for file, dataset in zip(files, datasets, strict=True):
        try:
            parts.append(read_proposals(file, dataset.image_ids))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return parts[0] if len(parts) == 1 else join_proposals(parts)


def build_detection_transform(data: DetectionDataConfig) -> DetectionTrainTransform:
    """The training transform of a data section; a ConfigError names what ``data.transforms`` asks for and there is not."""
    return DetectionTrainTransform(
        tuple(data.short_side),
        data.max_side,
        data.hflip,
        between=data.short_side_drawn == "between",
        augmentation=build_augmentation(data.transforms),
    )


def build_classification_dataset(
    source: ClassificationSourceConfig, names: Names = None, *, option: str = "data.train"
) -> ClassificationDataset:
    """Read a classification source; ``names`` are the class names in label order, the source's own when not given.

    Raises:
        ConfigError: when a folder or file named by an option is missing, or the split is none of the format's.
        DataError: with every problem of the source.
    """
    if problems := _missing_classification(source, option):
        raise ConfigError(problems)
    root, annotations = Path(source.root).expanduser(), Path(source.annotations).expanduser()
    if source.format == "folder":
        return read_folder(root, names)
    if source.format == "list":
        return read_image_list(root, annotations, names)
    if source.format == "shards":
        return read_shards(root, source.split, names)
    if source.format == "imagenet":
        return read_imagenet(root, source.split, names, annotations if source.annotations else None)
    return read_cifar(root, source.split, source.format, names)


def build_train_transform(data: ClassificationDataConfig) -> ClassificationTrainTransform:
    """The training transform of a data section.

    Raises:
        ConfigError: when ``data.pca`` names no file.
        DataError: when that file is broken.
    """
    low, high = data.area
    return ClassificationTrainTransform(
        data.crop,
        tuple(data.short_side),
        data.pad,
        data.hflip,
        data.lighting,
        crop_from=data.crop_from,
        area=(low, high),
        pca=read_components(existing_file("data.pca", data.pca)) if data.pca else IMAGENET_COMPONENTS,
    )


def build_test_transform(data: ClassificationDataConfig) -> ClassificationTestTransform:
    """The transform of the centre crop of a data section."""
    return ClassificationTestTransform(data.test_short_side, data.crop)


def build_mean_image(data: ClassificationDataConfig, dataset: ClassificationDataset) -> Tensor | None:
    """The per-pixel mean that ``data.mean_image`` asks for, float32 (3, crop, crop) in [0, 255]; None where it asks for none.

    Args:
        data: the data section.
        dataset: the training set; "compute" reads it once, with the test transform.

    Raises:
        ConfigError: when ``data.mean_image`` names no file.
        DataError: when that file is broken or of another size, or an image cannot be read.
    """
    if not data.mean_image:
        return None
    if data.mean_image == "compute":
        return mean_image(dataset, build_test_transform(data))
    return read_mean_image(existing_file("data.mean_image", data.mean_image), data.crop)


def _read(source: DetectionSourceConfig, names: Names) -> DetectionDataset:
    root = Path(source.root).expanduser()
    dataset = _READERS[source.format](source, root, names)
    if not source.images:
        return dataset
    # the ids of the other formats are our own
    return only_listed(dataset, Path(source.images).expanduser(), root, by_id=source.format == "coco")


def _coco(source: DetectionSourceConfig, root: Path, names: Names) -> DetectionDataset:
    annotations = Path(source.annotations).expanduser()
    return read_coco(root, annotations, names, keep_difficult=source.keep_difficult, cache=cache_folder() / "annotations")


def _voc(source: DetectionSourceConfig, root: Path, names: Names) -> DetectionDataset:
    return read_voc(root, source.split, names, keep_difficult=source.keep_difficult)


def _yolo(source: DetectionSourceConfig, root: Path, names: Names) -> DetectionDataset:
    return read_yolo(root, source.split, names, Path(source.annotations).expanduser() if source.annotations else None)


def _imagenet_det(source: DetectionSourceConfig, root: Path, names: Names) -> DetectionDataset:
    return read_imagenet_det(root, source.split, names)


# folder and list know no splits
_SPLITS = {
    "imagenet": ("train", "val"),
    "shards": ("train", "val", "test"),
    "cifar10": ("train", "test", "train45k", "val5k"),
    "cifar100": ("train", "test", "train45k", "val5k"),
}
_READERS: dict[str, Callable[[DetectionSourceConfig, Path, Names], DetectionDataset]] = {
    "coco": _coco,
    "voc": _voc,
    "yolo": _yolo,
    "imagenet_det": _imagenet_det,
}
_IMAGE_SETS = {"voc": Path("ImageSets", "Main"), "imagenet_det": Path("ImageSets", "DET")}


def _missing(source: DetectionSourceConfig, label: str) -> list[str]:
    """What a source's options name that does not exist."""
    if not is_folder(source.root):
        return [no_folder(f"{label}.root", source.root)]
    root = Path(source.root).expanduser()
    files = (("images", source.images), ("proposals", source.proposals))
    problems = [no_file(f"{label}.{name}", value) for name, value in files if value and not is_file(value)]
    named = source.annotations or ("" if source.format == "coco" else str(root / DESCRIPTION))
    if source.format in ("coco", "yolo") and not is_file(named):
        problems.append(no_file(f"{label}.annotations", named))
    if source.format == "yolo" and source.split not in SPLITS:
        problems.append(f"option '{label}.split' of format yolo must be one of {', '.join(SPLITS)}, got {source.split!r}")
    if source.format in _IMAGE_SETS:
        problems += no_list(f"option '{label}.split'", source.split, root / _IMAGE_SETS[source.format])
    return problems


def _missing_classification(source: ClassificationSourceConfig, label: str) -> list[str]:
    """What a source's options name that does not exist."""
    if not is_folder(source.root):
        return [no_folder(f"{label}.root", source.root)]
    root = Path(source.root).expanduser()
    splits = _SPLITS.get(source.format, ())
    if splits and source.split not in splits:
        return [f"option '{label}.split' of format {source.format} must be one of {', '.join(splits)}, got {source.split!r}"]
    problems = []
    if source.format == "imagenet" and not (root / source.split).is_dir():
        deeper = root / "ILSVRC" / "Data" / "CLS-LOC"
        hint = f" (did you mean {str(deeper)!r}?)" if (deeper / source.split).is_dir() else ""
        problems.append(f"option '{label}.root' must name the folder that holds {source.split}, got {source.root!r}{hint}")
    named = source.format == "list" or (source.format == "imagenet" and source.annotations)
    if named and not is_file(source.annotations):
        problems.append(no_file(f"{label}.annotations", source.annotations))
    return problems
