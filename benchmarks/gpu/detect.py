"""Detection at 800×1088 on the device, from uint8 pictures in the host's memory, beside torchvision's C4 model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from agreement import same_detections
from detectors import pair, pictures
from stage import Deadline, Report, arguments, by_turns, device, ms, numbers, wait
from torch import Tensor

from resdet.models.detection.faster_rcnn import FasterRCNN

parser = arguments(__doc__)
parser.add_argument("--compiled", action="store_true", help="our form by torch.compile, with CUDA graphs")
args = parser.parse_args()
where, deadline = device(args.rehearse), Deadline(args.seconds)
report = Report(args.output, f"Detection{', compiled' if args.compiled else ''}: ms an image")
SIZE = (96, 128) if args.rehearse else (800, 1088)
CASES = [("resnet50", 300), ("resnet50", 1000), ("resnet101", 300), ("resnet101", 1000)]
FORMATS = ["fp32", "bf16"] if args.rehearse else ["bf16", "tf32", "fp32"]


@torch.no_grad()
def theirs(peer: Callable[..., object], detector: FasterRCNN, images: list[Tensor], name: str) -> object:
    """Torchvision's detections of pictures that are normalized on the device, as its own transform would do it."""
    with numbers(name, where):
        return peer([detector.pixels.normalize(image.to(where, non_blocking=True)) for image in images])


def ours(detector: FasterRCNN, images: list[Tensor], name: str) -> object:
    # autocast is for torchvision: our prepared form computes in its own format
    with numbers(name if name in ("fp32", "tf32") else "fp32", where):
        return detector.detect(images)


for network, proposals in [("resnet18", 20)] if args.rehearse else CASES:
    plain, peer = pair(network, SIZE, where, proposals=proposals)
    one = [image.pin_memory() if where.type == "cuda" else image for image in pictures(1, SIZE)]
    found, expected = ours(plain.prepare(), one, "fp32")[0], theirs(peer, plain, one, "fp32")[0]
    same = same_detections(
        found.to("cpu"),
        {name: value.cpu() - int(name == "labels") for name, value in expected.items()},
    )
    report.note(
        f"{network}, {proposals} regions: {len(found)} detections, {'the same as' if same else 'OTHERS THAN'} torchvision's"
    )
    for batch in (1, 2) if args.rehearse else (1, 8):
        images = [one[0]] * batch
        for name in FORMATS:
            if deadline.left < 8:
                report.note(f"{network}, {proposals} regions, batch {batch}, {name}: no time left")
                continue
            dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(name)
            prepared = plain.prepare(dtype, compiled=args.compiled)
            ways = {"resdet": partial(ours, prepared, images, name), "torchvision": partial(theirs, peer, plain, images, name)}
            if where.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            seconds = by_turns(ways, where, rounds=2 if args.rehearse else 15, seconds=min(1.5, deadline.left))
            wait(where)
            report.row(
                network=network,
                regions=proposals,
                batch=batch,
                format=name,
                resdet=ms(seconds["resdet"] / batch),
                torchvision=ms(seconds["torchvision"] / batch),
                ratio=f"{seconds['resdet'] / seconds['torchvision']:.2f}",
            )
