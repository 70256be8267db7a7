"""Turns a run file into a checked config object, from YAML, its bases and ``key.path=value`` overrides."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from resdet.config.assign import assign, drop_other_formats, finished, forget_base_batch, override
from resdet.config.chain import find_config, read_chain
from resdet.config.check import RunFile, inconsistent, out_of_range
from resdet.config.old_names import under_both_names, understood
from resdet.config.schema import RUN_CONFIGS
from resdet.errors import ConfigError


def load_config(name: str | Path, overrides: Sequence[str] = ()) -> RunFile:
    """Read a run file.

    Args:
        name: a YAML file, or the name of a shipped one with or without ``.yaml``.
        overrides: ``"key.path=value"`` strings, values in YAML, applied last: ``"optimizer.lr=1e-3"``,
            ``"data.train[0].root=x"``.

    Returns:
        The config of the file's ``task``, complete and in range.

    Raises:
        ConfigError: with every problem of the file, its bases and the overrides, one a line.
    """
    path = find_config(name)
    chain = read_chain(path)
    task = next((values["task"] for _, values in reversed(chain) if "task" in values), None)
    if not (isinstance(task, str) and task in RUN_CONFIGS):
        raise ConfigError(f"{path}: 'task' must be one of {', '.join(sorted(RUN_CONFIGS))}, got {task!r:.120}")
    node = OmegaConf.structured(RUN_CONFIGS[task])
    problems: list[str] = []
    for file, given in chain:
        values = understood(given, str(file))
        drop_other_formats(node, values)
        forget_base_batch(node, values)
        problems += [f"{file}: {problem}" for problem in assign(node, {**values, "task": task})]
    for text in _in_order(overrides):
        problems += [f"argument {text!r}: {problem}" for problem in override(node, text)]
    for old, new in under_both_names({text.partition("=")[0] for text in overrides}):
        problems.append(f"option {old!r} is the old name of {new!r}, give one argument for both")
    if problems:
        raise ConfigError(problems)
    try:
        config: RunFile = finished(node)
    except ConfigError as error:
        raise ConfigError([f"{path}: {problem}" for problem in error.problems]) from error
    if problems := [f"{path}: {problem}" for problem in (*out_of_range(config), *inconsistent(config))]:
        raise ConfigError(problems)
    if not config.output:
        config.output = f"runs/{path.stem}"
    return config


def _in_order(overrides: Sequence[str]) -> list[str]:
    """The arguments as they were given, but for a learning rate, which comes first, and a format, before others of its source.

    They drop the batch, and the options, that another one was for.
    """

    def key(text: str) -> tuple[bool, int, bool]:
        name = text.partition("=")[0]
        if not name.endswith(".format"):
            return name != "optimizer.lr", overrides.index(text), True
        source = name.removesuffix("format")
        return True, next(place for place, other in enumerate(overrides) if other.startswith(source)), False

    return sorted(overrides, key=key)


def config_from_dict(config_class: type[Any], values: dict[str, Any]) -> Any:
    """Build one dataclass of ``schema`` from plain values (``config_to_dict``'s inverse).

    Raises:
        ConfigError: with every unknown key, wrong type and value out of range.
    """
    node = OmegaConf.structured(config_class)
    if problems := assign(node, values):
        raise ConfigError(problems)
    config = finished(node)
    if problems := list(out_of_range(config)):
        raise ConfigError(problems)
    return config


def config_to_dict(config: Any) -> dict[str, Any]:
    """Any dataclass of ``schema`` as plain dicts, lists and scalars."""
    return dataclasses.asdict(config)


def config_to_yaml(config: Any) -> str:
    """Any dataclass of ``schema`` as YAML, keys in the schema's order."""
    return yaml.safe_dump(config_to_dict(config), sort_keys=False, allow_unicode=True, width=120)
