"""From config and files to modules: the only place that unpacks a config."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn
from torchvision.ops import RoIAlign, RoIPool

from resdet.config import config_to_dict
from resdet.config.localization import LocalizerConfig
from resdet.config.schema import BackboneConfig, ClassifierConfig, DetectionTestConfig, DetectorConfig, RoIConfig, RPNConfig
from resdet.errors import ConfigError
from resdet.models.backbones.resnet import ResNet
from resdet.models.backbones.split import freeze_stages, split_c4
from resdet.models.backbones.weights import load_backbone_weights
from resdet.models.card_network import card_config, check_same_network, with_card
from resdet.models.classifier import Classifier
from resdet.models.detection.anchors import AnchorGrid, cell_anchors
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.detection.finetune import take_over
from resdet.models.detection.postprocess import Postprocess
from resdet.models.detection.proposals import ProposalFilter
from resdet.models.detection.roi_heads import BoxPredictor, RoIHeads
from resdet.models.detection.rpn import RPN, RPNHead
from resdet.models.model_file import ModelCard, load_tensors, read_model
from resdet.models.registry import create_backbone
from resdet.ops.frozen_bn import FrozenBatchNorm2d, looks_unloaded
from resdet.structures import PIXEL_CONVENTIONS, PixelConvention

_log = logging.getLogger(__name__)


def build_backbone(
    config: BackboneConfig, num_classes: int, norm: Callable[[int], nn.Module] = nn.BatchNorm2d
) -> tuple[ResNet, PixelConvention]:
    """The residual network of a config with its weights loaded, and the pixel convention they want.

    Warns where nothing shows which pixels and which stride the weights want.

    Raises:
        ConfigError: unknown backbone, or weights that do not fit it.
        DataError: a weights file that cannot be read.
    """
    resnet, pixels, doubt = _load_backbone(config, num_classes, norm)
    if doubt:
        warnings.warn(doubt, stacklevel=2)
    return resnet, pixels


def _load_backbone(
    config: BackboneConfig, num_classes: int, norm: Callable[[int], nn.Module]
) -> tuple[ResNet, PixelConvention, str]:
    """What ``build_backbone`` gives, and the warning that it utters."""
    resnet = create_backbone(
        config.name,
        num_classes=num_classes,
        norm=norm,
        stride_in_1x1=config.stride_in_1x1,
        shortcut=config.shortcut,
        width=config.width,
        zero_init_last=config.zero_init_last,
    )
    pixels = PIXEL_CONVENTIONS.get(config.pixels)
    if not config.weights:
        return resnet, pixels or PIXEL_CONVENTIONS["torchvision"], ""
    report = load_backbone_weights(resnet, config.weights, pixels=pixels, stride_in_1x1=config.stride_in_1x1)
    _log.info("backbone %s from %s:\n%s", config.name, config.weights, report.table())
    return resnet, report.pixels, report.doubt


def build_classifier(config: ClassifierConfig, names: Sequence[str], mean_image: Tensor | None = None) -> Classifier:
    """The classifier of a config for the classes ``names``, see ``Classifier``; errors of ``build_backbone``."""
    resnet, pixels = build_backbone(config.backbone, len(names))
    return with_card(Classifier(resnet, pixels, names, mean_image), config)


def build_frozen_backbone(config: BackboneConfig) -> tuple[ResNet, PixelConvention]:
    """``build_backbone`` with frozen BN and a classifier of one class, for networks that leave it out.

    Warns as ``build_backbone`` does, and when BN is frozen at statistics that were never loaded: such a network hardly trains.
    """
    resnet, pixels, doubt = _load_backbone(config, 1, FrozenBatchNorm2d)
    warned = [doubt] if doubt else []
    if looks_unloaded(resnet):
        origin = f"{config.weights} holds no BN statistics" if config.weights else "no backbone weights are given"
        warned.insert(
            0,
            f"frozen BN has mean 0 and variance 1 in every layer ({origin}): right only where the statistics were folded "
            "into scale and shift",
        )
    if warned:
        warnings.warn("; ".join(warned), stacklevel=3)
    return resnet, pixels


def build_detector(config: DetectorConfig, names: Sequence[str]) -> FasterRCNN:
    """The detector of a config for the classes ``names``; errors and warnings of ``build_frozen_backbone``."""
    resnet, pixels = build_frozen_backbone(config.backbone)
    trunk, head = split_c4(resnet)
    freeze_stages(trunk, head, config.freeze_at)
    rpn = _build_rpn(
        config.rpn, AnchorGrid(cell_anchors(config.anchors.sizes, config.anchors.ratios), trunk.stride), trunk.out_channels
    )
    roi = config.roi
    roi_heads = RoIHeads(
        _build_pooler(roi, 1 / trunk.stride),
        head,
        BoxPredictor(head.out_channels * (2 if roi.context else 1), len(names)),
        context=roi.context,
        batch=roi.batch,
        positive_fraction=roi.positive_fraction,
        fg_iou=roi.fg_iou,
        bg_iou=roi.bg_iou,
        smooth_l1_beta=roi.smooth_l1_beta,
        postprocess=build_postprocess(config.test),
    )
    return with_card(FasterRCNN(trunk, rpn, roi_heads, pixels=pixels, names=names), config)


def start_detector(config: DetectorConfig, names: Sequence[str]) -> FasterRCNN:
    """The detector that training begins with: of ``build_detector``, and where ``config.weights`` names one, of its tensors.

    A detector without context may go into one with it, see ``take_over``; all else that makes the network must be as it was.

    Raises:
        ConfigError: no such file, one of another network or pixel convention; errors of ``build_backbone``.
        DataError: a file that cannot be read.
    """
    path = config.weights
    if not path:
        return build_detector(config, names)
    state, card = read_model(path)
    own = card_config(path, card)
    if isinstance(own, DetectorConfig) and config.roi.context:
        own = replace(own, roi=replace(own.roi, context=True))
    pixels = PixelConvention.from_dict(card.pixels)
    check_same_network(path, own, config, pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # BN statistics come with the state below
        detector = build_detector(config, names)
    detector.pixels = pixels
    _log.info("detector from %s:\n%s", path, take_over(detector, detector.names, state, card.names).table())
    return detector


def _build_rpn(config: RPNConfig, anchors: AnchorGrid, channels: int) -> RPN:
    return RPN(
        RPNHead(channels, anchors.per_position),
        anchors,
        train_filter=ProposalFilter(config.pre_nms_train, config.post_nms_train, config.nms_iou, config.min_size),
        test_filter=ProposalFilter(config.pre_nms_test, config.post_nms_test, config.nms_iou, config.min_size),
        batch=config.batch,
        positive_fraction=config.positive_fraction,
        fg_iou=config.fg_iou,
        bg_iou=config.bg_iou,
        smooth_l1_beta=config.smooth_l1_beta,
    )


def _build_pooler(config: RoIConfig, scale: float) -> nn.Module:
    if config.pooling == "pool":
        return RoIPool(config.pooled_size, scale)
    return RoIAlign(config.pooled_size, scale, config.sampling_ratio, aligned=True)


def build_postprocess(config: DetectionTestConfig) -> Postprocess:
    """From scores and boxes to detections, as a config says."""
    return Postprocess(
        score_thresh=config.score_thresh,
        nms_iou=config.nms_iou,
        detections_per_image=config.detections_per_image,
        soft_nms=config.soft_nms,
        soft_nms_sigma=config.soft_nms_sigma,
        vote_iou=config.vote_iou,
    )


def load_model(
    path: str | Path, config: DetectorConfig | ClassifierConfig | None = None
) -> tuple[FasterRCNN | Classifier, ModelCard]:
    """The network of a detector's or a classifier's model file, in eval mode on the CPU, and its card.

    Args:
        path: a file of ``write_model``.
        config: gives what is free at test time (numbers of proposals, thresholds, …); the file's own when None.

    Raises:
        ConfigError: no such file, an unknown task, a config of another network, or tensors that do not fit the card.
        DataError: a file that cannot be read.
    """
    state, card = read_model(path)
    own = card_config(path, card)
    if isinstance(own, LocalizerConfig):
        raise ConfigError(f"{path}: holds a localizer, must be a detector or a classifier")
    pixels = PixelConvention.from_dict(card.pixels)
    if config is not None:
        check_same_network(path, own, config, pixels)
        own = config
    own = replace(own, backbone=replace(own.backbone, weights=""))  # the weights are in this file already
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # BN statistics come with the state below
        if card.task == "detection":
            model: FasterRCNN | Classifier = build_detector(own, card.names)
        else:
            mean_image = state.get("mean_image")
            # a copy: a network that keeps what was read would keep the file open, which Windows then lets nobody replace
            model = build_classifier(own, card.names, None if mean_image is None else mean_image.clone())
    model.pixels = pixels
    model.card = replace(card, architecture=config_to_dict(own))
    return load_tensors(model, path, state), card
