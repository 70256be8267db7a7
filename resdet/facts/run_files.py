"""Texts about run files: the shipped ones, one file with all its options, and all options that exist."""

from __future__ import annotations

import dataclasses
import itertools
import textwrap
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from resdet.config import config_to_dict, config_to_yaml, load_config
from resdet.config.schema import RUN_CONFIGS
from resdet.errors import ConfigError
from resdet.shipped import shipped_folder


def shipped_text() -> str:
    """The shipped run files with the first comment of each, below the name of their folder.

    Raises:
        ConfigError: when the package was installed without them.
    """
    heads = shipped_values()
    width = max(map(len, heads))
    lines = (f"{name:{width}}  {textwrap.shorten(head, 126 - width, placeholder=' …')}" for name, head in heads.items())
    return "\n".join([f"run files in {shipped_folder('configs')}:", "", *lines])


def shipped_values() -> dict[str, str]:
    """The first comment of each shipped run file by its name; errors are those of ``shipped_text``."""
    folder = shipped_folder("configs")
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise ConfigError(f"{folder}: no run files: the package is not installed as a whole")
    return {path.stem: _head(path) for path in paths}


def run_file_text(name: str) -> str:
    """A run file with every option as YAML, and the cost of its backbone.

    Raises:
        ConfigError: as ``load_config`` does.
    """
    from resdet.facts.backbones import cost_line  # not above: the other functions here need no torch

    config = load_config(name)
    cost = cost_line(config.model.backbone.name, **_cost_options(config))
    return f"{config_to_yaml(config)}\n{cost} for its backbone (1000 classes; CIFAR nets 10)"


def run_file_values(name: str) -> dict[str, Any]:
    """The same for programs; errors are those of ``load_config``."""
    from resdet.facts.backbones import backbone_cost  # as above

    config = load_config(name)
    return {"options": config_to_dict(config), "backbone": backbone_cost(config.model.backbone.name, **_cost_options(config))}


def _cost_options(config: Any) -> dict[str, Any]:
    return {key: getattr(config.model.backbone, key) for key in ("stride_in_1x1", "shortcut", "width")}


@dataclasses.dataclass(frozen=True)
class RunOption:
    """An option of a run file."""

    name: str  # with its sections, ``model.rpn.nms_thresh``; ``[0]`` stands for any place in a list of sources
    default: Any
    text: str
    allowed: str  # its choices, or its range; empty: anything of its type
    section: str  # what the section is that it stands in


def run_options(task: str) -> Iterator[RunOption]:
    """The options of a task's run files, with the defaults that the task gives them."""
    yield from _options(RUN_CONFIGS[task](), "")


def options_text() -> str:
    """Every option of the run files of each task: default, meaning, range."""
    return "\n\n".join("\n".join([f"run file of task {task}:", *map(_line, run_options(task))]) for task in RUN_CONFIGS)


def options_values() -> dict[str, dict[str, dict[str, Any]]]:
    """The same for programs: by task and name the default, the text, and what is allowed."""
    return {
        task: {each.name: {"default": each.default, "text": each.text, "allowed": each.allowed} for each in run_options(task)}
        for task in RUN_CONFIGS
    }


def _head(path: Path) -> str:
    """The first comment of a run file, in one line."""
    lines = itertools.takewhile(lambda line: line.startswith("# "), path.read_text(encoding="utf-8").splitlines())
    return " ".join(line[2:] for line in lines)


def _line(option: RunOption) -> str:
    return f"  {option.name} = {option.default!r}: {option.text}" + (f" [{option.allowed}]" if option.allowed else "")


def _options(config: Any, prefix: str) -> Iterator[RunOption]:
    types = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        name, value = f"{prefix}{field.name}", getattr(config, field.name)
        element = next(iter(typing.get_args(types[field.name])), None)
        if dataclasses.is_dataclass(value):
            yield from _options(value, f"{name}.")
        elif isinstance(element, type) and dataclasses.is_dataclass(element):
            yield from _options(element(), f"{name}[0].")
        else:
            yield RunOption(name, value, field.metadata["text"], _allowed(field), type(config).__doc__ or "")


def _allowed(field: dataclasses.Field[Any]) -> str:
    low, high, choices = (field.metadata.get(key) for key in ("low", "high", "choices"))
    if choices:
        return ", ".join(choices)
    if low is None and high is None:
        return ""
    return f"{f'{low:g}' if low is not None else ''} … {f'{high:g}' if high is not None else ''}"
