"""From a weights file of another toolkit to a resdet model file."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from resdet.errors import ConfigError
from resdet.models.backbones.weights.read import WeightsFile, read_weights
from resdet.models.backbones.weights.report import LoadReport, compare
from resdet.models.convert.card import card_network, conversion_card
from resdet.models.convert.class_names import class_names
from resdet.models.convert.conversion import Conversion, convert_weights
from resdet.models.convert.find_settings import find_settings
from resdet.models.convert.variants import without_other_heads
from resdet.models.model_file import ModelCard, write_model
from resdet.structures import PixelConvention


@dataclass(frozen=True)
class Converted:
    """A model file that was written.

    Attributes:
        conversion: what its source is.
        card: what it says of itself.
        report: what became of the source's tensors: those that were taken, those of the network that are filled in because
            the source lacks them ("missing"), and those that no part of the model needs ("unexpected").
        notes: what was taken of the source and what was left, where there was a choice.
    """

    conversion: Conversion
    card: ModelCard
    report: LoadReport
    notes: tuple[str, ...] = ()

    def facts(self) -> dict[str, str]:
        """What the file says of itself, for people: what each fact is called, and the fact in words."""
        found, names = self.conversion, self.card.names
        stride = f", stride in the {_place(found)}" if found.spec.block == "bottleneck" else ""
        rows = {
            "names of": found.scheme,
            "task": found.task,
            "backbone": f"{found.spec.name}{stride}" + (f", width {found.width}" if found.width else ""),
            "pixels": found.pixels.describe(),
            "test": ", ".join(f"{key} {value}" for key, value in self.card.test.items()),
            "classes": f"{len(names)}: {', '.join(names[:3])}{', …' if len(names) > 3 else ''}",
        }
        if found.settings is not None:
            said = str(found.settings.path or "those of the published model")
            rows["settings"] = "assumed, see the warning; the card lists them" if found.settings.assumed else said
        if self.notes:
            rows["of the file"] = "; ".join(self.notes)
        if found.filled:
            rows["BN"] = "scale and shift alone in the file: the missing statistics are mean 0, variance 1 - 1e-5"
        if found.task == "backbone":
            rows["test"] = rows["classes"] = "none: name the file as model.backbone.weights"
        return rows


def convert_file(
    source: str | Path,
    destination: str | Path,
    *,
    scheme: str = "auto",
    names: str | Path | None = None,
    pixels: PixelConvention | None = None,
    stride_in_1x1: bool | None = None,
    take: str = "",
    config: str | Path | None = None,
    boxes_only: bool = False,
) -> Converted:
    """Convert a weights file, try it in the network that it is said to be, and write the model file.

    A warning tells what neither the caller nor the file says of the input that the weights want, and of a detector's settings.

    Args:
        source: a .pth, .pkl or .safetensors file.
        destination: the .safetensors file to write; it must not exist.
        scheme: whose names the file has, see ``convert_weights``.
        names: a text file with the class names in label order, one a line; None: the public ones, see ``default_names``.
        pixels: its pixel convention, see ``convert_weights``.
        stride_in_1x1: where its bottlenecks have their stride, see ``convert_weights``.
        take: which of several sets of tensors, see ``read_weights``.
        config: of a detector, see ``find_settings``.
        boxes_only: whether to leave out the heads that find masks and keypoints in a detector's boxes.

    Raises:
        ConfigError: names of no known source, another network, class names that do not fit, settings that resdet's detectors
            do not have, or a destination that exists.
        DataError: a file that cannot be read without executing a pickle, or a config that is no YAML.
    """
    source, destination = Path(source), Path(destination)
    _check_paths(source, destination)
    file = read_weights(source, take)
    file = without_other_heads(file) if boxes_only else file
    settings = find_settings(file, config, boxes_only=boxes_only)
    conversion = convert_weights(file, scheme=scheme, pixels=pixels, stride_in_1x1=stride_in_1x1, settings=settings)
    card = conversion_card(conversion, class_names(conversion, names), source.name)
    state, report = _fitted(file, conversion, card)
    if conversion.assumed or (conversion.settings and conversion.settings.assumed):
        warnings.warn(_assumption(conversion, source), stacklevel=2)
    write_model(destination, state, card)
    return Converted(conversion, card, report, file.notes)


def _check_paths(source: Path, destination: Path) -> None:
    problems = []
    if not source.is_file():
        problems.append(f"{source}: {'is a folder, name the file in it' if source.is_dir() else 'no such file'}")
    if destination.suffix != ".safetensors":
        problems.append(f"{destination}: must end in .safetensors")
    if destination.exists():
        problems.append(f"{destination}: exists already")
    if problems:
        raise ConfigError(problems)


def _fitted(file: WeightsFile, conversion: Conversion, card: ModelCard) -> tuple[dict[str, Tensor], LoadReport]:
    """The state to write, tried in the network that the card describes, and what became of the file's tensors.

    Raises:
        ConfigError: tensors that are missing, unexpected or of another shape than the network's.
    """
    ours = card_network(card).state_dict()
    if conversion.task == "backbone":
        ours = {key: value for key, value in ours.items() if not key.startswith("fc.")}
    loaded, missing, unexpected, mismatched = compare(conversion.state, ours)
    report = LoadReport(file.path, conversion.spec.name, conversion.pixels, loaded, missing, unexpected, mismatched)
    if missing or unexpected or mismatched:
        raise ConfigError(f"{file.path}: is no {conversion.spec.name} as resdet has it: {report.summary(3)}")
    taken = tuple(key for key in loaded if key not in conversion.filled)
    report = replace(report, loaded=taken, missing=conversion.filled, unexpected=conversion.ignored)
    return {**ours, **{key: conversion.state[key] for key in loaded}}, report


def _assumption(conversion: Conversion, source: Path) -> str:
    """The warning of a card that says what nothing in the file shows."""
    words = {
        "pixels": f"pixels {conversion.pixels.describe()} (--pixels)",
        "stride": f"stride in the {_place(conversion)} (--stride)",
    }
    assumed = ", ".join(words[name] for name in conversion.assumed)
    if conversion.settings is not None:
        own = ", ".join(f"{name} {value}" for name, value in conversion.settings.assumed.items())
        return (
            f"{source}: no config says how this detector is set, and its tensors do not. Assumed, and written into the card: "
            f"{assumed + ', ' if assumed else ''}and what its toolkit has by itself: {own}. With other ones it "
            "finds other boxes: give its config (--config FILE), or lay it beside the weights"
        )
    return (
        f"{source}: neither BN statistics nor its name shows what these weights want. Assumed, and written into the card: "
        f"{assumed}. With wrong ones a network runs and is merely bad: "
        f"`resdet info --weights {source} --images DIR` measures which are plausible"
    )


def _place(conversion: Conversion) -> str:
    return "1x1" if conversion.stride_in_1x1 else "3x3"
