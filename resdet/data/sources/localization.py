"""Localization: from the data section of a run file to data sets and the training transform."""

from __future__ import annotations

from pathlib import Path

from resdet.config.schema import LocalizationDataConfig, LocalizationSourceConfig
from resdet.data.formats.coco import read_coco
from resdet.data.formats.imagenet_loc import read_imagenet_loc
from resdet.data.formats.tiny_imagenet import read_tiny_imagenet
from resdet.data.localization import LocalizedImages, dominant_objects
from resdet.data.sources.format import Format, Names, names_file, names_folder
from resdet.data.sources.options import path_of
from resdet.data.transforms.localization import LocalizationTrainTransform


def build_localization_dataset(
    source: LocalizationSourceConfig, names: Names = None, *, option: str = "data.train"
) -> LocalizedImages:
    """Read a localization source.

    Args:
        source: the source to read.
        names: class names in label order; the source's own when not given.
        option: the name of the source in messages.

    Raises:
        ConfigError: when a folder or file named by an option is missing.
        DataError: with every problem of the source.
    """
    return _FORMATS[source.format].build(source, names, option)


def build_localization_transform(data: LocalizationDataConfig) -> LocalizationTrainTransform:
    """The training transform of a data section."""
    return LocalizationTrainTransform(data.crop, tuple(data.short_side), data.hflip, data.lighting)


def _imagenet_loc(source: LocalizationSourceConfig, root: Path, names: Names) -> LocalizedImages:
    return read_imagenet_loc(
        root,
        source.split,
        names,
        annotations=path_of(source.annotations),
        solution=path_of(source.solution),
        blacklist=path_of(source.blacklist),
    )


def _tiny_imagenet(source: LocalizationSourceConfig, root: Path, names: Names) -> LocalizedImages:
    return read_tiny_imagenet(root, source.split, names)


def _coco(source: LocalizationSourceConfig, root: Path, names: Names) -> LocalizedImages:
    return dominant_objects(read_coco(root, Path(source.annotations).expanduser(), names))


_FORMATS: dict[str, Format[LocalizationSourceConfig, LocalizedImages]] = {
    "imagenet_loc": Format(
        _imagenet_loc,
        (
            names_folder("annotations", "a folder of xml files"),
            names_file("solution", needed=False),
            names_file("blacklist", needed=False),
        ),
    ),
    "tiny_imagenet": Format(_tiny_imagenet),
    "coco": Format(_coco, (names_file("annotations"),)),
}
