"""A prepared detector against torchvision's Faster R-CNN as a C4 model, from the normalized image's pixels to detections.

Both have the same weights and 300 proposals of one image of 608×800 pixels, as torchvision pads one of 600×800, and must give
the same detections before they are measured. The plain form of our detector, which trains, is measured beside them, and
Detectron2's where it is installed.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from detectron2_c4 import detected, detectron2_c4, installed
from measure import Claim, Result, arguments, compare
from peers import torchvision_c4
from reporting import report
from torch import Tensor
from torch.nn import functional as F

from resdet.config.schema import BackboneConfig, DetectorConfig, RPNConfig
from resdet.models.build import build_detector
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.structures import ImageBatch

OURS, PLAIN, PEER, OTHER = "resdet", "resdet, not prepared", "torchvision", "detectron2"
CLASSES, PROPOSALS = 80, 300
LAYERS = {"resnet50": [3, 4, 6, 3], "resnet101": [3, 4, 23, 3]}
CLAIMS = (
    ("R50-C4 inference, 600×800, 300 proposals, stride in the 1×1", 0.38, "resnet50", True),
    ("R50-C4 inference, 600×800, 300 proposals, stride in the 3×3", 0.60, "resnet50", False),
    ("R101-C4 inference, 600×800, 300 proposals, stride in the 1×1", 0.50, "resnet101", True),
    ("R101-C4 inference, 600×800, 300 proposals, stride in the 3×3", 0.50, "resnet101", False),
)


def main() -> None:
    args = arguments(__doc__).parse_args()
    warnings.filterwarnings("ignore", message="frozen BN")
    results: list[Result] = []
    for name, bound, network, stride_in_1x1 in CLAIMS:
        torch.set_num_threads(args.threads[0])
        ways = detectors(network, stride_in_1x1=stride_in_1x1, quick=args.quick)
        for threads in args.threads:
            claim = Claim(name, bound)
            found = compare(claim, ways, ours=OURS, peer=PEER, repeats=args.repeats, warmup=1, threads=threads, once=[PLAIN])
            results.append(found)
            if OTHER in ways:
                results.append(replace(found, claim=Claim(name, None), peer=OTHER))
    report("Inference", results, json_path=args.output, quick=args.quick)


def detectors(network: str, *, stride_in_1x1: bool, quick: bool) -> dict[str, Callable[[], object]]:
    """The ways to detect on one image; exits when they do not detect the same."""
    torch.manual_seed(0)
    height, width, proposals = (96, 128, 20) if quick else (608, 800, PROPOSALS)
    backbone = BackboneConfig(name=network, stride_in_1x1=stride_in_1x1)
    names = [str(label) for label in range(CLASSES)]
    config = DetectorConfig(backbone=backbone, rpn=RPNConfig(post_nms_test=proposals))
    plain = build_detector(config, names).eval()
    image = F.interpolate(torch.rand(1, 3, height // 32, width // 32), (height, width), mode="bilinear")[0]
    image = (image * 255).to(torch.uint8)
    spread(plain, image)
    pixels = plain.pixels.normalize(image)
    ways: dict[str, Callable[[], object]] = {}
    if installed():
        other = detectron2_c4(plain, depth=int(network.removeprefix("resnet")), stride_in_1x1=stride_in_1x1).eval()
        check(network, plain, plain.prepare(), image, OTHER, detected(other, pixels))
        ways[OTHER] = lambda: detected(other, pixels)
    peer = torchvision_c4(plain, "bottleneck", LAYERS[network], stride_in_1x1=stride_in_1x1).eval()
    peer.transform.min_size, peer.transform.max_size = (height,), width  # which leaves the image as it is

    @torch.no_grad()
    def theirs() -> dict[str, Tensor]:
        found: dict[str, Tensor] = peer([pixels])[0]
        return found

    prepared = plain.prepare()  # once more: with torchvision's conventions
    check(network, plain, prepared, image, PEER, theirs())
    return {OURS: lambda: prepared.detect([image]), PLAIN: lambda: plain.detect([image]), PEER: theirs, **ways}


def check(
    network: str, plain: FasterRCNN, prepared: FasterRCNN, image: Tensor, peer: str, expected: Mapping[str, Tensor]
) -> None:
    """Exit when ours and the peer's do not detect the same."""
    with torch.no_grad():
        regions = len(plain.rpn(plain.trunk(ImageBatch.from_images([image], plain.pixels).tensor), [image.shape[1:]])[0][0])
    found = prepared.detect([image])[0]
    if (
        regions < plain.rpn.test_filter.post_nms
        or not same(found.boxes, expected["boxes"], 1e-2)
        or not same(found.scores, expected["scores"], 1e-4)
    ):
        sys.exit(f"{network}: {regions} proposals; the detections of {OURS} and {peer} differ")


def same(found: Tensor, expected: Tensor, tolerance: float) -> bool:
    """Whether two tensors are equal up to ``tolerance`` and not empty."""
    return found.shape == expected.shape and len(found) > 0 and bool((found - expected).abs().max() <= tolerance)


@torch.no_grad()
def spread(detector: FasterRCNN, image: Tensor) -> None:
    """Make untrained weights say different things of different regions, without saturation."""
    for norm in [part for name, part in detector.named_modules() if name.endswith("bn3")]:
        norm.weight.mul_(0.2)  # without statistics the sums of all blocks would grow beyond all measure
    batch = ImageBatch.from_images([image], detector.pixels)
    features = detector.trunk(batch.tensor)
    logits, deltas = detector.rpn.head(features)
    detector.rpn.head.objectness.weight.mul_(1.5 / logits.std())
    detector.rpn.head.deltas.weight.mul_(0.2 / deltas.std())
    proposals, _ = detector.rpn(features, batch.sizes)
    logits, deltas = detector.roi_heads(features, [proposals[0][:40]], batch.sizes)
    predictor = detector.roi_heads.predictor
    scale = 2 / (logits - logits.mean(0)).std()
    predictor.cls_score.bias.copy_(-logits.mean(0) * scale)
    predictor.cls_score.weight.mul_(scale)
    predictor.bbox_pred.weight.mul_(0.5 / deltas.std())


if __name__ == "__main__":
    main()
