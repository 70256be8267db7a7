"""A detector's training step at 800×1088, 128 regions an image, plain and with recorded passes, beside torchvision's C4."""

from __future__ import annotations

import functools
from typing import Any

import torch
from detectors import labelled, pair, pictures
from stage import Deadline, Report, arguments, by_turns, device, ms, numbers

from resdet.data.loading.batches import DetectionBatch
from resdet.engine.optimizer import build_sgd
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.training.start import record_parts

args = arguments(__doc__).parse_args()
where, deadline = device(args.rehearse), Deadline(args.seconds)
report = Report(args.output, "Training step of a detector: ms")
RATE = 0.0  # the weights stay as they are, so that the losses of all ways can be compared
SIZE, REGIONS = ((96, 128), 8) if args.rehearse else ((800, 1088), 128)


def our_step(model: FasterRCNN, optimizer: torch.optim.Optimizer, batch: DetectionBatch, name: str) -> float:
    """As the training loop does it, its losses read by the host."""
    torch.manual_seed(5)
    optimizer.zero_grad()
    there = batch.to(where)
    with numbers(name, where):
        total = torch.stack(list(model.losses(there.images, there.targets).values())).sum()
    total.backward()
    optimizer.step()
    return total.item()


def their_step(peer: Any, pixels: Any, optimizer: torch.optim.Optimizer, batch: DetectionBatch, name: str) -> float:
    torch.manual_seed(5)
    optimizer.zero_grad()
    images = [pixels.normalize(image.to(where, non_blocking=True)) for image in batch.images]
    targets = [{"boxes": each.boxes.to(where), "labels": each.labels.to(where) + 1} for each in batch.targets]
    with numbers(name, where):
        total = torch.stack(list(peer(images, targets).values())).sum()
    total.backward()
    optimizer.step()
    return total.item()


for network in ["resnet18"] if args.rehearse else ["resnet50", "resnet101"]:
    plain, peer = pair(network, SIZE, where, regions=REGIONS)
    ours, peer = plain.prepare_for_training().train(), peer.train()  # as the training commands do
    for images in (1, 2) if args.rehearse else (2, 8):
        for name in ("fp32", "bf16") if args.rehearse else ("bf16", "tf32", "fp32"):
            if deadline.left < 5:
                report.note(f"{network}, {images} images, {name}: no time left")
                continue
            batch = DetectionBatch(pictures(images, SIZE), labelled(images, SIZE))
            batch = batch.pin_memory() if where.type == "cuda" else batch
            theirs = [parameter for parameter in peer.parameters() if parameter.requires_grad]
            ways = {
                "plain": functools.partial(our_step, ours, build_sgd(ours, RATE, 0.9, 1e-4), batch, name),
                "torchvision": functools.partial(
                    their_step,
                    peer,
                    ours.pixels,
                    torch.optim.SGD(theirs, lr=RATE, momentum=0.9, weight_decay=1e-4),
                    batch,
                    name,
                ),
            }
            if where.type == "cuda":  # recorded anew for each format
                twin = plain.prepare_for_training().train()
                record_parts(twin, plain)
                ways["recorded"] = functools.partial(our_step, twin, build_sgd(twin, RATE, 0.9, 1e-4), batch, name)
            seconds = by_turns(ways, where, rounds=2 if args.rehearse else 10, seconds=min(4.0, deadline.left))
            losses = {way: step() for way, step in ways.items()}
            for way in (way for way in seconds if way != "torchvision"):
                report.row(
                    network=network,
                    images=images,
                    format=name,
                    way=way,
                    resdet=ms(seconds[way]),
                    torchvision=ms(seconds["torchvision"]),
                    ratio=f"{seconds[way] / seconds['torchvision']:.2f}",
                    losses=f"{losses[way]:.6g}, {losses['torchvision']:.6g}",
                )
