"""Memory of a localizer's two sibling layers in training: only the classes of the images, against all classes.

What it measures is one forward and backward pass of these layers on the last map of ResNet-50 for crops of 224 pixels, of 256
images and 1000 classes unless told otherwise; with ``--body`` of the whole network, with BN frozen, which for 256 images needs
more than 20 GB. The weights are there before; the peaks hold their gradient. Beside the peaks stand the bytes of the siblings'
tensors that cannot be avoided.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys

import torch
from measure import Claim, Sample, arguments, compare_in_processes, measure_step, print_sample, use_threads
from reporting import report
from torch import nn

from resdet.models.backbones.registry import create_backbone
from resdet.models.localization.body import network_body
from resdet.models.localization.per_class_head import PerClassHead
from resdet.ops.frozen_bn import freeze_batch_norm

CHANNELS, SIDE = 2048, 7  # of ResNet-50's last map at 224 pixels
WAYS = ("gathered", "full")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--anchors", type=int, default=9)
    parser.add_argument("--body", action="store_true", help="the whole network, from the images on")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.quick:
        args.images, args.classes = min(args.images, 4), min(args.classes, 20)
    if args.way:
        use_threads(args.threads[0])
        print_sample(measure(args))
        return
    what = "a localizer on ResNet-50" if args.body else "the siblings of a localizer"
    name = f"{what}, {args.images} images, {args.classes} classes, {args.anchors} anchors, {args.device}"
    results = []
    for threads in args.threads:
        command = [sys.executable, __file__, *sys.argv[1:], "--threads", str(threads), "--way"]
        ways = {way: [*command, way] for way in WAYS}
        repeats = min(args.repeats, 3)  # memory hardly varies
        results.append(
            compare_in_processes(
                Claim(name, None, "bytes"), ways, ours="gathered", peer="full", repeats=repeats, warmup=0, threads=threads
            )
        )
    report("Localizer, memory", results, json_path=args.output, quick=args.quick)
    print("\noutputs and gathered rows with their gradients: " + ", ".join(f"{way} {least(args, way):.1f} MiB" for way in WAYS))


def least(args: argparse.Namespace, way: str) -> float:
    """MiB of the outputs and, where they are gathered, of the rows of the weights; each with its gradient."""
    columns = args.images * args.anchors * 5
    return 2 * 4 * columns * (args.classes * SIDE**2 if way == "full" else SIDE**2 + CHANNELS + 1) / 2**20


def measure(args: argparse.Namespace) -> Sample:
    """What one step takes, and adds to the peak of this process's memory; on a GPU to that of its tensors."""
    torch.manual_seed(0)
    head = PerClassHead(CHANNELS, args.anchors, args.classes).to(args.device)
    body: nn.Module = nn.Identity()
    inputs = torch.rand(args.images, CHANNELS, SIDE, SIDE, device=args.device, requires_grad=True)
    if args.body:
        body = network_body(freeze_batch_norm(create_backbone("resnet50")), 0).train().to(args.device)
        inputs = torch.rand(args.images, 3, 32 * SIDE, 32 * SIDE, device=args.device)
    labels = torch.randint(args.classes, (args.images,), device=args.device)
    cuda = args.device == "cuda"

    def step() -> None:
        features = body(inputs)
        if args.way == "gathered":
            logits, deltas = (output[:, 0] for output in head(features, labels[:, None]))
        else:
            images = torch.arange(args.images, device=args.device)
            logits, deltas = (output[images, labels] for output in head(features))
        (logits.sum() + deltas.sum()).backward()
        if cuda:
            torch.cuda.synchronize()

    held = torch.cuda.memory_allocated() if cuda else 0
    sample = measure_step(step)
    return dataclasses.replace(sample, bytes=torch.cuda.max_memory_allocated() - held) if cuda else sample


if __name__ == "__main__":
    main()
