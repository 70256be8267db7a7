"""What others offer for the same job, built with our weights."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torchvision.models import resnet
from torchvision.models.detection import FasterRCNN as TorchvisionFasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign, RoIAlign

from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.detection.matcher import BETWEEN, NEGATIVE
from resdet.models.detection.sampler import sample

SIZES, RATIOS = (32, 64, 128, 256, 512), (0.5, 1.0, 2.0)
BLOCKS = {"basic": resnet.BasicBlock, "bottleneck": resnet.Bottleneck}


class Trunk(nn.Module):
    """conv1 … conv4 of torchvision's network, with the one level that its detector asks for."""

    def __init__(self, network: resnet.ResNet, channels: int) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu, self.maxpool = network.conv1, network.bn1, network.relu, network.maxpool
        self.layer1, self.layer2, self.layer3 = network.layer1, network.layer2, network.layer3
        self.out_channels = channels

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        """Normalized images (N, 3, H, W) to the C4 map."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return OrderedDict([("0", self.layer3(self.layer2(self.layer1(x))))])


class Predictor(nn.Module):
    """Torchvision's layout: background first, and a box for the background too."""

    def __init__(self, cls_score: nn.Linear, bbox_pred: nn.Linear) -> None:
        super().__init__()
        self.cls_score = nn.Linear(cls_score.in_features, cls_score.out_features)
        self.bbox_pred = nn.Linear(cls_score.in_features, bbox_pred.out_features + 4)
        with torch.no_grad():
            self.cls_score.weight.copy_(cls_score.weight.roll(1, 0))
            self.cls_score.bias.copy_(cls_score.bias.roll(1, 0))
            self.bbox_pred.weight.copy_(nn.functional.pad(bbox_pred.weight, (0, 0, 4, 0)))
            self.bbox_pred.bias.copy_(nn.functional.pad(bbox_pred.bias, (4, 0)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features (R, C) to logits (R, K+1) and deltas (R, 4K+4)."""
        return self.cls_score(x), self.bbox_pred(x)


class SameSamples:
    """Draws for torchvision's detector what ours draws; equal losses need equal samples."""

    def __init__(self, batch_size_per_image: int, positive_fraction: float) -> None:
        self.batch_size_per_image = batch_size_per_image
        self.positive_fraction = positive_fraction

    def __call__(self, labels: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """From labels (A_i,), positive above 0 and negative at 0, to masks of the drawn positives and negatives."""
        matches = [torch.where(row > 0, 0, torch.where(row == 0, NEGATIVE, BETWEEN)) for row in labels]
        padded = pad_sequence(matches, batch_first=True, padding_value=BETWEEN)
        drawn = torch.zeros_like(padded, dtype=torch.bool)
        drawn[sample(padded, batch_size_per_image=self.batch_size_per_image, positive_fraction=self.positive_fraction)] = True
        pairs = [(row[: len(own)], own) for row, own in zip(drawn, labels, strict=True)]
        return [row & (own > 0) for row, own in pairs], [row & (own == 0) for row, own in pairs]


def torchvision_c4(detector: FasterRCNN, block: str, layers: list[int], *, stride_in_1x1: bool) -> TorchvisionFasterRCNN:
    """Torchvision's Faster R-CNN as a C4 model of torchvision's own ResNet, with copies of the weights of ``detector``.

    It takes normalized images whose sides are multiples of 32, and what was frozen in ``detector`` is frozen in it. Where
    conventions differ ``detector`` takes over torchvision's, in place: rounded anchors, RoIAlign without the half pixel, and
    the box loss's beta; see ``tests/models/detection/test_torchvision_parity.py``.

    Args:
        detector: of the default anchors and pooling.
        block: ``"basic"`` or ``"bottleneck"``.
        layers: blocks of each stage.
        stride_in_1x1: where the stride of a bottleneck is; torchvision's network is rebuilt for the first 1x1.
    """
    network = resnet.ResNet(BLOCKS[block], layers, num_classes=1, norm_layer=FrozenBatchNorm2d)
    if stride_in_1x1 and block == "bottleneck":
        for first in (network.layer2[0], network.layer3[0], network.layer4[0]):
            first.conv1.stride, first.conv2.stride = first.conv2.stride, first.conv1.stride
    ours = {**detector.trunk.state_dict(), **detector.roi_heads.res5.state_dict()}
    network.load_state_dict({**ours, "fc.weight": network.fc.weight, "fc.bias": network.fc.bias})
    trained = dict(detector.trunk.named_parameters())
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name not in trained or trained[name].requires_grad)
    return torchvision_detector(detector, Trunk(network, detector.rpn.head.conv.in_channels), network.layer4)


def torchvision_detector(detector: FasterRCNN, trunk: nn.Module, res5: nn.Module) -> TorchvisionFasterRCNN:
    """Torchvision's Faster R-CNN of a trunk that gives the one level it asks for, and a conv5; see ``torchvision_c4``."""
    rpn, roi = detector.rpn, detector.roi_heads
    anchors = AnchorGenerator((SIZES,), (RATIOS,))
    peer = TorchvisionFasterRCNN(
        trunk,
        rpn_anchor_generator=anchors,
        box_roi_pool=MultiScaleRoIAlign(["0"], 14, sampling_ratio=0),
        box_head=nn.Sequential(res5, nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        box_predictor=Predictor(roi.predictor.cls_score, roi.predictor.bbox_pred),
        image_mean=[0.0, 0.0, 0.0],
        image_std=[1.0, 1.0, 1.0],
        rpn_pre_nms_top_n_train=rpn.train_filter.pre_nms_top_n,
        rpn_post_nms_top_n_train=rpn.train_filter.post_nms_top_n,
        rpn_pre_nms_top_n_test=rpn.test_filter.pre_nms_top_n,
        rpn_post_nms_top_n_test=rpn.test_filter.post_nms_top_n,
        box_score_thresh=roi.postprocess.score_thresh,
        box_nms_thresh=roi.postprocess.nms_thresh,
        box_detections_per_img=roi.postprocess.detections_per_image,
        _skip_resize=True,  # in training it would draw a scale, and so disturb the random stream that both share
    )
    peer.rpn.fg_bg_sampler = SameSamples(rpn.batch_size_per_image, rpn.positive_fraction)
    peer.roi_heads.fg_bg_sampler = SameSamples(roi.batch_size_per_image, roi.positive_fraction)
    head = peer.rpn.head
    head.conv[0][0].load_state_dict(rpn.head.conv.state_dict())
    head.cls_logits.load_state_dict(rpn.head.objectness.state_dict())
    head.bbox_pred.load_state_dict(rpn.head.deltas.state_dict())
    rpn.anchors.cell = anchors.cell_anchors[0]
    roi.pooler = RoIAlign(14, 1 / detector.trunk.stride, 0, aligned=False)
    roi.smooth_l1_beta = rpn.smooth_l1_beta
    return peer
