"""From configs to detectors."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path

import pytest
import torch
from rounding import network
from small_networks import detector, detector_config, images_and_targets, written
from torch import nn
from torchvision.ops import RoIAlign, RoIPool

from resdet.inference.localizer import Localizer
from resdet.models.build import load_model
from resdet.models.card_network import card_config
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.detection.postprocess import Postprocess
from resdet.models.detection.proposals import ProposalFilter
from resdet.models.detection.roi_heads import RoIHeads
from resdet.models.detection.rpn import RPN
from resdet.models.localization.per_class_rpn import PerClassRPN
from resdet.models.localization.rcnn import RegionNet
from resdet.models.model_file import read_card
from resdet.ops.frozen_bn import FrozenBatchNorm2d

pytestmark = pytest.mark.filterwarnings("ignore:frozen BN has mean 0")  # nothing is trained here


def trains_and_detects(model: FasterRCNN) -> None:
    images, targets = images_and_targets()
    losses = model.train().losses(images, targets)
    assert list(losses) == ["loss_rpn_cls", "loss_rpn_box", "loss_roi_cls", "loss_roi_box"]
    torch.stack(list(losses.values())).sum().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is None) == (not parameter.requires_grad), name
        assert parameter.grad is None or parameter.grad.isfinite().all(), name
    found = model.eval().detect(images)
    assert [item.size for item in found] == [(64, 80), (48, 64)]


@pytest.mark.parametrize("pooling", ["align", "align_v1", "pool"])
def test_every_pooling(pooling: str) -> None:
    model = detector(roi={"pooling": pooling, "pooled_size": 7})
    assert isinstance(model.roi_heads.pooler, RoIPool if pooling == "pool" else RoIAlign)
    assert getattr(model.roi_heads.pooler, "aligned", None) == {"align": True, "align_v1": False}.get(pooling)
    assert model.roi_heads.pooler.spatial_scale == 1 / 16
    trains_and_detects(model)


def test_global_context_doubles_the_predictor_s_input_and_comes_back_from_its_file(tmp_path: Path) -> None:
    config = detector_config(roi={"context": True})
    model = detector(roi={"context": True})
    assert model.roi_heads.predictor.cls_score.in_features == 2 * model.roi_heads.res5.out_channels
    trains_and_detects(model)
    path = written(tmp_path / "det.safetensors", model, config)
    assert card_config(path, read_card(path)) == config
    loaded, _ = load_model(path)
    assert isinstance(loaded, FasterRCNN)
    assert loaded.roi_heads.context


@pytest.mark.parametrize("shortcut", ["A", "B", "C", "none"])
@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_detectors_on_every_kind_of_shortcut(name: str, shortcut: str) -> None:
    model = detector(backbone={"name": name, "width": 4, "shortcut": shortcut}, freeze_at=1)
    projections = [key for key in model.state_dict() if key.endswith("downsample.0.weight")]
    blocks = {"resnet18": 8, "resnet50": 16}[name]
    entries = {"resnet18": 3, "resnet50": 4}[name]  # blocks whose input has another shape than their output
    assert len(projections) == {"A": 0, "B": entries, "C": blocks, "none": 0}[shortcut]
    trains_and_detects(model)


def test_stride_in_the_1x1() -> None:
    for in_1x1 in (False, True):
        model = detector(backbone={"name": "resnet50", "width": 4, "stride_in_1x1": in_1x1})
        block = model.trunk.layer3[0]
        assert (block.conv1.stride, block.conv2.stride) == (((2, 2), (1, 1)) if in_1x1 else ((1, 1), (2, 2)))


# parameters with a gradient, by stage, of a resnet18: conv1; a weight for each convolution of a stage
@pytest.mark.parametrize(("freeze_at", "trained"), [(0, 20), (1, 19), (2, 15), (3, 10), (4, 5), (5, 0)])
def test_freezing_counts(freeze_at: int, trained: int) -> None:
    model = detector(freeze_at=freeze_at)
    backbone = [*model.trunk.parameters(), *model.roi_heads.res5.parameters()]
    assert sum(parameter.requires_grad for parameter in backbone) == trained
    assert len(backbone) == 20  # BN's scale and shift are no parameters: it is frozen
    assert all(parameter.requires_grad for parameter in (*model.rpn.parameters(), *model.roi_heads.predictor.parameters()))


def test_bn_is_frozen_everywhere() -> None:
    model = detector()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert sum(isinstance(module, FrozenBatchNorm2d) for module in model.modules()) == 20


def test_bn_without_statistics_is_warned_of() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        detector()
    assert [str(warning.message).partition(" (")[0] for warning in caught] == [
        "frozen BN has mean 0 and variance 1 in every layer"
    ]
    assert "no backbone weights are given" in str(caught[0].message)


def test_numbers_of_the_config_reach_their_parts() -> None:
    model = detector(
        anchors={"sizes": [16, 32, 64], "ratios": [1.0, 2.0]},
        rpn={"nms_thresh": 0.61, "fg_iou_thresh": 0.62, "min_size": 3.0},
        roi={"batch_size_per_image": 33, "positive_fraction": 0.2, "fg_iou_thresh": 0.6, "sampling_ratio": 2},
        test={
            "score_thresh": 0.07,
            "nms_thresh": 0.4,
            "detections_per_image": 9,
            "soft_nms": "gaussian",
            "soft_nms_sigma": 0.7,
            "vote_iou": 0.6,
        },
    )
    assert model.rpn.head.objectness.out_channels == 6
    assert (model.rpn.train_filter.nms_thresh, model.rpn.test_filter.min_size, model.rpn.fg_iou_thresh) == (0.61, 3.0, 0.62)
    assert (model.rpn.train_filter.post_nms_top_n, model.rpn.test_filter.post_nms_top_n) == (20, 12)
    heads = model.roi_heads
    assert (heads.batch_size_per_image, heads.positive_fraction, heads.fg_iou_thresh, heads.pooler.sampling_ratio) == (
        33,
        0.2,
        0.6,
        2,
    )
    assert heads.postprocess == Postprocess(0.07, 0.4, 9, "gaussian", 0.7, 0.6)
    assert not heads.context
    assert heads.num_classes == 3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_detector_under_autocast_has_losses_and_boxes_in_float32(dtype: torch.dtype) -> None:
    model = detector()
    images, targets = images_and_targets()
    torch.manual_seed(1)
    exact = model.losses(images, targets)
    with torch.autocast("cpu", dtype):
        torch.manual_seed(1)
        found = model.losses(images, targets)
        detections = model.detect(images)
    for name, loss in found.items():
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(exact[name].item(), rel=network(20, 1, torch.bfloat16), abs=0.02), name
    sum(found.values()).backward()
    assert all(parameter.grad is None or parameter.grad.dtype == torch.float32 for parameter in model.parameters())
    assert all(each.boxes.dtype == each.scores.dtype == torch.float32 for each in detections)


@pytest.mark.parametrize("part", [RPN, RoIHeads, ProposalFilter, Postprocess, PerClassRPN, RegionNet, Localizer])
def test_defaults_are_those_of_the_config_alone(part: type) -> None:
    parameters = inspect.signature(part).parameters.values()
    assert [each.name for each in parameters if each.default is not inspect.Parameter.empty] == []
