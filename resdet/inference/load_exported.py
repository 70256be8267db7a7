"""``resdet.load`` for exported files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resdet.config.schema import ClassifierConfig, DetectorConfig
from resdet.data.transforms.sizes import to_tensor
from resdet.errors import ConfigError
from resdet.inference.classifier import ImageClassifier
from resdet.inference.detector import Detector
from resdet.inference.device import Device
from resdet.inference.exported.networks import ExportedClassifier, ExportedDetector, ExportedLocalizer
from resdet.inference.exported.program import Program, is_exported, open_program
from resdet.inference.kinds import card_sizes, check_kind
from resdet.inference.load_localizer import make_localizer
from resdet.inference.localizer import Localizer
from resdet.inference.sources import OpenedImage


class AnySizeClassifier(ImageClassifier):
    """An exported classifier that resizes and crops by itself."""

    def logits(self, opened: Sequence[OpenedImage]) -> Tensor:
        """See ``ImageClassifier``; pictures of different sizes go one by one."""
        return torch.cat([self.model(to_tensor(each.image)[None]) for each in opened])


def load_exported(
    paths: Sequence[str | Path],
    expected: type | None = None,
    *,
    device: Device = "auto",
    precision: str = "fp32",
    compiled: bool = False,
    test: Mapping[str, Any] | None = None,
    runtime: str = "auto",
) -> Detector | ImageClassifier | Localizer:
    """Read an exported file and make it ready to run.

    Args:
        paths: one file.
        expected: the config class of the task that it must be of; None: any.
        device: auto or cpu.
        precision: fp32, which says nothing here: the file decides.
        compiled: False.
        test: none.
        runtime: see ``open_session``.

    Raises:
        ConfigError: several files, an option that only models in torch have, no runtime, a file of another task.
        DataError: a file that cannot be read.
    """
    check_options(paths, device=device, precision=precision, compiled=compiled, test=test)
    program = open_program(paths[0], runtime)
    if expected is not None:
        check_kind(program.path, program.config, expected)
    return model_of(program)


def model_of(program: Program) -> Detector | ImageClassifier | Localizer:
    """An opened file with the interface of its task; a DataError where its card has no sizes."""
    if isinstance(program.config, DetectorConfig):
        sizes = card_sizes(program.path, program.card, "short_side", "max_side")
        return Detector(ExportedDetector(program), short_side=sizes["short_side"], max_side=sizes["max_side"])
    if isinstance(program.config, ClassifierConfig):
        sizes = card_sizes(program.path, program.card, "short_side", "crop")
        kind = AnySizeClassifier if program.facts.resizes else ImageClassifier
        return kind(ExportedClassifier(program), **sizes)
    return _localizer(program)


def check_options(
    paths: Sequence[str | Path], *, device: Device, precision: str, compiled: bool, test: Mapping[str, Any] | None = None
) -> None:
    """A ConfigError with every option that an exported file does not have."""
    path = next(filter(is_exported, paths), paths[0])
    problems = []
    if len(paths) > 1:
        problems.append(f"{path}: an exported file runs alone, an ensemble is of .safetensors files; got {len(paths)} files")
    if str(device) not in ("auto", "cpu"):
        problems.append(f"{path}: an exported file runs on the CPU here, 'device' must be auto or cpu, got '{device}'")
    if precision != "fp32" or compiled:
        problems.append(f"{path}: an exported file computes as it was exported: no other 'precision', and no compiling")
    if test:
        problems.append(f"{path}: its options of 'model.test' were fixed by `resdet export`, got {', '.join(test)}")
    if problems:
        raise ConfigError(problems)


def _localizer(program: Program) -> Localizer:
    crop = card_sizes(program.path, program.card, "crop")["crop"]
    return make_localizer([ExportedLocalizer(program)], program.config.test, crop)
