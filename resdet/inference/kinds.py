"""The three kinds of models, and the function that reads each."""

from __future__ import annotations

from pathlib import Path

from resdet.config.option import MAX_SIDE
from resdet.config.schema import ClassifierConfig, DetectorConfig, LocalizerConfig
from resdet.errors import ConfigError, DataError
from resdet.models.model_file import ModelCard

_KINDS = {DetectorConfig: "detector", ClassifierConfig: "classifier", LocalizerConfig: "localizer"}


def check_kind(path: str | Path, config: object, expected: type) -> None:
    """A ConfigError that names the function for the file where its config is of another task."""
    if not isinstance(config, expected):
        kind = _KINDS[type(config)]
        raise ConfigError(f"{path}: must hold a {_KINDS[expected]}, holds a {kind}, which load_{kind} reads")


def card_sizes(path: str | Path, card: ModelCard, *names: str) -> dict[str, int]:
    """Sizes in pixels of a card's ``test``; a DataError names each that is none. A "short_side" of 0 is: not resized."""
    problems = []
    for name in names:
        low, size = int(name != "short_side"), card.test.get(name)
        if type(size) is not int or not low <= size <= MAX_SIDE:
            problems.append(f"{path}: its card: 'test.{name}' must be {low} … {MAX_SIDE} pixels, got {size!r}")
    if problems:
        raise DataError(problems)
    return {name: card.test[name] for name in names}
