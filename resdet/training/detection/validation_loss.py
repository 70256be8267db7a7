"""The losses of a detector on its validation set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from resdet.data.loading.loader import test_loader
from resdet.data.loading.views import DetectionView
from resdet.distributed.ranks import ALONE, Ranks
from resdet.engine.seed import preserved_randomness, step_seed
from resdet.inference.mode import evaluating
from resdet.models.detection.faster_rcnn import FasterRCNN


def validation_loss(model: FasterRCNN, view: DetectionView, workers: int, seed: int, ranks: Ranks = ALONE) -> dict[str, float]:
    """The losses of training, as means over the images at the size of testing: each by its name, and their sum as "loss".

    Anchors and regions are drawn as in training, by random numbers that depend on ``seed`` and the image alone, so that two
    evaluations differ by the weights and by nothing else.

    Args:
        model: the network; its modes and the random generators stay as they are.
        view: the validation set as evaluation shows it.
        workers: processes that read images.
        seed: the seed of the run.
        ranks: the processes that evaluate together.
    """
    losses = []
    with evaluating(model), preserved_randomness():
        batches = test_loader(replace(view, pyramid=None), workers, ranks=ranks)
        for index, batch in zip(ranks.deal(range(len(view))), batches, strict=True):
            torch.manual_seed(step_seed(seed, index))
            found = model.losses(batch.images, batch.targets, batch.proposals)
            losses.append({name: float(value) for name, value in found.items()})
    every = ranks.collect(losses)
    return ranks.once(lambda: _means(every))


def _means(losses: Sequence[Mapping[str, float]]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for each in losses:
        for name, value in each.items():
            sums[name] = sums.get(name, 0.0) + value
    means = {name: value / len(losses) for name, value in sums.items()}
    return {"loss": sum(means.values()), **means}
