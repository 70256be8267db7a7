"""Where the host waits for the device in a training step and in detection: each place, and how often a step."""

from __future__ import annotations

import traceback
import warnings
from collections import Counter
from collections.abc import Callable

import torch
from detectors import labelled, pair, pictures
from stage import Report, arguments, device

from resdet.data.loading.batches import DetectionBatch
from resdet.engine.optimizer import build_sgd

args = arguments(__doc__).parse_args()
where = device(args.rehearse)
report = Report(args.output, "Where the host waits, times a step")
SIZE = (96, 128) if args.rehearse else (800, 1088)


def waits(step: Callable[[], object]) -> Counter[str]:
    """The places of the package at which a step waits; none on a CPU."""
    step()
    found: Counter[str] = Counter()

    def note(*_: object, **__: object) -> None:
        stack = [frame for frame in traceback.extract_stack() if "/resdet/" in frame.filename]
        last = stack[-1] if stack else None
        found[f"{last.filename.partition('/resdet/')[2]}:{last.lineno} `{last.line}`" if last else "elsewhere"] += 1

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        if where.type == "cuda":
            torch.cuda.set_sync_debug_mode("warn")
        try:
            step()
        finally:
            if where.type == "cuda":
                torch.cuda.set_sync_debug_mode("default")
    return found


ours, _ = pair("resnet18" if args.rehearse else "resnet50", SIZE, where)
prepared, images = ours.prepare(), pictures(2, SIZE)
ours = ours.prepare_for_training()
batch = DetectionBatch(images, labelled(2, SIZE))
batch = batch.pin_memory() if where.type == "cuda" else batch
optimizer = build_sgd(ours, 1e-5, 0.9, 1e-4)


def train() -> None:
    ours.train()
    optimizer.zero_grad()
    there = batch.to(where)
    torch.stack(list(ours.losses(there.images, there.targets).values())).sum().backward()
    optimizer.step()


for name, step in (("training step of 2 images", train), ("detection of 2 images", lambda: prepared.detect(images))):
    for place, times in sorted(waits(step).items()):
        report.row(what=name, place=place.replace("|", "\\|"), times=times)
report.note("paths begin at resdet/")
