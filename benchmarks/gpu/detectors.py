"""ResNet-C4 detectors of ours and of torchvision with the same weights, on the device."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from inference import spread
from peers import torchvision_c4
from torch import Tensor
from torch.nn import functional as F

from resdet.config.schema import BackboneConfig, DetectorConfig, RoIConfig, RPNConfig
from resdet.models.build import build_detector
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.structures import Target

LAYERS = {
    "resnet18": ("basic", [2, 2, 2, 2]),
    "resnet50": ("bottleneck", [3, 4, 6, 3]),
    "resnet101": ("bottleneck", [3, 4, 23, 3]),
}
CLASSES = 80


def pictures(count: int, size: tuple[int, int]) -> list[Tensor]:
    """Coloured noise with structure, uint8 (3, H, W), the sides multiples of 32."""
    height, width = size
    coarse = torch.rand(count, 3, max(height // 32, 1), max(width // 32, 1), generator=torch.Generator().manual_seed(0))
    return list((F.interpolate(coarse, size, mode="bilinear") * 255).to(torch.uint8))


def pair(
    name: str, size: tuple[int, int], where: torch.device, *, proposals: int = 300, regions: int = 128
) -> tuple[FasterRCNN, Any]:
    """Our detector, plain, and torchvision's, both on the device and in evaluation mode."""
    torch.manual_seed(0)
    warnings.filterwarnings("ignore", message="frozen BN")
    config = DetectorConfig(
        backbone=BackboneConfig(name=name, stride_in_1x1=name != "resnet18"),
        freeze_at=2,
        rpn=RPNConfig(post_nms_top_n_test=proposals),
        roi=RoIConfig(batch_size_per_image=regions),
    )
    ours = build_detector(config, [str(label) for label in range(CLASSES)]).eval()
    spread(ours, pictures(1, size)[0])
    block, layers = LAYERS[name]
    peer = torchvision_c4(ours, block, layers, stride_in_1x1=name != "resnet18").eval()
    ours.rpn.anchors.cell = ours.rpn.anchors.cell.clone()  # a tensor of its own: both move
    return ours.to(where), peer.to(where)


def labelled(count: int, size: tuple[int, int]) -> list[Target]:
    """Eight objects for each picture."""
    draw = torch.Generator().manual_seed(1)
    targets = []
    for number in range(count):
        corner = torch.rand(8, 2, generator=draw) * torch.tensor([size[1], size[0]]) * 0.6
        sides = torch.tensor([size[1], size[0]]) * (0.05 + torch.rand(8, 2, generator=draw) * 0.3)
        labels = torch.randint(CLASSES, (8,), generator=draw)
        targets.append(Target(torch.cat([corner, corner + sides], 1), labels, size, number))
    return targets
