"""``Detector.predict`` against others' detectors of the same weights, from a picture in memory to detections on the CPU.

Torchvision's Faster R-CNN as a C4 model begins with the same uint8 picture, by its own transform, and Detectron2's, where it is
installed, with ours. They must give the same detections before they are measured. The pictures have 608×800 and 800×1088
pixels, as torchvision pads ones of 600×800 and 800×1067. ONNX Runtime and OpenVINO do less: their way is the trunk with the RPN
head and then the regions, all of them given, without the transform, proposals and NMS. The plain form of our detector, which
trains, is measured once. In bfloat16, where the CPU has it, other detections are near; how near is printed.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from agreement import same_detections, shared
from detectron2_c4 import detected, detectron2_c4
from graph_peers import RUNTIMES, graph_ways
from machine import caps, computes_bf16, missing
from measure import Claim, Result, arguments, compare, kernels_of
from peers import torchvision_c4
from reporting import report
from torch import Tensor
from torch.nn import functional as F

from resdet.config.schema import BackboneConfig, DetectorConfig, RPNConfig
from resdet.inference.detector import Detector
from resdet.models.build import build_detector
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.structures import ImageBatch

OURS, PLAIN, BF16, PEER, OTHER = "resdet", "resdet, not prepared", "resdet, bf16", "torchvision", "detectron2"
CLASSES = 80
LAYERS = {"resnet50": [3, 4, 6, 3], "resnet101": [3, 4, 23, 3]}
Way = Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """One detector on one picture, and the bounds of ours over a peer's time; ``BF16``: of our bfloat16 over torchvision's."""

    name: str
    network: str
    stride_in_1x1: bool
    at_most: Mapping[str, float]
    size: tuple[int, int] = (608, 800)
    proposals: int = 300
    also: frozenset[str] = field(default=frozenset())  # peers and forms beside torchvision and Detectron2


def cases(quick: bool) -> list[Case]:
    """What is measured on this machine."""
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    name = "-C4 inference, 600×800, 300 proposals, stride in the "
    bounds = {PEER: 0.38, "onnxruntime": 0.65 if wide else 0.80, BF16: 0.22}
    found = [
        Case(f"R50{name}1×1", "resnet50", True, bounds, also=frozenset({*RUNTIMES, BF16})),
        Case(f"R50{name}3×3", "resnet50", False, {PEER: 0.42}),
        Case(f"R101{name}1×1", "resnet101", True, {PEER: 0.42}),
        Case(f"R101{name}3×3", "resnet101", False, {PEER: 0.50}),
        Case(
            "R50-C4 inference, 800×1067, 1000 proposals, stride in the 1×1",
            "resnet50",
            True,
            {OTHER: 0.40},
            size=(800, 1088),
            proposals=1000,
        ),
    ]
    small = [replace(case, size=(96, 128), proposals=20) for case in found if case.network == "resnet50"]
    return small if quick else found


def main() -> None:
    args = arguments(__doc__).parse_args()
    warnings.filterwarnings("ignore", message="frozen BN")
    gone = missing((OTHER, *RUNTIMES, "onnx"))
    if not computes_bf16():
        print("bf16: not this CPU's own, or kept from oneDNN: not measured")
    results: list[Result] = []
    for case in cases(args.quick):
        for threads in args.threads:
            torch.set_num_threads(threads)  # before anything is prepared: what is chosen then may depend on it
            ways, kernels = detectors(case, threads, without=gone)
            found = compare(
                Claim(case.name, case.at_most.get(PEER)),
                ways,
                ours=OURS,
                peer=PEER,
                repeats=args.repeats,
                warmup=1,
                threads=threads,
                once=[PLAIN],
            )
            results += claims(case, replace(found, kernels=kernels))
    report("Inference", results, json_path=args.output, quick=args.quick, missing=gone)


def claims(case: Case, found: Result) -> list[Result]:
    """A result for each peer and form that was measured."""
    results = [found]
    for way in (OTHER, *RUNTIMES):
        name = case.name
        if way in RUNTIMES:
            uncapped = " (which no cap reaches)" if way == "onnxruntime" and caps() else ""
            name += f"; peer{uncapped}: trunk, RPN head and regions alone"
        if way in found.samples:
            results.append(replace(found, claim=Claim(name, case.at_most.get(way)), peer=way))
    if BF16 in found.samples:
        results.append(replace(found, claim=Claim(f"{case.name}, bf16", case.at_most[BF16]), ours=BF16, kernels=()))
    return results


def detectors(case: Case, threads: int, without: list[str]) -> tuple[dict[str, Way], tuple[str, ...]]:
    """The ways to detect on one picture, and our kernels; exits when they do not detect the same."""
    torch.manual_seed(0)
    height, width = case.size
    backbone = BackboneConfig(name=case.network, stride_in_1x1=case.stride_in_1x1)
    config = DetectorConfig(backbone=backbone, rpn=RPNConfig(post_nms_top_n_test=case.proposals))
    plain = build_detector(config, [str(label) for label in range(CLASSES)]).eval()
    image = F.interpolate(torch.rand(1, 3, height // 32, width // 32), (height, width), mode="bilinear")[0]
    image = (image * 255).to(torch.uint8)
    picture = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    spread(plain, image)
    ways: dict[str, Way] = {}
    if OTHER not in without:
        depth = int(case.network.removeprefix("resnet"))
        other = detectron2_c4(plain, depth=depth, stride_in_1x1=case.stride_in_1x1).eval()
        ways[OTHER] = lambda: detected(other, plain.pixels.normalize(torch.from_numpy(picture).permute(2, 0, 1)))
        check(case, plain, of(plain.prepare(), case, picture)(), OTHER, ways[OTHER](), image)
    peer = torchvision_c4(plain, "bottleneck", LAYERS[case.network], stride_in_1x1=case.stride_in_1x1).eval()
    ways[PEER] = torchvision_way(peer, plain, picture)
    prepared = plain.prepare()  # once more: with torchvision's conventions
    ways = {OURS: of(prepared, case, picture), PLAIN: of(plain, case, picture), **ways}
    regions = check(case, plain, ways[OURS](), PEER, ways[PEER](), image)
    if case.also & set(RUNTIMES):
        ways |= graph_ways(plain, plain.pixels.normalize(image), regions, threads)
    if BF16 in case.also and computes_bf16():
        ways[BF16] = of(plain.prepare(torch.bfloat16), case, picture)
        share, difference = shared(ways[BF16](), ways[OURS]())
        print(
            f"{case.name}, bf16: {share:.0%} of the detections are found too; their scores differ by {difference:.4f} at most"
        )
        if share < 0.8:
            sys.exit(f"{case.name}: in bf16 {1 - share:.0%} of the detections are lost")
    return ways, kernels_of(prepared)


def of(model: FasterRCNN, case: Case, picture: np.ndarray[Any, Any]) -> Way:
    """``Detector.predict`` on the picture, which has the size that it is to be resized to."""
    detector = Detector(model, short_side=min(case.size), max_side=max(case.size))
    return lambda: detector.predict(picture)


def torchvision_way(peer: Any, detector: FasterRCNN, picture: np.ndarray[Any, Any]) -> Way:
    """Torchvision's detector from the picture on: its transform normalizes, and resizes nothing."""
    peer.transform.image_mean, peer.transform.image_std = list(detector.pixels.mean), list(detector.pixels.std)
    peer.transform.min_size, peer.transform.max_size = (min(picture.shape[:2]),), max(picture.shape[:2])

    @torch.no_grad()
    def way() -> dict[str, Tensor]:
        found: dict[str, Tensor] = peer([torch.from_numpy(picture).permute(2, 0, 1).contiguous().float().div(255)])[0]
        return {**found, "labels": found["labels"] - 1}  # 0 is its background

    return way


@torch.no_grad()
def check(case: Case, plain: FasterRCNN, found: Any, peer: str, expected: Mapping[str, Tensor], image: Tensor) -> Tensor:
    """The plain detector's regions (R, 4) on the image; exits when there are too few, or ours and the peer's detect others."""
    batch = ImageBatch.from_images([image], plain.pixels)
    regions = plain.rpn(plain.trunk(batch.tensor), batch.sizes)[0][0]
    if len(regions) < case.proposals or not same_detections(found, expected):
        sys.exit(f"{case.name}: {len(regions)} proposals; the detections of {OURS} and {peer} differ")
    return regions


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
