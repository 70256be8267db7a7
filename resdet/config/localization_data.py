"""Options of localization data, and of the classifiers that choose the classes to localize."""

from __future__ import annotations

from dataclasses import dataclass

from resdet.config.data import VALIDATION, ClassificationTestConfig
from resdet.config.models import ClassifierConfig
from resdet.config.option import MAX_SIDE, option


@dataclass
class LocalizationSourceConfig:
    """One set of images with a class each, and boxes of that class."""

    format: str = option("imagenet_loc", "layout of the files", choices=("imagenet_loc", "tiny_imagenet", "coco"))
    root: str = option(
        "",
        "imagenet_loc: the folder that holds ILSVRC, or the one with train, val and test; tiny_imagenet: the folder with train "
        "and val; coco: the folder of images",
    )
    split: str = option(
        "train",
        "imagenet_loc, tiny_imagenet: train, val or test",
        choices=("train", "val", "test"),
        formats=("imagenet_loc", "tiny_imagenet"),
    )
    annotations: str = option(
        "",
        "coco: the instances json; imagenet_loc: the folder of the split's xml files, when it lies elsewhere",
        formats=("coco", "imagenet_loc"),
        layout=True,
    )
    solution: str = option(
        "",
        "imagenet_loc: the table of classes and boxes (LOC_val_solution.csv), when it lies elsewhere; goes before xml files",
        formats=("imagenet_loc",),
    )
    blacklist: str = option(
        "",
        "imagenet_loc: the development kit's list of images whose boxes do not count, numbers from 1 in the order of the names",
        formats=("imagenet_loc",),
    )


@dataclass
class LocalizationDataConfig:
    """Localization data and its transforms."""

    train: LocalizationSourceConfig = option(factory=LocalizationSourceConfig, text="training set")
    val: LocalizationSourceConfig = option(
        factory=lambda: LocalizationSourceConfig(split="val"), text=VALIDATION, optional=True
    )
    class_ids: str = option(
        "",
        "file with a class name at the start of each line, whose line number is the class's id in submission files; empty: "
        "1, 2, … in label order, as in LOC_synset_mapping.txt",
    )
    crop: int = option(
        224, "side of the square the network sees in training, and in testing with one crop, pixels", low=8, high=MAX_SIDE
    )
    short_side: list[int] = option(
        [256, 480], "shorter side drawn between these in training, pixels; empty: not resized", low=8, high=MAX_SIDE
    )
    hflip: float = option(0.5, "probability of a horizontal flip in training", low=0, high=1)
    lighting: float = option(0.1, "standard deviation of the PCA colour noise; 0: none", low=0)
    workers: int = option(2, "processes that read images", low=0, high=1024)


@dataclass
class LocalizationClassesConfig:
    """The classifiers whose five best classes are localized (`eval --classifier`), and their views of an image."""

    model: ClassifierConfig = option(factory=ClassifierConfig, text="the network of a file of foreign weights")
    short_side: int = option(256, "shorter side before the centre crop, pixels; 0: not resized", low=0, high=MAX_SIDE)
    crop: int = option(224, "side of the crop, pixels", low=8, high=MAX_SIDE)
    test: ClassificationTestConfig = option(factory=ClassificationTestConfig)
