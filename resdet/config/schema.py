"""Every option of every run file: its default, what it means, its unit, its range.

``python -m resdet info --options`` prints this table. Modules never see these objects: builders unpack them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


def option(
    default: Any = dataclasses.MISSING,
    text: str = "",
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
    factory: Callable[[], Any] | None = None,
) -> Any:
    """A dataclass field with its documentation; ``low``/``high`` are inclusive and hold for each element of a list.

    ``default`` may be a list; each object gets a copy of its own.
    """
    metadata = {"text": text, "low": low, "high": high, "choices": tuple(choices)}
    if factory is not None:
        return dataclasses.field(default_factory=factory, metadata=metadata)
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass
class BackboneConfig:
    """The residual network."""

    name: str = option("resnet50", "a name of the backbone registry (`resdet info` lists them)")
    weights: str = option("", "file of pretrained weights, .pth or .safetensors; empty: random initialization")
    pixels: str = option(
        "auto",
        "pixel convention of the weights; auto: what the weights file says, torchvision's where there is no file",
        choices=("auto", "torchvision", "msra"),
    )
    stride_in_1x1: bool = option(
        False, "stride of a bottleneck in its first 1x1 (paper, Caffe) instead of its 3x3 (torchvision)"
    )
    shortcut: str = option(
        "auto",
        "paper's options; none: a plain network; auto: the network's own",
        choices=("auto", "A", "B", "C", "none"),
    )
    width: int = option(0, "channels of the first stage; 0: the network's own (ImageNet 64, CIFAR 16)", low=0)
    zero_init_last: bool = option(False, "start the last BN scale of every branch at 0")


@dataclass
class AnchorConfig:
    """Anchors at every position of the C4 map (stride 16)."""

    sizes: list[float] = option([32.0, 64.0, 128.0, 256.0, 512.0], "square root of the anchors' areas, pixels", low=1)
    ratios: list[float] = option([0.5, 1.0, 2.0], "height / width", low=0.01)


@dataclass
class RPNConfig:
    """Region proposal network."""

    batch: int = option(256, "anchors sampled for the loss, an image", low=1)
    positive_fraction: float = option(0.5, "at most this share of them positive", low=0, high=1)
    fg_iou: float = option(0.7, "an anchor is positive from this IoU on", low=0, high=1)
    bg_iou: float = option(0.3, "an anchor is negative below this IoU", low=0, high=1)
    smooth_l1_beta: float = option(1 / 9, "where the box loss turns from squared to absolute; 0: L1", low=0)
    pre_nms_train: int = option(12000, "best scored anchors an image that enter NMS, training", low=1)
    post_nms_train: int = option(2000, "proposals an image, training", low=1)
    pre_nms_test: int = option(6000, "best scored anchors an image that enter NMS, testing", low=1)
    post_nms_test: int = option(300, "proposals an image, testing", low=1)
    nms_iou: float = option(0.7, "proposals that overlap a better one by more are dropped", low=0, high=1)
    min_size: float = option(0.0, "proposals with a shorter side are dropped, pixels of the resized image", low=0)


@dataclass
class RoIConfig:
    """Region classifier: RoI pooling, conv5, two sibling layers."""

    pooling: str = option("align", "RoIAlign, or the paper's max RoI pooling", choices=("align", "pool"))
    pooled_size: int = option(14, "side of the pooled map; conv5's stride halves it", low=2)
    sampling_ratio: int = option(0, "RoIAlign's samples a bin and axis; 0: as many as its pixels", low=0)
    batch: int = option(512, "regions sampled for the loss, an image", low=1)
    positive_fraction: float = option(0.25, "at most this share of them positive", low=0, high=1)
    fg_iou: float = option(0.5, "a region is positive from this IoU on", low=0, high=1)
    bg_iou: float = option(0.5, "a region is background below this IoU", low=0, high=1)
    smooth_l1_beta: float = option(1.0, "where the box loss turns from squared to absolute; 0: L1", low=0)


@dataclass
class DetectionTestConfig:
    """From region scores to detections."""

    score_thresh: float = option(0.05, "detections must score more", low=0, high=1)
    nms_iou: float = option(0.5, "per-class NMS: detections that overlap a better one by more are dropped", low=0, high=1)
    detections_per_image: int = option(100, "best scored detections kept", low=1)


@dataclass
class DetectorConfig:
    """Faster R-CNN on ResNet-C4 (paper, appendix A)."""

    backbone: BackboneConfig = option(factory=BackboneConfig)
    freeze_at: int = option(2, "stages whose weights stay fixed: 0 none, 1 conv1, 2 conv1 and conv2_x, …", low=0, high=5)
    anchors: AnchorConfig = option(factory=AnchorConfig)
    rpn: RPNConfig = option(factory=RPNConfig)
    roi: RoIConfig = option(factory=RoIConfig)
    test: DetectionTestConfig = option(factory=DetectionTestConfig)


@dataclass
class ClassifierConfig:
    """Image classifier."""

    backbone: BackboneConfig = option(factory=BackboneConfig)


@dataclass
class DetectionSourceConfig:
    """One annotated set of images."""

    format: str = option("coco", "layout of the files", choices=("coco", "voc"))
    root: str = option("", "coco: the folder of images; voc: the folder that holds Annotations, ImageSets and JPEGImages")
    annotations: str = option("", "coco: the instances json")
    split: str = option("", "voc: the image set, a name under ImageSets/Main")
    keep_difficult: bool = option(False, "voc: train on objects marked difficult instead of ignoring them")


@dataclass
class DetectionDataConfig:
    """Detection data and its transforms."""

    train: list[DetectionSourceConfig] = option(factory=list, text="training sets, joined")
    val: DetectionSourceConfig = option(factory=DetectionSourceConfig, text="validation set")
    metric: str = option("coco", "coco; voc07 and voc10 add PASCAL VOC's mAP", choices=("coco", "voc07", "voc10"))
    names: list[str] = option([], "class names in label order; empty: those of the training files")
    skip_empty: bool = option(True, "leave images without a usable object out of training")
    short_side: list[int] = option([600], "shorter side in training, pixels: one value, or several to draw from", low=16)
    max_side: int = option(1000, "longer side at most, pixels", low=16)
    test_short_side: int = option(600, "shorter side in testing, pixels", low=16)
    hflip: float = option(0.5, "probability of a horizontal flip in training", low=0, high=1)
    workers: int = option(2, "processes that read images", low=0)


@dataclass
class ClassificationSourceConfig:
    """One labelled set of images."""

    format: str = option("folder", "layout of the files", choices=("folder", "cifar10", "cifar100"))
    root: str = option("", "folder: one sub-folder a class; cifar: the folder of the official batches (python or binary)")
    split: str = option("train", "cifar: train or test", choices=("train", "test"))


@dataclass
class ClassificationDataConfig:
    """Classification data and its transforms."""

    train: ClassificationSourceConfig = option(factory=ClassificationSourceConfig, text="training set")
    val: ClassificationSourceConfig = option(factory=lambda: ClassificationSourceConfig(split="test"), text="validation set")
    crop: int = option(224, "side of the square the network sees, pixels", low=8)
    short_side: list[int] = option(
        [256, 480], "shorter side drawn between these in training, pixels; empty: not resized", low=8
    )
    test_short_side: int = option(256, "shorter side before the centre crop in testing, pixels; 0: not resized", low=0)
    pad: int = option(0, "zero padding before the random crop, pixels (CIFAR: 4)", low=0)
    hflip: float = option(0.5, "probability of a horizontal flip in training", low=0, high=1)
    lighting: float = option(0.1, "standard deviation of the PCA colour noise; 0: none", low=0)
    workers: int = option(2, "processes that read images", low=0)


@dataclass
class OptimizerConfig:
    """SGD with momentum."""

    lr: float = option(0.01, "learning rate after the warm-up", low=0)
    momentum: float = option(0.9, "momentum", low=0, high=1)
    weight_decay: float = option(1e-4, "L2 penalty", low=0)
    clip_norm: float = option(0.0, "gradients longer than this are shortened to it; 0: never", low=0)


@dataclass
class ScheduleConfig:
    """How the learning rate changes, in iterations."""

    iterations: int = option(90000, "optimizer steps", low=1)
    milestones: list[int] = option([], "iterations at which the learning rate is multiplied by gamma", low=1)
    gamma: float = option(0.1, "factor at a milestone", low=0, high=1)
    warmup_iterations: int = option(0, "linear warm-up over the first iterations", low=0)
    warmup_factor: float = option(0.001, "learning rate at iteration 0, as a share of lr", low=0, high=1)


@dataclass
class RunConfig:
    """The run itself."""

    batch: int = option(16, "images an optimizer step", low=1)
    seed: int = option(0, "seed of everything random", low=0, high=2**63 - 1)
    log_every: int = option(20, "iterations between log lines", low=1)
    checkpoint_every: int = option(1000, "iterations between checkpoints", low=1)
    eval_every: int = option(0, "iterations between evaluations; 0: only at the end", low=0)


@dataclass
class DetectionRunConfig:
    """A run file of `train-det` and of `eval`."""

    task: str = option("detection", "which task", choices=("detection",))
    model: DetectorConfig = option(factory=DetectorConfig)
    data: DetectionDataConfig = option(factory=DetectionDataConfig)
    optimizer: OptimizerConfig = option(factory=OptimizerConfig)
    schedule: ScheduleConfig = option(factory=ScheduleConfig)
    run: RunConfig = option(factory=RunConfig)
    output: str = option("", "the run folder; empty: runs/<config name>")


@dataclass
class ClassificationRunConfig:
    """A run file of `train-cls` and of `eval`."""

    task: str = option("classification", "which task", choices=("classification",))
    model: ClassifierConfig = option(factory=ClassifierConfig)
    data: ClassificationDataConfig = option(factory=ClassificationDataConfig)
    optimizer: OptimizerConfig = option(factory=OptimizerConfig)
    schedule: ScheduleConfig = option(factory=ScheduleConfig)
    run: RunConfig = option(factory=RunConfig)
    recompute_bn: int = option(
        0,
        "training images over which the BN statistics of model.safetensors are recomputed at the end; 0: not at all; "
        "best.safetensors keeps the moving averages",
        low=0,
    )
    output: str = option("", "the run folder; empty: runs/<config name>")


RUN_CONFIGS: dict[str, type[DetectionRunConfig] | type[ClassificationRunConfig]] = {
    "detection": DetectionRunConfig,
    "classification": ClassificationRunConfig,
}
