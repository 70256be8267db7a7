"""torchvision's FasterRCNN, built as a C4 model with our weights, is the independent oracle of the whole detector.

Where our conventions differ by design, the switch is in ``benchmarks/peers.py``, which builds it, or here:

* anchors: ours are not rounded and go size by size; the test gives our grid torchvision's rounded ones;
* RoIAlign: ours is ``aligned=True`` (half-pixel corrected); the test gives ours ``aligned=False``;
* region box loss: ours has beta 1 (Fast R-CNN); the test sets torchvision's 1/9;
* background: our last class, torchvision's first; the weights' rows are moved;
* resizing: ours is PIL's antialiased bilinear; both get images that are already resized;
* pixels: torchvision's are RGB in [0, 1]; it gets normalized input, and its own normalization is the identity;
* samples: torchvision's detector is given our sampler, which has tests of its own;
* padding: torchvision pads to multiples of 32; the images have such sides.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from close_detections import assert_close_detections, edges_of
from PIL import Image
from rounding import network
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN as TorchvisionFasterRCNN
from torchvision.transforms.v2.functional import pil_to_tensor

from resdet.config.schema import BackboneConfig, DetectorConfig, RoIConfig, RPNConfig
from resdet.models.build import build_detector
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.structures import ImageBatch, Target

sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))

import peers

CLASSES = 7
REGIONS = 100  # an image: conv5 on each is the cost of this test


class Trunk(nn.Module):
    def __init__(self, trunk: nn.Module, channels: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.out_channels = channels

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        return OrderedDict([("0", self.trunk(x))])


@torch.no_grad()
def spread_outputs(detector: FasterRCNN, images: list[Tensor]) -> None:
    """Scale the four untrained output layers so that scores and boxes vary, and do not saturate (ties have no order)."""
    batch = ImageBatch.from_images(images, detector.pixels)
    features = detector.trunk(batch.tensor)
    logits, deltas = detector.rpn.head(features)
    detector.rpn.head.objectness.weight.mul_(1.5 / logits.std())
    detector.rpn.head.deltas.weight.mul_(0.2 / deltas.std())
    proposals, _ = detector.eval().rpn(features, batch.sizes)
    logits, deltas = detector.roi_heads(features, proposals, batch.sizes)
    predictor = detector.roi_heads.predictor
    predictor.cls_score.bias.copy_(-logits.mean(0) * 2 / (logits - logits.mean(0)).std())
    predictor.cls_score.weight.mul_(2 / (logits - logits.mean(0)).std())
    predictor.bbox_pred.weight.mul_(0.5 / deltas.std())


def build_pair(backbone: BackboneConfig, images: list[Tensor]) -> tuple[FasterRCNN, TorchvisionFasterRCNN]:
    torch.manual_seed(0)
    config = DetectorConfig(
        backbone=backbone, rpn=RPNConfig(post_nms_top_n_test=REGIONS), roi=RoIConfig(batch_size_per_image=REGIONS)
    )
    detector = build_detector(config, [str(k) for k in range(CLASSES)])
    spread_outputs(detector, images)
    theirs = peers.torchvision_detector(
        detector, Trunk(detector.trunk, detector.rpn.head.conv.in_channels), detector.roi_heads.res5
    )
    theirs.transform.min_size = (320,)
    return detector, theirs


def make_targets(images: list[Tensor]) -> list[Target]:
    generator = torch.Generator().manual_seed(3)
    targets = []
    for index, image in enumerate(images):
        height, width = image.shape[-2:]
        count = 3 * index  # the first image holds nothing
        corner = torch.rand(count, 2, generator=generator) * torch.tensor([width, height]) * 0.6
        side = 20 + torch.rand(count, 2, generator=generator) * 120
        boxes = torch.cat([corner, torch.minimum(corner + side, torch.tensor([width, height]))], dim=1)
        targets.append(Target(boxes, torch.randint(0, CLASSES, (count,), generator=generator), (height, width), index))
    return targets


def assert_same_detections(detector: FasterRCNN, theirs: TorchvisionFasterRCNN, images: list[Tensor]) -> None:
    detector.eval()
    theirs.eval()
    with torch.no_grad():
        ours, expected = detector.detect(images), theirs([detector.pixels.normalize(image) for image in images])
    assert sum(len(found) for found in ours) > 20  # the comparison is about something
    for found, other in zip(ours, expected, strict=True):
        theirs_found = other["boxes"], other["scores"], other["labels"] - 1
        edges = edges_of(detector.roi_heads.postprocess)
        assert_close_detections(found, theirs_found, edges=edges)


def assert_same_losses(detector: FasterRCNN, theirs: TorchvisionFasterRCNN, images: list[Tensor]) -> None:
    detector.train()
    theirs.train()
    targets = make_targets(images)
    torch.manual_seed(5)  # both draw the same samples
    ours = detector.losses(images, targets)
    torch.manual_seed(5)
    expected = theirs(
        [detector.pixels.normalize(image) for image in images],
        [{"boxes": target.boxes, "labels": target.labels + 1} for target in targets],
    )
    names = {
        "loss_rpn_cls": "loss_objectness",
        "loss_rpn_box": "loss_rpn_box_reg",
        "loss_roi_cls": "loss_classifier",
        "loss_roi_box": "loss_box_reg",
    }
    assert set(ours) == set(names)
    for name, other in names.items():
        assert expected[other] > 0
        torch.testing.assert_close(ours[name], expected[other], rtol=network(50, 9 * 512, torch.float32), atol=0)


@pytest.mark.filterwarnings("ignore:frozen BN")
def test_on_noise_with_a_small_network() -> None:
    generator = torch.Generator().manual_seed(0)
    images = [torch.randint(0, 256, (3, 320, width), dtype=torch.uint8, generator=generator) for width in (352, 320)]
    detector, theirs = build_pair(BackboneConfig(name="resnet18", width=16), images)
    assert_same_losses(detector, theirs, images)
    assert_same_detections(detector, theirs, images)


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.filterwarnings("ignore:frozen BN")
@pytest.mark.parametrize(
    ("name", "file", "stride_in_1x1"),
    [
        ("resnet18", "resnet18_imagenet_pq.fp16.pth", False),
        ("resnet50", "resnet50_msra_bgr_stride_in_1x1.fp16.pth", True),
    ],
)
def test_on_real_photos_with_imagenet_weights(shared_data: Path, name: str, file: str, stride_in_1x1: bool) -> None:
    weights = str(shared_data / "weights" / file)
    pixels = "msra" if stride_in_1x1 else "torchvision"
    files = sorted((shared_data / "coco_mini/val2017").glob("*.jpg"))[:2]
    images = [pil_to_tensor(Image.open(path).convert("RGB").resize((416, 320), Image.Resampling.BILINEAR)) for path in files]
    config = BackboneConfig(name=name, weights=weights, pixels=pixels, stride_in_1x1=stride_in_1x1)
    detector, theirs = build_pair(config, images)
    assert_same_losses(detector, theirs, images)
    assert_same_detections(detector, theirs, images)
