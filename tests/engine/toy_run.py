"""A small training run that uses randomness everywhere a real one does; as a program, a run that can be told where to die.

python toy_run.py FOLDER [--die step:14 | save:15 | evaluate:20] [--everything]
"""

from __future__ import annotations

import argparse
import os
import random
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from resdet.engine.averaging import moving_average
from resdet.engine.lr_schedule import LearningRate, LinearWarmup, Plateau, Steps, WarmupUntilError
from resdet.engine.optimizer import build_sgd
from resdet.engine.precision import Precision
from resdet.engine.run import run_training
from resdet.engine.run_folder import open_run
from resdet.engine.seed import seed_everything
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


def toy_step(model: nn.Module) -> Callable[[ToyBatch], dict[str, Tensor]]:
    def step(batch: ToyBatch) -> dict[str, Tensor]:
        logits = model(batch.images + 0.1 * torch.randn_like(batch.images))
        return {
            "loss_cls": nn.functional.cross_entropy(logits, batch.labels),
            "loss_size": 1e-3 * logits.square().mean(),
            "error": (logits.argmax(1) != batch.labels).float().mean(),
        }

    return step


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
    average = moving_average(model, 0.9) if everything else None
    trained_step = toy_step(model)
    iteration = 0  # of the batch at hand

    def die_at(place: str, now: int) -> None:
        if die == f"{place}:{now}":
            os.kill(os.getpid(), signal.SIGKILL)

    def step(batch: ToyBatch) -> dict[str, Tensor]:
        nonlocal iteration
        iteration = batch.iteration
        die_at("step", iteration)
        return trained_step(batch)

    def evaluate() -> dict[str, object]:
        die_at("evaluate", iteration + 1)
        torch.rand(3), np.random.rand(), random.random()  # noqa: NPY002
        with torch.no_grad():
            batch = next(toy_batches(1000))
            shown = average.module if average else model
            return {"top1": {"error": float((shown(batch.images).argmax(1) != batch.labels).float().mean())}, "per_class": None}

    def save_model(path: Path) -> None:
        def write(temporary: Path) -> None:
            temporary.write_bytes(b"half of a ")
            die_at("save", iteration + 1)
            temporary.write_bytes(model[0].weight.detach().numpy().tobytes())

        atomic_write(path, write)

    with open_run(folder, "run: toy\n", resume=True) as run:
        run_training(
            run,
            model,
            step,
            build_sgd(model, lr=0.1, momentum=0.9, weight_decay=1e-4),
            schedule,
            toy_batches,
            evaluate=evaluate,
            score=lambda metrics: -metrics["top1"]["error"],
            save_model=save_model,
            data={"images": 8},
            iterations=ITERATIONS,
            seed=3,
            device=torch.device("cpu"),
            log_every=4,
            checkpoint_every=5,
            eval_every=8,
            clip_norm=1.0,
            accumulate=2 if everything else 1,
            precision=Precision("fp16" if everything else "fp32", torch.device("cpu")),
            average=average,
        )
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--die", default="")
    parser.add_argument("--everything", action="store_true")
    arguments = parser.parse_args()
    toy_training(arguments.folder, arguments.die, arguments.everything)
