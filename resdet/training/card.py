"""Writes the card of a model file, which describes the run that trained it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from resdet.config import config_to_dict
from resdet.models.model_file import ModelCard
from resdet.version import __version__

if TYPE_CHECKING:
    from resdet.config.check import RunFile


def model_card(config: RunFile, model: Any, test: dict[str, Any], data: str) -> ModelCard:
    """The card of a model that ``config`` trains; ``test`` is how images are resized, ``data`` names the training files."""
    return ModelCard(
        task=config.task,
        architecture=config_to_dict(config.model),
        names=list(model.names),
        pixels=model.pixels.to_dict(),
        test=test,
        provenance={
            "resdet": __version__,
            "torch": torch.__version__,
            "data": data,
            "batch": config.run.batch,
            "seed": config.run.seed,
            "optimizer": config_to_dict(config.optimizer),
            "schedule": config_to_dict(config.schedule),
        },
    )
