"""The interface between the training loop and a task, which is what a run trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from PIL import Image
from torch import Tensor, nn

from resdet.data.marks import Images
from resdet.evaluation.thresholds import ScoreCurve
from resdet.models.model_file import ModelCard, write_model
from resdet.wording import first_few


class Batch(Protocol):
    """The part of a batch that the training loop uses."""

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
    """The results of an evaluation.

    Attributes:
        metrics: the numbers, as in ``metrics.json``; {} without a validation set.
        files: the files that were written.
    """

    metrics: dict[str, Any] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class Shown:
    """What the last evaluation has to look at.

    Attributes:
        pictures: RGB pictures by name, with the ground truth and what was found.
        curves: precision and recall over the score, by class.
        values: tensors of which the distribution is of interest, by name.
    """

    pictures: Mapping[str, Image.Image] = field(default_factory=dict)
    curves: Mapping[str, ScoreCurve] = field(default_factory=dict)
    values: Mapping[str, Tensor] = field(default_factory=dict)


class Task(Protocol[ModelT, BatchT]):
    """A network, its training data, and how it is evaluated and saved.

    Attributes:
        model: the network, on its device, with the weights that training begins with.
        samples: the number of samples in an epoch.
        data: facts about the training data as plain values: the "names" of the classes, the number of "images", …. A resumed
            run must have the same.
        evaluates: whether there is something to evaluate on.
        card: the card of the model files.
    """

    model: ModelT
    samples: int
    data: Mapping[str, Any]
    evaluates: bool
    card: ModelCard

    def batches(self, start: int) -> Iterator[BatchT]:
        """The batches of step ``start`` and of those after it, without end."""

    def step(self, network: ModelT, batch: BatchT) -> Mapping[str, Tensor]:
        """Run ``network`` (the model, or a faster one with its parameters) on a batch and return named scalars.

        The scalars are means over the images. Training minimizes the sum of those whose names begin with "loss"; the others are
        logged. Random numbers from torch's global generators depend on the seed and the iteration alone.
        """

    def evaluate(self, model: ModelT) -> dict[str, Any]:
        """The metrics of a model in evaluation mode, as JSON can hold them."""

    def score(self, metrics: dict[str, Any]) -> float:
        """The number that decides which model is best: higher is better, NaN is never the best."""

    def save(self, model: ModelT, path: Path) -> None:
        """Write the model to a file, atomically."""
        write_model(path, model.state_dict(), self.card)

    def facts(self) -> Mapping[str, str]:
        """What there is to say of the data before training begins, in words, by what it is about."""
        names = list(self.data.get("names", ()))
        shown = f": {first_few(names, 8)}" if names else ""
        return {"images": f"{self.data.get('images', self.samples):,}", "classes": f"{len(names)}{shown}"}

    def images_in_use(self) -> Images | None:
        """The training images, by whose marks a resumed run tells whether they have changed; None: they have none."""
        return None

    def sets(self) -> Mapping[str, Any]:
        """The data sets that were read, for the report: "train", and "val" where there is one."""
        return {}

    def shown(self) -> Shown:
        """What the last evaluation has to look at, for loggers."""
        return Shown()

    def write_evaluation(self, model: ModelT, folder: Path) -> None:
        """Write what the last evaluation found, with pictures, into a folder of its own; called while training goes on."""

    def finish(self, model: ModelT, folder: Path) -> Results:
        """Do the remaining work when training has ended: the last evaluation, its files and pictures."""
