"""Classification: from the data section of a run file to data sets, their transforms, and the mean image."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from resdet.config.schema import ClassificationDataConfig, ClassificationSourceConfig
from resdet.data.dataset import ClassificationDataset
from resdet.data.formats.cifar import read_cifar
from resdet.data.formats.folder import read_folder
from resdet.data.formats.image_list import read_image_list
from resdet.data.formats.imagenet import read_imagenet
from resdet.data.formats.remote import is_url
from resdet.data.formats.shards import read_shards
from resdet.data.sources.format import Format, Names, names_file, names_split
from resdet.data.sources.options import existing_file, path_of
from resdet.data.statistics import mean_image, read_mean_image
from resdet.data.transforms.augmentation import build_square_augmentation
from resdet.data.transforms.classification import ClassificationTestTransform, ClassificationTrainTransform
from resdet.data.transforms.lighting import IMAGENET_COMPONENTS, read_components


def build_classification_dataset(
    source: ClassificationSourceConfig, names: Names = None, *, option: str = "data.train"
) -> ClassificationDataset:
    """Read a classification source.

    Args:
        source: the source to read.
        names: class names in label order; the source's own when not given.
        option: the name of the source in messages.

    Raises:
        ConfigError: when a folder or file named by an option is missing, or the split is none of the format's.
        DataError: with every problem of the source.
    """
    return _FORMATS[source.format].build(source, names, option)


def build_train_transform(data: ClassificationDataConfig) -> ClassificationTrainTransform:
    """The training transform of a data section.

    Raises:
        ConfigError: when ``data.pca`` names no file, and with every entry of ``data.transforms`` that does not exist.
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
        transforms=build_square_augmentation(data.transforms),
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


def _folder(source: ClassificationSourceConfig, root: Path, names: Names) -> ClassificationDataset:  # noqa: ARG001
    return read_folder(root, names)


def _list(source: ClassificationSourceConfig, root: Path, names: Names) -> ClassificationDataset:
    return read_image_list(root, Path(source.annotations).expanduser(), names)


def _shards(source: ClassificationSourceConfig, root: Path, names: Names) -> ClassificationDataset:
    return read_shards(source.root if is_url(source.root) else root, source.split, names)


def _imagenet(source: ClassificationSourceConfig, root: Path, names: Names) -> ClassificationDataset:
    return read_imagenet(root, source.split, names, path_of(source.annotations))


def _cifar(source: ClassificationSourceConfig, root: Path, names: Names) -> ClassificationDataset:
    return read_cifar(root, source.split, source.format, names)


def _holds_split(source: ClassificationSourceConfig, root: Path, label: str) -> list[str]:
    """ImageNet's root holds a folder of the split; the published archive has it three folders deeper."""
    if source.split not in _IMAGENET_SPLITS or (root / source.split).is_dir():
        return []
    deeper = root / "ILSVRC" / "Data" / "CLS-LOC"
    hint = f" (did you mean {str(deeper)!r}?)" if (deeper / source.split).is_dir() else ""
    return [f"option '{label}.root' must name the folder that holds {source.split}, got {source.root!r}{hint}"]


_IMAGENET_SPLITS = ("train", "val")
_CIFAR = Format(_cifar, (names_split("train", "test", "train45k", "val5k"),))
_FORMATS: dict[str, Format[ClassificationSourceConfig, ClassificationDataset]] = {
    "folder": Format(_folder),
    "list": Format(_list, (names_file("annotations"),)),
    "shards": Format(_shards, (names_split("train", "val", "test"),), remote=True),
    "imagenet": Format(_imagenet, (names_split(*_IMAGENET_SPLITS), _holds_split, names_file("annotations", needed=False))),
    "cifar10": _CIFAR,
    "cifar100": _CIFAR,
}
