"""From the data section of a run file to data sets and their transforms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor

from resdet.config.schema import ClassificationDataConfig, ClassificationSourceConfig, DetectionSourceConfig
from resdet.data.cifar import read_cifar
from resdet.data.coco import read_coco
from resdet.data.dataset import ClassificationDataset, DetectionDataset, concatenate
from resdet.data.folder import read_folder
from resdet.data.image_list import read_image_list
from resdet.data.imagenet import read_imagenet
from resdet.data.lighting import IMAGENET_COMPONENTS, read_components
from resdet.data.statistics import mean_image, read_mean_image
from resdet.data.transforms import ClassificationTestTransform, ClassificationTrainTransform
from resdet.data.voc import read_voc
from resdet.errors import ConfigError, DataError, did_you_mean

Names = Sequence[str] | None


def build_dataset(
    sources: Sequence[DetectionSourceConfig], names: Names = None, *, option: str = "data.train"
) -> DetectionDataset:
    """Read detection sources and join them.

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
            datasets.append(_READERS[source.format](source, known))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return concatenate(datasets)


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
        pca=read_components(_file("data.pca", data.pca)) if data.pca else IMAGENET_COMPONENTS,
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
    return read_mean_image(_file("data.mean_image", data.mean_image), data.crop)


def _coco(source: DetectionSourceConfig, names: Names) -> DetectionDataset:
    return read_coco(Path(source.root).expanduser(), Path(source.annotations).expanduser(), names)


def _voc(source: DetectionSourceConfig, names: Names) -> DetectionDataset:
    return read_voc(Path(source.root).expanduser(), source.split, names, keep_difficult=source.keep_difficult)


# folder and list know no splits
_SPLITS = {
    "imagenet": ("train", "val"),
    "cifar10": ("train", "test", "train45k", "val5k"),
    "cifar100": ("train", "test", "train45k", "val5k"),
}
_READERS: dict[str, Callable[[DetectionSourceConfig, Names], DetectionDataset]] = {"coco": _coco, "voc": _voc}


def _missing(source: DetectionSourceConfig, label: str) -> list[str]:
    """What a source's options name that does not exist."""
    root = Path(source.root).expanduser()
    if not source.root or not root.is_dir():
        return [_no_folder(f"{label}.root", source.root)]
    if source.format == "coco":
        if not source.annotations or not Path(source.annotations).expanduser().is_file():
            return [f"option '{label}.annotations' must name a file, got {source.annotations!r}"]
        return []
    lists = root / "ImageSets" / "Main"
    if not source.split or not (lists / f"{source.split}.txt").is_file():
        known = sorted(path.stem for path in lists.glob("*.txt"))
        return [f"option '{label}.split' must name a list of {lists}, got {source.split!r}{did_you_mean(source.split, known)}"]
    return []


def _missing_classification(source: ClassificationSourceConfig, label: str) -> list[str]:
    """What a source's options name that does not exist."""
    root = Path(source.root).expanduser()
    if not source.root or not root.is_dir():
        return [_no_folder(f"{label}.root", source.root)]
    splits = _SPLITS.get(source.format, ())
    if splits and source.split not in splits:
        return [f"option '{label}.split' of format {source.format} must be one of {', '.join(splits)}, got {source.split!r}"]
    problems = []
    if source.format == "imagenet" and not (root / source.split).is_dir():
        deeper = root / "ILSVRC" / "Data" / "CLS-LOC"
        hint = f" (did you mean {str(deeper)!r}?)" if (deeper / source.split).is_dir() else ""
        problems.append(f"option '{label}.root' must name the folder that holds {source.split}, got {source.root!r}{hint}")
    named = source.format == "list" or (source.format == "imagenet" and source.annotations)
    if named and (not source.annotations or not Path(source.annotations).expanduser().is_file()):
        problems.append(f"option '{label}.annotations' must name a file, got {source.annotations!r}")
    return problems


def _file(option: str, value: str) -> Path:
    path = Path(value).expanduser()
    if not path.is_file():
        raise ConfigError(f"option '{option}' must name a file, got {value!r}")
    return path


def _no_folder(option: str, value: str) -> str:
    return f"option '{option}' must name a folder, got {value!r}"
