"""Texts about run files: the shipped ones, one file with all its options, and all options that exist."""

from __future__ import annotations

import dataclasses
import itertools
import textwrap
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from resdet.config import config_to_yaml, load_config
from resdet.config.schema import RUN_CONFIGS
from resdet.errors import ConfigError
from resdet.shipped import shipped_folder


def shipped_text() -> str:
    """The shipped run files with the first comment of each, below the name of their folder.

    Raises:
        ConfigError: when the package was installed without them.
    """
    folder = shipped_folder("configs")
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise ConfigError(f"{folder}: no run files: the package is not installed as a whole")
    width = max(len(path.stem) for path in paths)
    return "\n".join([f"run files in {folder}:", "", *(f"{path.stem:{width}}  {_head(path, 126 - width)}" for path in paths)])


def run_file_text(name: str) -> str:
    """A run file with every option as YAML, and the cost of its backbone.

    Raises:
        ConfigError: as ``load_config`` does.
    """
    from resdet.facts.backbones import cost_line  # not above: the other functions here need no torch

    config = load_config(name)
    backbone = config.model.backbone
    options = {key: getattr(backbone, key) for key in ("stride_in_1x1", "shortcut", "width")}
    return f"{config_to_yaml(config)}\n{cost_line(backbone.name, **options)} for its backbone (1000 classes; CIFAR nets 10)"


def options_text() -> str:
    """Every option of the run files of each task: default, meaning, range."""
    tasks = ("\n".join([f"run file of task {task}:", *_options(config, "  ")]) for task, config in RUN_CONFIGS.items())
    return "\n\n".join(tasks)


def _head(path: Path, width: int) -> str:
    """The first comment of a run file, cut to one line of so many letters."""
    lines = itertools.takewhile(lambda line: line.startswith("# "), path.read_text(encoding="utf-8").splitlines())
    return textwrap.shorten(" ".join(line[2:] for line in lines), width, placeholder=" …")


def _options(config: type[Any], prefix: str) -> Iterator[str]:
    types = typing.get_type_hints(config)
    for field in dataclasses.fields(config):
        name, kind = f"{prefix}{field.name}", types[field.name]
        element = next(iter(typing.get_args(kind)), None)
        if dataclasses.is_dataclass(kind):
            yield from _options(typing.cast("type[Any]", kind), f"{name}.")
        elif dataclasses.is_dataclass(element):
            yield from _options(typing.cast("type[Any]", element), f"{name}[0].")
        else:
            yield f"{name} = {_default(field)!r}: {field.metadata['text']}{_range(field)}"


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _range(field: dataclasses.Field[Any]) -> str:
    low, high, choices = (field.metadata.get(key) for key in ("low", "high", "choices"))
    if choices:
        return f" [{', '.join(choices)}]"
    if low is None and high is None:
        return ""
    return f" [{f'{low:g}' if low is not None else ''} … {f'{high:g}' if high is not None else ''}]"
