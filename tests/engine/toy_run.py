"""A small training run that uses randomness everywhere a real one does; as a program, a run that can be told where to die.

python toy_run.py FOLDER [--die step:14 | save:15 | evaluate:20]
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

from resdet.engine.lr_schedule import WarmupMultiStep
from resdet.engine.optimizer import build_sgd
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

    def to(self, device: torch.device) -> ToyBatch:
        return ToyBatch(self.iteration, self.images.to(device), self.labels.to(device))


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
        return {"loss_cls": nn.functional.cross_entropy(logits, batch.labels), "loss_size": 1e-3 * logits.square().mean()}

    return step


def toy_training(folder: Path, die: str = "") -> nn.Module:
    """Train from whatever the folder holds to iteration 20; ``die`` names a place and an iteration for kill -9."""
    seed_everything(3)
    torch.set_num_threads(1)
    model = toy_model()
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
            return {"top1": {"error": float((model(batch.images).argmax(1) != batch.labels).float().mean())}, "per_class": None}

    def save_model(path: Path) -> None:
        def write(temporary: Path) -> None:
            temporary.write_bytes(b"half of a ")
            die_at("save", iteration + 1)
            temporary.write_bytes(model[0].weight.detach().numpy().tobytes())

        atomic_write(path, write)

    run_training(
        open_run(folder, "run: toy\n", resume=True),
        model,
        step,
        build_sgd(model, lr=0.1, momentum=0.9, weight_decay=1e-4),
        WarmupMultiStep(0.1, [12, 17], warmup_iterations=5),
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
    )
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--die", default="")
    arguments = parser.parse_args()
    toy_training(arguments.folder, arguments.die)
