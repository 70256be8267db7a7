"""What a run is about to do, in a few lines: data, anchors, device, learning rate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from resdet.engine.run import Run

if TYPE_CHECKING:
    from resdet.config.check import RunFile


def summary(run: Run, config: RunFile) -> Iterator[str]:
    """The lines that are logged before the first step of a run of a config."""
    for name, text in run.task.facts().items():
        yield f"{name}: {text}"
    threads = torch.get_num_threads()
    device = f"cpu, {threads} thread{'s' if threads > 1 else ''}" if run.device.type == "cpu" else str(run.device)
    batch, optimizer = config.run.batch, config.optimizer
    yield f"device: {device}{f', in each of {run.ranks.world} processes' if run.ranks.world > 1 else ''}"
    passes, images = run.iterations * batch / max(run.task.samples, 1), "images" if batch > 1 else "image"
    yield f"steps: {run.iterations:,} of {batch} {images}, {passes:.1f} passes over the training set"
    rate = run.schedule.lr
    scaled = f" ({optimizer.lr:g} for {optimizer.base_batch} images)" if optimizer.base_batch else ""
    yield f"learning rate: {rate:g}{scaled}"
