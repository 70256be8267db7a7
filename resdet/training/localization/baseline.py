"""The baseline of a localization data set: what the mean box of each class scores, without any network for the boxes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from resdet.config.schema import LocalizationRunConfig
from resdet.data.sources.localization import build_localization_dataset
from resdet.engine.task import Results
from resdet.evaluation.constant_box import ConstantBox
from resdet.training.localization.evaluation import evaluate_localizer


def evaluate_constant_box(
    config: LocalizationRunConfig, classifiers: Sequence[str], device: torch.device, folder: Path
) -> Results:
    """Score the mean boxes of a config's training set on its validation set, and write the results into ``folder``.

    Raises:
        ConfigError, DataError: as ``evaluate_localizer``; also with every problem of the training set.
    """
    constant = ConstantBox(build_localization_dataset(config.data.train))
    return evaluate_localizer(config.data, config.classes, constant, classifiers, device, folder)
