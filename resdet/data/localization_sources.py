"""From the data section of a localization run file to data sets and the training transform."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from resdet.config.localization_data import LocalizationDataConfig, LocalizationSourceConfig
from resdet.data.dataset import DetectionDataset, subset, usable_indices
from resdet.data.formats.coco import read_coco
from resdet.data.formats.imagenet_loc import read_imagenet_loc
from resdet.data.formats.tiny_imagenet import read_tiny_imagenet
from resdet.data.localization import LocalizedImages, localized_images
from resdet.data.options import is_file, is_folder, no_file, no_folder
from resdet.data.transforms.localization import LocalizationTrainTransform
from resdet.errors import ConfigError


def build_localization_dataset(
    source: LocalizationSourceConfig, names: Sequence[str] | None = None, *, option: str = "data.train"
) -> LocalizedImages:
    """Read a localization source.

    Args:
        source: what to read.
        names: class names in label order; the source's own when not given.
        option: what the source is called in messages.

    Raises:
        ConfigError: when a folder or file named by an option is missing.
        DataError: with every problem of the source.
    """
    if problems := _missing(source, option):
        raise ConfigError(problems)
    root, annotations, solution, blacklist = (
        Path(value).expanduser() if value else None
        for value in (source.root, source.annotations, source.solution, source.blacklist)
    )
    if source.format == "coco":
        return dominant_objects(read_coco(root or "", annotations or "", names))
    if source.format == "tiny_imagenet":
        return read_tiny_imagenet(root or "", source.split, names)
    return read_imagenet_loc(root or "", source.split, names, annotations=annotations, solution=solution, blacklist=blacklist)


def build_localization_transform(data: LocalizationDataConfig) -> LocalizationTrainTransform:
    """The training transform of a data section."""
    return LocalizationTrainTransform(data.crop, tuple(data.short_side), data.hflip, data.lighting)


def dominant_objects(dataset: DetectionDataset) -> LocalizedImages:
    """A detection data set for localization: the class of an image is that of its largest box, the first of equals.

    Ignored objects (crowds, difficult ones) do not count. Images without another object have no class and are left out, which a
    warning counts.
    """
    chosen = subset(dataset, usable_indices(dataset))
    if left_out := len(dataset) - len(chosen):
        text = f"{dataset.source}: {left_out} of {len(dataset)} images have no object that says their class, and are left out"
        warnings.warn(text, stacklevel=3)
    usable = ~chosen.ignore & ~chosen.empty
    # of the boxes as annotated: COCO's own area is that of a mask
    areas = np.where(usable, chosen.boxes[:, 2] * chosen.boxes[:, 3], -1)
    largest = [first + int(areas[first:last].argmax()) for first, last in zip(chosen.offsets, chosen.offsets[1:], strict=False)]
    return localized_images(chosen, chosen.labels[largest].tolist())


def _missing(source: LocalizationSourceConfig, label: str) -> list[str]:
    """What a source's options name that does not exist."""
    if not is_folder(source.root):
        return [no_folder(f"{label}.root", source.root)]
    problems = []
    files = [("solution", source.solution), ("blacklist", source.blacklist)]
    if source.format == "coco":
        files = [("annotations", source.annotations)]
    elif source.annotations and not is_folder(source.annotations):
        problems.append(no_folder(f"{label}.annotations", source.annotations, "a folder of xml files"))
    needed = source.format == "coco"
    return problems + [no_file(f"{label}.{name}", value) for name, value in files if (value or needed) and not is_file(value)]
