"""Data sets that a few command-line words describe, without a run file."""

from __future__ import annotations

from resdet.config.check import of_other_formats
from resdet.config.schema import (
    ClassificationDataConfig,
    ClassificationSourceConfig,
    DetectionSourceConfig,
    LocalizationSourceConfig,
)
from resdet.errors import ConfigError

Source = DetectionSourceConfig | ClassificationSourceConfig | LocalizationSourceConfig


def described_detection(
    form: str, root: str, *, annotations: str = "", split: str = "", images: str = ""
) -> DetectionSourceConfig:
    """A detection set of the format ``form``. The other words are the options of ``data.train`` in a run file; "" for none.

    Raises:
        ConfigError: with every word that belongs to other formats.
    """
    source = DetectionSourceConfig(form, root, annotations, split, images)
    if problems := _foreign(source, annotations, split):
        raise ConfigError(problems)
    return source


def described_classification(
    form: str, root: str, *, annotations: str = "", split: str = "", images: str = ""
) -> ClassificationSourceConfig:
    """A classification set of the format ``form``; its split is "train" unless another is named.

    Raises:
        ConfigError: with every word that belongs to other formats; ``images`` belongs to detection sets.
    """
    source = ClassificationSourceConfig(form, root, split or "train", annotations)
    problems = _foreign(source, annotations, split)
    if images:
        problems.append(f"--images is for detection sets, got --format {form}")
    if problems:
        raise ConfigError(problems)
    return source


def training_data(source: ClassificationSourceConfig) -> ClassificationDataConfig:
    """The data section of a run file that trains on ``source``. The small images of CIFAR are used as they are."""
    if source.format in ("cifar10", "cifar100"):
        return ClassificationDataConfig(train=source, crop=32, short_side=[], test_short_side=0)
    return ClassificationDataConfig(train=source)


def _foreign(source: DetectionSourceConfig | ClassificationSourceConfig, annotations: str, split: str) -> list[str]:
    """Problems with the words that belong to other formats than the source's own."""
    given = [name for name, value in (("annotations", annotations), ("split", split)) if value]
    return list(of_other_formats(source, "data.", given))
