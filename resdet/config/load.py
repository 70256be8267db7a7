"""From a run file to a checked config object: YAML, at most one ``base:``, ``key.path=value`` overrides.

OmegaConf converts and checks each value against the dataclasses of ``schema``; what it finds is collected, so that one run
shows every problem of a file.
"""

from __future__ import annotations

import dataclasses
import typing
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from resdet.config.check import RunFile, inconsistent, out_of_range
from resdet.config.old_names import new_name, under_both_names, with_new_names
from resdet.config.schema import RUN_CONFIGS
from resdet.errors import ConfigError, did_you_mean
from resdet.shipped import shipped_folder


def load_config(name: str | Path, overrides: Sequence[str] = ()) -> RunFile:
    """Read a run file; warns of options that go by their old names.

    Args:
        name: a YAML file, or the name of a shipped one with or without ``.yaml``.
        overrides: ``"key.path=value"`` strings, values in YAML, applied last: ``"optimizer.lr=1e-3"``,
            ``"data.train[0].root=x"``.

    Returns:
        The config of the file's ``task``, complete and in range.

    Raises:
        ConfigError: with every problem of the file and the overrides, one a line.
    """
    path = find_config(name)
    values = _with_base(path)
    task = values.get("task")
    if task not in RUN_CONFIGS:
        raise ConfigError(f"{path}: 'task' must be one of {', '.join(sorted(RUN_CONFIGS))}, got {task!r}")
    node = OmegaConf.structured(RUN_CONFIGS[task])
    problems = [f"{path}: {problem}" for problem in _apply(node, values)]
    problems += [f"argument {text!r}: {problem}" for text in overrides for problem in _override(node, text)]
    for old, new in under_both_names({text.partition("=")[0] for text in overrides}):
        problems.append(f"option {old!r} is the old name of {new!r}, give one argument for both")
    if problems:
        raise ConfigError(problems)
    try:
        config = typing.cast(RunFile, OmegaConf.to_object(node))
    except OmegaConfBaseException as error:  # an interpolation, ${…}, of something that is not there
        raise ConfigError(f"{path}: {str(error).splitlines()[0]}") from error
    problems = [f"{path}: {problem}" for problem in (*out_of_range(config), *inconsistent(config))]
    if problems:
        raise ConfigError(problems)
    if not config.output:
        config.output = f"runs/{path.stem}"
    return config


def config_from_dict(config_class: type[Any], values: dict[str, Any]) -> Any:
    """Build one dataclass of ``schema`` from plain values (``config_to_dict``'s inverse).

    Raises:
        ConfigError: with every unknown key, wrong type and value out of range.
    """
    node = OmegaConf.structured(config_class)
    problems = _apply(node, values)
    config = None if problems else OmegaConf.to_object(node)
    problems = problems or list(out_of_range(config))
    if problems:
        raise ConfigError(problems)
    return config


def config_to_dict(config: Any) -> dict[str, Any]:
    """Any dataclass of ``schema`` as plain dicts, lists and scalars."""
    return dataclasses.asdict(config)


def config_to_yaml(config: Any) -> str:
    """Any dataclass of ``schema`` as YAML, keys in the schema's order."""
    return yaml.safe_dump(config_to_dict(config), sort_keys=False, allow_unicode=True, width=120)


def find_config(name: str | Path) -> Path:
    """The file that ``name`` means: itself, or ``name[.yaml]`` in ``configs/`` here or among the shipped ones.

    Raises:
        ConfigError: when there is none, naming the near ones.
    """
    given = Path(name)
    folders = (Path("configs"), shipped_folder("configs"))
    for path in (given, *(folder / file for folder in folders for file in (f"{name}.yaml", str(name)))):
        if path.is_file():
            return path
    known = sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
    raise ConfigError(f"config {str(name)!r}: no such file{did_you_mean(given.stem, known)}")


def _with_base(path: Path) -> dict[str, Any]:
    values = _read(path)
    base = values.pop("base", None)
    if base is None:
        return values
    if not isinstance(base, str):
        raise ConfigError(f"{path}: 'base' must be a file name, got {base!r}")
    beside = path.parent / base
    try:
        base_path = beside if beside.is_file() else find_config(base)
    except ConfigError as error:
        raise ConfigError(f"{path}: 'base': {error}") from error
    parent = _read(base_path)
    if "base" in parent:
        raise ConfigError(f"{path}: its base {base_path} has a 'base' itself; a run file has at most one")
    return typing.cast(dict[str, Any], OmegaConf.to_container(OmegaConf.merge(parent, values)))


def _read(path: Path) -> dict[str, Any]:
    try:
        values = OmegaConf.to_container(OmegaConf.load(path))
    except (yaml.YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must be a mapping of option names to values, got {type(values).__name__}")
    return _understood(typing.cast(dict[str, Any], values), str(path))


def _understood(values: dict[str, Any], origin: str) -> dict[str, Any]:
    values, notes = with_new_names(values)
    if notes:
        warnings.warn(f"{origin}: {', '.join(notes)}", stacklevel=4)
    return values


def _apply(node: DictConfig, values: dict[str, Any], prefix: str = "") -> list[str]:
    """Set every leaf of ``values`` in the typed ``node``; return what did not fit."""
    types = typing.get_type_hints(OmegaConf.get_type(node))
    problems: list[str] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if key not in types:
            new = new_name(str(key), types)
            problems.append(
                f"option {name!r} is the old name of '{prefix}{new}', give only the new one"
                if new
                else f"unknown option {name!r}{did_you_mean(str(key), list(types))}"
            )
            continue
        (element,) = typing.get_args(types[key]) or (None,)
        if dataclasses.is_dataclass(types[key]):
            if isinstance(value, dict):
                problems += _apply(node[key], value, f"{name}.")
            else:
                problems.append(f"option {name!r} must be a mapping, got {value!r}")
        elif dataclasses.is_dataclass(element):
            if not (isinstance(value, list) and all(isinstance(item, dict) for item in value)):
                problems.append(f"option {name!r} must be a list of mappings, got {value!r}")
                continue
            items = [OmegaConf.structured(element) for _ in value]
            for index, (item, given) in enumerate(zip(items, value, strict=True)):
                problems += _apply(item, given, f"{name}[{index}].")
            node[key] = items
        else:
            problems += _set(node, str(key), value, name)
    return problems


def _override(node: DictConfig, text: str) -> list[str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        return ["must look like key.path=value"]
    try:
        parsed: Any = OmegaConf.to_container(OmegaConf.create(f"value: {value}"))["value"]  # type: ignore[index, call-overload]
    except (yaml.YAMLError, OmegaConfBaseException):
        parsed = value
    if parsed is None:  # `key=` is the empty string: no option here can be None
        parsed = ""
    if "[" in key:
        return _set(node, key, parsed, key)
    for part in reversed(key.split(".")):
        parsed = {part: parsed}
    return _apply(node, _understood(parsed, f"argument {text!r}"))


def _set(node: DictConfig, key: str, value: Any, name: str) -> list[str]:
    try:
        OmegaConf.update(node, key, value)
    except (OmegaConfBaseException, TypeError, ValueError, IndexError) as error:
        reason = str(error).splitlines()[0]
        if "not in '" in reason:
            near = reason.partition("Did you mean: ")[2].rstrip("?").strip("'")
            return [f"unknown option {name!r}" + (f" (did you mean {near!r}?)" if near else "")]
        return [f"option {name!r}: {reason}; got {value!r}"]
    return []
