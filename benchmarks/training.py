"""A training step of the detector and of a classifier against torchvision's, from the images to the new weights.

The detector is ResNet-50-C4 with 128 regions of one image, conv1 and conv2_x frozen; torchvision's is a C4 model of its own
parts with the same weights (``peers.py``), and both must give the same losses before they are measured. The image has 608×800
pixels, as torchvision pads one of 600×800. Detectron2, which draws other samples, and timm's ResNet are measured where they are
installed. A classifier's bound is on the faster of its peers, and a lower one where products of packed weights are faster than
torch's own (``peak.py``). Memory is what the first step of a process takes beyond what stands before it: activations,
gradients and momentum.
"""

from __future__ import annotations

import argparse
import math
import sys
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import torch
from detectron2_c4 import detectron2_c4, losses
from machine import installed, missing
from measure import Claim, Result, arguments, compare, compare_in_processes, measure_step, print_sample
from peak import packed_wins
from peers import torchvision_c4
from reporting import report
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import resnet50

from resdet.config.schema import BackboneConfig, ClassifierConfig, DetectorConfig, RoIConfig
from resdet.engine.optimizer import build_sgd
from resdet.models.build import build_classifier, build_detector
from resdet.structures import Target

OURS, PEER, DETECTRON2, TIMM = "resdet", "torchvision", "detectron2", "timm"
CLASSES, OBJECTS = 80, 8
LR, MOMENTUM, DECAY = 1e-5, 0.9, 1e-4  # so small a rate that the weights of both stay alike
Step = Callable[[], float]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--way", choices=(OURS, PEER), help=argparse.SUPPRESS)
    args = parser.parse_args()
    warnings.filterwarnings("ignore", message="frozen BN")
    if args.way:
        print_sample(measure_step(detector_steps(stride_in_1x1=True, quick=args.quick)[args.way]))
        return
    gone = missing((DETECTRON2, TIMM))
    results: list[Result] = []
    for threads in args.threads:
        torch.set_num_threads(threads)
        for place, bound in (("1×1", 0.50), ("3×3", 0.62)):
            steps = detector_steps(stride_in_1x1=place == "1×1", quick=args.quick)
            claim = Claim(f"R50-C4 training step, 600×800, 128 RoIs, stride in the {place}", bound)
            results += measured(claim, steps, args.repeats, threads, bounded=[PEER])
        claim = Claim("ResNet-50 training step, 16 images of 224×224, channels_last", 0.75 if packed_wins(threads) else 1.0)
        steps = classifier_steps(quick=args.quick)
        results += measured(claim, steps, args.repeats, threads, bounded=[PEER, TIMM])
    command = [sys.executable, __file__, *(["--quick"] if args.quick else []), "--way"]
    claim = Claim("R50-C4 training step, 600×800, 128 RoIs, stride in the 1×1: memory", 0.7, "bytes")
    ways = {way: [*command, way] for way in (OURS, PEER)}
    results.append(compare_in_processes(claim, ways, ours=OURS, peer=PEER, repeats=min(args.repeats, 3), warmup=0))
    report("Training", results, json_path=args.output, quick=args.quick, missing=gone)


def measured(claim: Claim, steps: Mapping[str, Step], repeats: int, threads: int, bounded: Collection[str]) -> list[Result]:
    """The ways by turns; a result for each peer, of which the fastest of ``bounded`` has the claim's bound.

    They must have the same loss. That of Detectron2, which draws other samples, is only near.
    """
    found_losses = {way: step() for way, step in steps.items()}
    for way, loss in found_losses.items():
        if not math.isclose(loss, found_losses[OURS], rel_tol=0.5 if way == DETECTRON2 else 1e-3):
            raise SystemExit(f"{claim.name}: the losses are {found_losses}")
    found = compare(claim, steps, ours=OURS, peer=PEER, repeats=repeats, warmup=1, threads=threads)
    best = min((way for way in steps if way in bounded), key=found.median)
    without = replace(claim, at_most=None)
    return [replace(found, peer=way, claim=claim if way == best else without) for way in steps if way != OURS]


def detector_steps(*, stride_in_1x1: bool, quick: bool) -> dict[str, Step]:
    """One step of each detector on an image with objects."""
    torch.manual_seed(0)
    regions, height, width = (8, 96, 128) if quick else (128, 608, 800)
    backbone = BackboneConfig(name="resnet50", stride_in_1x1=stride_in_1x1)
    names = [str(label) for label in range(CLASSES)]
    detector = build_detector(
        DetectorConfig(backbone=backbone, freeze_at=2, roi=RoIConfig(batch_size_per_image=regions)), names
    )
    for norm in [part for name, part in detector.named_modules() if name.endswith("bn3")]:
        norm.weight.mul_(0.2)  # without statistics the sums of 16 blocks would grow beyond all measure
    other = detectron2_c4(detector, 50, stride_in_1x1=stride_in_1x1) if installed(DETECTRON2) else None
    peer = torchvision_c4(detector, "bottleneck", [3, 4, 6, 3], stride_in_1x1=stride_in_1x1)
    image = F.interpolate(torch.rand(1, 3, height // 32, width // 32), (height, width), mode="bilinear")[0]
    image = (image * 255).to(torch.uint8)
    corner = torch.rand(OBJECTS, 2) * torch.tensor([width, height]) * 0.6
    boxes = torch.cat([corner, corner + torch.tensor([width, height]) * (0.05 + torch.rand(OBJECTS, 2) * 0.3)], 1)
    target = Target(boxes, torch.randint(CLASSES, (OBJECTS,)), (height, width), 0)
    pixels = detector.pixels.normalize(image)
    twin = detector.prepare_for_training()  # as the training commands do
    labels = {"boxes": boxes, "labels": target.labels + 1}
    steps = {
        OURS: stepper(twin, lambda: total(twin.losses([image], [target])), ours_sgd(detector)),
        PEER: stepper(peer, lambda: total(peer([pixels], [labels])), default_sgd(peer)),
    }
    if other is not None:
        steps[DETECTRON2] = stepper(other, lambda: total(losses(other, pixels, target)), default_sgd(other))
    return steps


def classifier_steps(*, quick: bool) -> dict[str, Step]:
    """One step of each classifier on a batch, ``channels_last``."""
    torch.manual_seed(0)
    images, side = (2, 64) if quick else (16, 224)
    ours = build_classifier(ClassifierConfig(backbone=BackboneConfig(name="resnet50")), [str(k) for k in range(1000)])
    theirs = resnet50(num_classes=1000)
    theirs.load_state_dict(ours.backbone.state_dict())
    models = [(OURS, ours.backbone, ours_sgd), (PEER, theirs, default_sgd)]
    if installed(TIMM):
        import timm

        other = timm.create_model("resnet50", num_classes=1000)
        other.load_state_dict(theirs.state_dict())
        models.append((TIMM, other, default_sgd))
    batch = torch.rand(images, 3, side, side).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(1000, (images,))
    steps = {}
    for name, model, sgd in models:
        network: nn.Module = model.to(memory_format=torch.channels_last)
        steps[name] = stepper(network, lambda network=network: F.cross_entropy(network(batch), labels), sgd(network))
    return steps


def stepper(model: nn.Module, loss: Callable[[], Tensor], optimizer: torch.optim.Optimizer) -> Step:
    """A training step that tells the loss; what it samples is the same each time."""
    model.train()

    def step() -> float:
        torch.manual_seed(5)
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
        return value.item()

    return step


def total(losses: Mapping[str, Tensor]) -> Tensor:
    """The sum of a detector's losses."""
    return torch.stack(list(losses.values())).sum()


def ours_sgd(model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of the training commands."""
    return build_sgd(model, LR, MOMENTUM, DECAY)


def default_sgd(model: nn.Module) -> torch.optim.Optimizer:
    """Torch's own choice of how to take the step."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.SGD(parameters, lr=LR, momentum=MOMENTUM, weight_decay=DECAY)


if __name__ == "__main__":
    main()
