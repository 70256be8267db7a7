"""Options of networks."""

from __future__ import annotations

from dataclasses import dataclass

from resdet.config.option import MAX_SIDE, option


@dataclass
class BackboneConfig:
    """The residual network."""

    name: str = option("resnet50", "a name of the backbone registry (`resdet info` lists them); CIFAR families have any depth")
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
    width: int = option(0, "channels of the first stage; 0: the network's own (ImageNet 64, CIFAR 16)", low=0, high=65536)
    zero_init_last: bool = option(False, "start the last BN scale of every branch at 0")
    shortcut_norm: bool = option(
        True,
        "BN after a projection shortcut, as in the authors' models; false: the projection alone, as equation 2 of the paper",
    )
    norm: str = option(
        "batch",
        "batch: BN; none, of classifiers: a learnt scale and shift of each channel, and nothing is normalized; fixup: the same "
        "with Fixup's start (Zhang et al. 2019), for networks with shortcuts",
        choices=("batch", "none", "fixup"),
    )
    mean: list[float] = option(
        [], "mean colour that is subtracted, of pixels in [0, 1], red, green, blue; empty: that of pixels", low=0, high=1
    )
    std: list[float] = option([], "deviation that is then divided by, in the same way; empty: that of pixels", low=1e-6)


@dataclass
class AnchorConfig:
    """Anchors at every position of the C4 map (stride 16)."""

    sizes: list[float] = option([32.0, 64.0, 128.0, 256.0, 512.0], "square root of the anchors' areas, pixels", low=1)
    ratios: list[float] = option([0.5, 1.0, 2.0], "height / width", low=0.01)
    rounded: bool = option(False, "corners of whole pixels, as torchvision's detectors have them")


@dataclass
class RPNConfig:
    """Region proposal network."""

    batch_size_per_image: int = option(256, "anchors sampled for the loss, an image", low=1)
    positive_fraction: float = option(0.5, "at most this share of them positive", low=0, high=1)
    fg_iou_thresh: float = option(0.7, "an anchor is positive from this IoU on", low=0, high=1)
    bg_iou_thresh: float = option(0.3, "an anchor is negative below this IoU", low=0, high=1)
    smooth_l1_beta: float = option(1 / 9, "where the box loss turns from squared to absolute; 0: L1", low=0)
    pre_nms_top_n_train: int = option(12000, "best scored anchors an image that enter NMS, training", low=1)
    post_nms_top_n_train: int = option(2000, "proposals an image, training", low=1)
    pre_nms_top_n_test: int = option(6000, "best scored anchors an image that enter NMS, testing", low=1)
    post_nms_top_n_test: int = option(300, "proposals an image, testing", low=1)
    nms_thresh: float = option(0.7, "proposals that overlap a better one by more are dropped", low=0, high=1)
    min_size: float = option(0.0, "proposals with a shorter side are dropped, pixels of the resized image", low=0)


@dataclass
class RoIConfig:
    """Region classifier: RoI pooling, conv5, two sibling layers."""

    pooling: str = option(
        "align",
        "RoIAlign; align_v1: half a pixel off, as torchvision's detectors have it; pool: the paper's max RoI pooling",
        choices=("align", "align_v1", "pool"),
    )
    pooled_size: int = option(14, "side of the pooled map; conv5's stride halves it", low=2)
    sampling_ratio: int = option(0, "RoIAlign's samples a bin and axis; 0: as many as its pixels", low=0)
    batch_size_per_image: int = option(512, "regions sampled for the loss, an image", low=1)
    positive_fraction: float = option(0.25, "at most this share of them positive", low=0, high=1)
    fg_iou_thresh: float = option(0.5, "a region is positive from this IoU on", low=0, high=1)
    bg_iou_thresh: float = option(0.5, "a region is background below this IoU", low=0, high=1)
    smooth_l1_beta: float = option(1.0, "where the box loss turns from squared to absolute; 0: L1", low=0)
    context: bool = option(False, "the feature of the whole image stands beside each region's (paper, appendix B)")


@dataclass
class DetectionTestConfig:
    """From region scores to detections; what the paper's appendix B adds at test time goes together in any choice."""

    score_thresh: float = option(0.05, "detections must score more", low=0, high=1)
    nms_thresh: float = option(
        0.5,
        "per-class NMS: detections that overlap a better one by more are dropped (paper, with refine: 0.3)",
        low=0,
        high=1,
    )
    soft_nms: str = option(
        "none",
        "linear, gaussian: overlapping detections lose score instead of being dropped",
        choices=("none", "linear", "gaussian"),
    )
    soft_nms_sigma: float = option(0.5, "width of the gaussian of soft_nms", low=0.01)
    detections_per_image: int = option(100, "best scored detections kept", low=1)
    refine: bool = option(False, "pool each region's regressed box again, and join the new boxes with the old")
    vote_iou: float = option(
        0.0,
        "box voting: a detection becomes the mean of its class's boxes that overlap it by this much, weighted by score "
        "(paper: 0.5); 0: no voting",
        low=0,
        high=1,
    )
    flip: bool = option(False, "average scores and boxes with those of the mirrored image")
    short_sides: list[int] = option(
        [],
        "shorter sides of a pyramid, pixels (paper: 200, 400, 600, 800, 1000): a region is pooled at the two scales at which "
        "its area is nearest to 224 x 224, and the features are merged by maximum; empty: one scale, the data's. Proposals "
        "come from the data's scale; the limit of the longer side grows with the shorter",
        low=16,
        high=MAX_SIDE,
    )


@dataclass
class DetectorConfig:
    """Faster R-CNN on ResNet-C4 (paper, appendix A)."""

    backbone: BackboneConfig = option(factory=BackboneConfig)
    weights: str = option(
        "",
        "model file of a trained detector to start from instead of backbone.weights; classes are taken over by name, and what "
        "does not fit starts anew",
    )
    freeze_at: int = option(2, "stages whose weights stay fixed: 0 none, 1 conv1, 2 conv1 and conv2_x, …", low=0, high=5)
    anchors: AnchorConfig = option(factory=AnchorConfig)
    rpn: RPNConfig = option(factory=RPNConfig)
    roi: RoIConfig = option(factory=RoIConfig)
    test: DetectionTestConfig = option(factory=DetectionTestConfig)


@dataclass
class ClassifierConfig:
    """Image classifier."""

    backbone: BackboneConfig = option(factory=BackboneConfig)
