"""Small trainings of all kinds in float64, which several processes share, and what they leave behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from PIL import Image
from tiny_detectors import picture
from torch import Tensor, nn
from training_networks import DoublePixels

from resdet.config import config_from_dict
from resdet.config.schema import RUN_CONFIGS
from resdet.distributed.ranks import Ranks
from resdet.engine.run import Hook, Run
from resdet.engine.train_loop import train
from resdet.models.detection import roi_heads, rpn
from resdet.models.localization import per_class_rpn
from resdet.training.start import assembled
from resdet.training.train import build_task

CPU = torch.device("cpu")
STEPS = 30


@dataclass
class Trained:
    """What a training leaves in one process.

    Attributes:
        losses: the losses of each step.
        weights: the state dict in the end.
        drawn: the sampled anchors and regions: (step, part, kind, image in the part, candidate).
    """

    losses: list[dict[str, float]]
    weights: dict[str, Tensor]
    drawn: set[tuple[int, int, str, int, int]]


class Pictures:
    """A classification data set of 13 pictures of three classes."""

    classes = ("cat", "dog", "emu")

    def __len__(self) -> int:
        return 13

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return Image.fromarray(picture(index, 40, 40 + index).permute(1, 2, 0).numpy()), index % 3


class Recorder(Hook):
    """Keeps the losses of each step."""

    def __init__(self) -> None:
        self.losses: list[dict[str, float]] = []

    def after_step(self, run: Run) -> None:
        self.losses.append(run.losses)


def classifier_options(**run: Any) -> dict[str, Any]:
    """With a low rate: BN over the seven numbers of a channel of the last map makes rounding errors grow as fast as steps."""
    return {
        "task": "classification",
        "model": {"backbone": {"name": "resnet18", "width": 4}},
        "data": {"crop": 32, "short_side": [32, 40], "test_short_side": 32, "workers": 0},
        "regularization": {"mixup": 0.4, "cutmix": 0.4, "label_smoothing": 0.1},
        "optimizer": {"lr": 5e-4, "clip_norm": 5.0},
        "schedule": {"iterations": STEPS},
        "run": {"batch": 7, "sync_bn": True, **run},
    }


def detector_options(data: Path, **run: Any) -> dict[str, Any]:
    """With pictures of different sizes, some of them without an object."""
    return {
        "task": "detection",
        "from_scratch": True,
        "model": {
            "backbone": {"name": "resnet18", "width": 4},
            "freeze_at": 0,
            "anchors": {"sizes": [16, 32]},
            "rpn": {"batch_size_per_image": 32, "pre_nms_top_n_train": 60, "post_nms_top_n_train": 20},
            "roi": {"batch_size_per_image": 8, "context": True},
        },
        "data": {
            "train": [{"format": "coco", "root": str(data / "images"), "annotations": str(data / "instances.json")}],
            "short_side": [40, 48, 56],
            "max_side": 80,
            "skip_empty": False,
            "workers": 0,
        },
        "optimizer": {"lr": 0.01, "clip_norm": 10.0},
        "schedule": {"iterations": STEPS, "warmup_iterations": 5},
        "run": {"batch": 5, **run},
    }


def localizer_options(data: Path, **run: Any) -> dict[str, Any]:
    return {
        "task": "localization",
        "model": {
            "stage": "rpn",
            "backbone": {"name": "resnet18", "width": 4},
            "freeze_at": 0,
            "anchors": {"sizes": [16, 32], "ratios": [0.5, 1]},
            "rpn": {"batch_size_per_image": 16},
        },
        "data": {
            "train": {"format": "coco", "root": str(data / "images"), "annotations": str(data / "single.json")},
            "crop": 32,
            "short_side": [40, 56],
            "workers": 0,
        },
        "optimizer": {"lr": 0.02, "clip_norm": 10.0},
        "schedule": {"iterations": STEPS},
        "run": {"batch": 5, **run},
    }


def trained(ranks: Ranks, options: dict[str, Any], dtype: torch.dtype = torch.float64, steps: int = STEPS) -> Trained:
    """Train the network of a run file's options from its first step; nothing is written."""
    config = config_from_dict(RUN_CONFIGS[options["task"]], options)
    own = {"train": Pictures()} if config.task == "classification" else None
    task = build_task(config, CPU, own=own, ranks=ranks)
    if dtype == torch.float64:
        in_float64(task.model)
    run, recorder = assembled(config, task, CPU, ranks), Recorder()
    run.hooks, run.iterations = [recorder], steps
    with recorded_draws(run, ranks) as drawn:
        train(run)
    return Trained(recorder.losses, {name: value.clone() for name, value in task.model.state_dict().items()}, drawn)


def in_float64(model: Any) -> None:
    """Let a network compute in float64, from the pixels on."""
    model.double()
    model.pixels = DoublePixels(**{field.name: getattr(model.pixels, field.name) for field in fields(model.pixels)})
    heads = getattr(model, "roi_heads", None)
    if isinstance(heads, nn.Module):
        maps = heads.region_maps
        # RoIAlign wants boxes as its map
        heads.region_maps = lambda features, boxes: maps(features, [each.double() for each in boxes])  # type: ignore[method-assign]


@contextmanager
def recorded_draws(run: Run, ranks: Ranks) -> Iterator[set[tuple[int, int, str, int, int]]]:
    """Note every sampled candidate under the place that its image has among all images of its part of the step."""
    drawn: set[tuple[int, int, str, int, int]] = set()
    calls: dict[tuple[int, str], int] = {}

    def recording(kind: str, sample: Any) -> Any:
        def sampled(*args: Any, **options: Any) -> tuple[Tensor, Tensor]:
            images, candidates = sample(*args, **options)
            part = calls[run.iteration, kind] = calls.get((run.iteration, kind), -1) + 1
            for image, candidate in zip(images.tolist(), candidates.tolist(), strict=True):
                drawn.add((run.iteration, part, kind, image * ranks.world + ranks.rank, candidate))
            return images, candidates

        return sampled

    with (
        mock.patch.object(rpn, "sample", recording("anchors", rpn.sample)),
        mock.patch.object(roi_heads, "sample", recording("regions", roi_heads.sample)),
        mock.patch.object(per_class_rpn, "sample_evenly", recording("anchors", per_class_rpn.sample_evenly)),
    ):
        yield drawn
