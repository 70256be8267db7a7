"""What a run trains: the words in which a task tells the training loop about itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn


class Batch(Protocol):
    """What the loop asks of a batch."""

    @property
    def names(self) -> Sequence[str]:
        """The image files, for error messages."""

    def __len__(self) -> int: ...

    def to(self: BatchT, device: torch.device) -> BatchT:
        """The batch on ``device``."""

    def split(self: BatchT, parts: int) -> list[BatchT]:
        """At most ``parts`` contiguous pieces of nearly the same length, none empty."""


BatchT = TypeVar("BatchT", bound=Batch)
ModelT = TypeVar("ModelT", bound=nn.Module)


@dataclass(frozen=True)
class Results:
    """What an evaluation found.

    Attributes:
        metrics: the numbers, as in ``metrics.json``; {} without a validation set.
        files: what was written.
    """

    metrics: dict[str, Any] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)


class Task(Protocol[ModelT, BatchT]):
    """A network, what it learns from, and how it is judged and kept.

    Attributes:
        model: the network, on its device, with the weights that training begins with.
        samples: how many there are in an epoch.
        data: what the network is trained on, plain values: the "names" of its classes, how many "images", …; a resumed run must
            have the same.
        evaluates: whether there is something to evaluate on.
    """

    model: ModelT
    samples: int
    data: Mapping[str, Any]
    evaluates: bool

    def batches(self, start: int) -> Iterator[BatchT]:
        """The batches of step ``start`` and of those after it, without end."""

    def step(self, network: ModelT, batch: BatchT) -> Mapping[str, Tensor]:
        """What ``network`` (the model, or a faster one with its parameters) makes of a batch: named scalars.

        They are means over the images. The sum of those whose names begin with "loss" is minimized; the others are measured and
        logged. Random numbers that are drawn from torch's global generators depend on the seed and the iteration alone.
        """

    def evaluate(self, model: ModelT) -> dict[str, Any]:
        """The metrics of a model in evaluation mode, as JSON can hold them."""

    def score(self, metrics: dict[str, Any]) -> float:
        """The number by which the best model is chosen: higher is better, NaN is never the best."""

    def save(self, model: ModelT, path: Path) -> None:
        """Write the model to a file, atomically."""

    def finish(self, model: ModelT, folder: Path) -> Results:
        """What is left to do when training has ended: the last evaluation, its files and pictures."""
