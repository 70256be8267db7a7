"""Options of data sets, of their transforms, and of testing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from resdet.config.option import MAX_SIDE, option

_LISTED = ("label_studio", "cvat", "via", "csv", "hf_objects")  # one file tells of all images
VALIDATION = "validation set; null, or without a root: none, and training evaluates nothing"


@dataclass
class DetectionSourceConfig:
    """One annotated set of images."""

    format: str = option("coco", "layout of the files", choices=("coco", "voc", "yolo", "imagenet_det", *_LISTED, "labelme"))
    root: str = option(
        "",
        "coco and exports that are one file: the folder of images; voc: the folder that holds Annotations, ImageSets and "
        "JPEGImages, or xml files beside images; yolo: the folder that holds images and labels; imagenet_det: the folder that "
        "holds Annotations, Data and ImageSets; labelme: the folder of json files beside images",
    )
    annotations: str = option(
        "",
        "coco: the instances json; yolo: the yaml with the class names, when not root/data.yaml; label_studio, via: "
        "the json export; cvat: the xml of CVAT for images, video; csv: the table; hf_objects: metadata.jsonl",
        formats=("coco", "yolo", *_LISTED),
        layout=True,
    )
    split: str = option(
        "",
        "voc: the image set, a name under ImageSets/Main, or empty: every xml file; yolo: train, val or test, or empty: every "
        "labelled image; imagenet_det: a name under ImageSets/DET",
        formats=("voc", "yolo", "imagenet_det"),
    )
    images: str = option("", "text file of image names or ids, one a line: only these images are used; empty: all")
    keep_difficult: bool = option(
        False, "voc, coco: train on objects marked difficult instead of ignoring them", formats=("voc", "coco")
    )
    proposals: str = option(
        "", "file of precomputed regions, used in place of the RPN's: a proposals.safetensors, or COCO results json"
    )


@dataclass
class DetectionDataConfig:
    """Detection data and its transforms."""

    train: list[DetectionSourceConfig] = option(factory=list, text="training sets, joined")
    val: DetectionSourceConfig = option(factory=DetectionSourceConfig, text=VALIDATION, optional=True)
    metric: str = option("coco", "coco; voc07 and voc10 add PASCAL VOC's mAP", choices=("coco", "voc07", "voc10"))
    names: list[str] = option([], "class names in label order; empty: those of the training files")
    skip_empty: bool = option(True, "leave images without a usable object out of training")
    short_side: list[int] = option(
        [600], "shorter side in training, pixels: one value, or several to draw from", low=16, high=MAX_SIDE
    )
    short_side_drawn: str = option(
        "from_list",
        "from_list: one of short_side; between: anything from its least to its greatest",
        choices=("from_list", "between"),
    )
    max_side: int = option(1000, "longer side at most, pixels", low=16, high=MAX_SIDE)
    test_short_side: int = option(600, "shorter side in testing, pixels", low=16, high=MAX_SIDE)
    hflip: float = option(0.5, "probability of a horizontal flip in training", low=0, high=1)
    transforms: list[Any] = option(
        [],
        "further training transforms, before resizing: names of torchvision.transforms.v2 with their arguments, for instance "
        "{name: RandomPhotometricDistort, p: 0.5}",
    )
    repeat_thresh: float = option(
        0.0,
        "images of a class that fewer than this share of the images hold are repeated, up to sqrt(repeat_thresh / share) "
        "times (LVIS: 0.001); 0: none; schedule.epochs counts an image once",
        low=0,
        high=1,
    )
    decode: str = option(
        "exact",
        "how training decodes; exact: by PIL, with antialiased resizing, as in testing; fast: JPEGs by simplejpeg where it is "
        "installed, at 1/2, 1/4 or 1/8 of their size where that is enough, with linear resizing: other pixels, much sooner",
        choices=("exact", "fast"),
    )
    workers: int = option(2, "processes that read images", low=0, high=1024)


@dataclass
class ClassificationSourceConfig:
    """One labelled set of images."""

    format: str = option(
        "folder", "layout of the files", choices=("folder", "imagenet", "list", "shards", "cifar10", "cifar100")
    )
    root: str = option(
        "",
        "folder: one sub-folder a class; imagenet: the folder that holds train and val; list: the folder that its paths start "
        "from; shards: the folder that `resdet data shard` wrote, or its URL (s3, gs, http); cifar: the folder of the official "
        "batches (python or binary)",
    )
    split: str = option(
        "train",
        "imagenet: train or val; shards: train, val or test; cifar: train, test, or the two parts of train for choosing, "
        "train45k and val5k",
        choices=("train", "val", "test", "train45k", "val5k"),
        formats=("imagenet", "shards", "cifar10", "cifar100"),
    )
    annotations: str = option(
        "",
        "list: the CSV or JSON file of paths and labels; imagenet: the solution CSV of a flat val, when it lies elsewhere",
        formats=("list", "imagenet"),
        layout=True,
    )


@dataclass
class ClassificationDataConfig:
    """Classification data and its transforms."""

    train: ClassificationSourceConfig = option(factory=ClassificationSourceConfig, text="training set")
    val: ClassificationSourceConfig = option(
        factory=lambda: ClassificationSourceConfig(split="test"), text=VALIDATION, optional=True
    )
    crop: int = option(224, "side of the square the network sees, pixels", low=8, high=MAX_SIDE)
    crop_from: str = option(
        "short_side",
        "how a training crop is drawn; short_side: a square of an image resized by its shorter side (paper); area: a random "
        "share of the image's area, resized to the square (RandomResizedCrop)",
        choices=("short_side", "area"),
    )
    short_side: list[int] = option(
        [256, 480], "shorter side drawn between these in training, pixels; empty: not resized", low=8, high=MAX_SIDE
    )
    area: list[float] = option([0.08, 1.0], "least and greatest share of the area, crop_from area", low=0.0001, high=1)
    test_short_side: int = option(
        256, "shorter side before the centre crop in testing, pixels; 0: not resized", low=0, high=MAX_SIDE
    )
    pad: int = option(0, "zero padding before the random crop, pixels (CIFAR: 4)", low=0, high=MAX_SIDE)
    hflip: float = option(0.5, "probability of a horizontal flip in training", low=0, high=1)
    lighting: float = option(0.1, "standard deviation of the PCA colour noise; 0: none", low=0)
    pca: str = option("", "file of `resdet data pca` with the colour noise's components; empty: ImageNet's")
    transforms: list[Any] = option(
        [],
        "further training transforms of the square, before the colour noise: names of torchvision.transforms.v2 with their "
        "arguments, for instance TrivialAugmentWide or {name: RandomErasing, p: 0.1}; values of pixels are 0 … 255",
    )
    repeats: int = option(
        1,
        "times that an image is in a batch, each time another square (repeated augmentation, Hoffer et al. 2020)",
        low=1,
    )
    test_crop: int = option(0, "side of the square in testing, pixels; 0: crop", low=0, high=MAX_SIDE)
    mean_image: str = option(
        "",
        "per-pixel mean subtracted instead of the colour mean: a file of `resdet data mean`, or compute, which takes it over "
        "the training set before training; empty: the colour mean. A model file keeps it; other weights lose the colour mean",
    )
    decode: str = option(
        "exact",
        "how training decodes; exact: by PIL, with antialiased resizing, as in testing; fast: JPEGs by simplejpeg where it is "
        "installed, at 1/2, 1/4 or 1/8 of their size where that is enough, with linear resizing: other pixels, much sooner",
        choices=("exact", "fast"),
    )
    resident: bool = option(
        False,
        "keep all training images on the device and cut the crops there: for small images of one size, such as CIFAR's, on a "
        "GPU; the crops are others than those of workers",
    )
    workers: int = option(2, "processes that read images", low=0, high=1024)

    @property
    def crop_in_testing(self) -> int:
        """Side of the square in testing, pixels."""
        return self.test_crop or self.crop


@dataclass
class ClassificationTestConfig:
    """Which views of an image a classifier is tested on; their probabilities are averaged."""

    views: str = option(
        "center",
        "center: the centre crop; ten_crop: four corners and centre, each also mirrored; dense: the fully convolutional "
        "network over the whole image",
        choices=("center", "ten_crop", "dense"),
    )
    short_sides: list[int] = option(
        [],
        "shorter sides averaged over, pixels (paper: 224, 256, 384, 480, 640); empty: data.test_short_side",
        low=8,
        high=MAX_SIDE,
    )
    flip: bool = option(False, "dense: average with the mirrored image")
