"""Torchvision's own FasterRCNN with the weights of a detector that resdet trained; resdet does not run here.

``resdet convert model.safetensors detector.pth --to torchvision`` writes ``detector.pth`` and its settings, ``detector.json``;
``python torchvision_c4.py detector.pth photo.jpg …`` prints what is found.
"""

import json
import sys
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torchvision.models import resnet
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign, roi_align
from torchvision.transforms.functional import pil_to_tensor


class Anchors(AnchorGenerator):
    """Anchors every 16 pixels, of whatever size the picture is; rounded to pixels or not."""

    def __init__(self, sizes: list[float], aspect_ratios: list[float], *, rounded: bool) -> None:
        super().__init__((tuple(sizes),), (tuple(aspect_ratios),))
        if not rounded:
            size, ratio = torch.tensor(sizes).double(), torch.tensor(aspect_ratios).double()[:, None]
            half = torch.stack([size / ratio.sqrt(), size * ratio.sqrt()], dim=-1).reshape(-1, 2) / 2
            self.cell_anchors = [torch.cat([-half, half], dim=1).float()]

    def forward(self, image_list: ImageList, feature_maps: list[Tensor]) -> list[Tensor]:
        """The anchors of each image."""
        (features,) = feature_maps
        self.set_cell_anchors(features.dtype, features.device)
        stride = torch.tensor(16, device=features.device)
        return self.grid_anchors([features.shape[-2:]], [[stride, stride]]) * len(image_list.image_sizes)


class Pool(MultiScaleRoIAlign):
    """RoIAlign on the one map, where torchvision's is half a pixel off."""

    def __init__(self, output_size: int, sampling_ratio: int, *, aligned: bool) -> None:
        super().__init__(["0"], output_size, sampling_ratio)
        self.settings = {"output_size": output_size, "sampling_ratio": sampling_ratio, "aligned": aligned}

    def forward(self, features: dict[str, Tensor], boxes: list[Tensor], _sizes: list[tuple[int, int]]) -> Tensor:
        """Regions (R, C, bins, bins) of the images' boxes."""
        return roi_align(features["0"], boxes, spatial_scale=1 / 16, **self.settings)


def detector(weights: str) -> tuple[FasterRCNN, list[str]]:
    """The detector of a ``.pth`` file with its ``.json`` beside it, in eval mode, and its class names."""
    said = json.loads(Path(weights).with_suffix(".json").read_text())
    network = resnet.__dict__[said["backbone"]](norm_layer=FrozenBatchNorm2d)
    if said["stride_in_1x1"]:
        for block in (network.layer2[0], network.layer3[0], network.layer4[0]):
            block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
    channels = network.fc.in_features
    body = IntermediateLayerGetter(network, {"layer3": "0"})
    body.out_channels = channels // 2
    model = FasterRCNN(
        body,
        rpn_anchor_generator=Anchors(**said["anchors"]),
        box_roi_pool=Pool(**said["roi_pool"]),
        box_head=nn.Sequential(network.layer4, nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        box_predictor=FastRCNNPredictor(channels, len(said["names"]) + 1),
        size_divisible=1,  # no padding: convolutions would see more than the picture
        **said["arguments"],
    )
    model.load_state_dict(torch.load(weights, weights_only=True))
    return model.eval(), said["names"]


if __name__ == "__main__":
    model, names = detector(sys.argv[1])
    for photo in sys.argv[2:]:
        picture = ImageOps.exif_transpose(Image.open(photo)).convert("RGB")
        with torch.no_grad():
            found = model([pil_to_tensor(picture) / 255])[0]
        for box, score, label in zip(found["boxes"], found["scores"], found["labels"], strict=True):
            if score >= 0.5:  # the first class is the background
                x1, y1, x2, y2 = box.tolist()
                print(f"{photo}: {names[label - 1]} {score:.3f} at {x1:.1f}, {y1:.1f}, {x2:.1f}, {y2:.1f}")
