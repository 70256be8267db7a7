"""A small training run that uses randomness everywhere a real one does; as a program, a run that can be told where to die.

python toy_run.py FOLDER [--die step:14 | save:15 | evaluate:20] [--everything]
"""

from __future__ import annotations

import argparse
import os
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from plain_task import PlainTask
from torch import Tensor, nn

from resdet.engine.averaging import moving_average
from resdet.engine.keep import keep
from resdet.engine.lr_schedule import LearningRate, LinearWarmup, Plateau, Steps, WarmupUntilError
from resdet.engine.optimizer import build_sgd
from resdet.engine.precision import Precision
from resdet.engine.run import Run
from resdet.engine.run_folder import open_run
from resdet.engine.seed import seed_everything
from resdet.engine.train_loop import train
from resdet.files import atomic_write

ITERATIONS = 20


@dataclass
class ToyBatch:
    iteration: int
    images: Tensor
    labels: Tensor

    @property
    def names(self) -> list[str]:
        return [f"image_{self.iteration}_{index}.png" for index in range(len(self.labels))]

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> ToyBatch:
        return ToyBatch(self.iteration, self.images.to(device), self.labels.to(device))

    def split(self, parts: int) -> list[ToyBatch]:
        pieces = zip(self.images.tensor_split(parts), self.labels.tensor_split(parts), strict=True)
        return [ToyBatch(self.iteration, images, labels) for images, labels in pieces if len(labels)]


def toy_model() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 3),
    )


def toy_batches(start: int) -> Iterator[ToyBatch]:
    iteration = start
    while True:
        generator = torch.Generator().manual_seed(iteration)
        labels = torch.randint(3, (4,), generator=generator)
        yield ToyBatch(iteration, torch.randn(4, 3, 8, 8, generator=generator) + labels[:, None, None, None], labels)
        iteration += 1


def toy_step(model: nn.Module, batch: ToyBatch) -> dict[str, Tensor]:
    logits = model(batch.images + 0.1 * torch.randn_like(batch.images))
    return {
        "loss_cls": nn.functional.cross_entropy(logits, batch.labels),
        "loss_size": 1e-3 * logits.square().mean(),
        "error": (logits.argmax(1) != batch.labels).float().mean(),
    }


class KilledTask(PlainTask):
    """A whole task that is told where to die: ``die`` names a place and an iteration for kill -9."""

    evaluates = True

    def __init__(self, model: nn.Module, die: str) -> None:
        super().__init__(model, self.dying_step, toy_batches)
        self.die = die
        self.iteration = 0  # of the batch at hand

    def die_at(self, place: str, now: int) -> None:
        if self.die == f"{place}:{now}":
            os.kill(os.getpid(), signal.SIGKILL)

    def dying_step(self, network: nn.Module, batch: ToyBatch) -> dict[str, Tensor]:
        self.iteration = batch.iteration
        self.die_at("step", self.iteration)
        return toy_step(network, batch)

    def evaluate(self, model: nn.Module) -> dict[str, object]:
        self.die_at("evaluate", self.iteration + 1)
        torch.rand(3), np.random.rand(), random.random()  # noqa: NPY002
        with torch.no_grad():
            batch = next(toy_batches(1000))
            return {"top1": {"error": float((model(batch.images).argmax(1) != batch.labels).float().mean())}, "per_class": None}

    def score(self, metrics: dict[str, Any]) -> float:
        return -metrics["top1"]["error"]

    def save(self, model: nn.Module, path: Path) -> None:
        def write(temporary: Path) -> None:
            temporary.write_bytes(b"half of a ")
            self.die_at("save", self.iteration + 1)
            temporary.write_bytes(self.model[0].weight.detach().numpy().tobytes())

        atomic_write(path, write)


def toy_training(folder: Path, die: str = "", everything: bool = False) -> nn.Module:
    """Train from whatever the folder holds to iteration 20; ``die`` names a place and an iteration for kill -9.

    With ``everything`` the rate falls at plateaus and rises by the error, weights are averaged, gradients cut and scaled.
    """
    seed_everything(3)
    torch.set_num_threads(1)
    model = toy_model()
    schedule = LearningRate(0.1, Steps([12, 17]), LinearWarmup(5))
    if everything:
        schedule = LearningRate(0.1, Plateau(0.5, patience=1, threshold=0.5), WarmupUntilError(0.9, 0.5))
    with open_run(folder, "run: toy\n", resume=True) as files:
        run = Run(
            0,
            ITERATIONS,
            task=KilledTask(model, die),
            network=model,
            optimizer=build_sgd(model, lr=0.1, momentum=0.9, weight_decay=1e-4),
            schedule=schedule,
            files=files,
            seed=3,
            clip_norm=1.0,
            accumulate=2 if everything else 1,
            precision=Precision("fp16" if everything else "fp32", torch.device("cpu")),
            average=moving_average(model, 0.9) if everything else None,
        )
        keep(run, log_every=4, checkpoint_every=5, eval_every=8, machine={})
        train(run)
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--die", default="")
    parser.add_argument("--everything", action="store_true")
    arguments = parser.parse_args()
    toy_training(arguments.folder, arguments.die, arguments.everything)
