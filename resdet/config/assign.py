"""Puts plain values, as YAML gives them, into the typed node of a config, and names every option that does not fit.

OmegaConf converts each value to the type that ``schema`` gives its option.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml
from omegaconf import Container, DictConfig, ListConfig, OmegaConf
from omegaconf.errors import GrammarParseError, MissingMandatoryValue, OmegaConfBaseException

from resdet.config.old_names import new_name, understood
from resdet.errors import ConfigError, did_you_mean

_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    list[int]: "a list of whole numbers, such as [8, 16]",
    list[float]: "a list of numbers, such as [0.5, 1]",
    list[str]: "a list of strings, such as [cat, dog]",
    list[Any]: "a list, such as [{name: RandomIoUCrop}]",
}
_PATH = re.compile(r"[^.\[\]]+(\[-?\d+\])*(\.[^.\[\]]+(\[-?\d+\])*)*")
_STEP = re.compile(r"\[(-?\d+)\]|([^.\[\]]+)")
_SHOWN = 120


def assign(node: DictConfig, values: Mapping[Any, Any], prefix: str = "") -> list[str]:
    """Set every option in ``values`` in the typed ``node``; return the problems.

    Args:
        node: a node of a dataclass of ``schema``.
        values: plain values by option name, nested like the sections; a list replaces the one before.
        prefix: the dotted name of ``node`` and a dot, for messages.
    """
    types, fields = _types(node), _fields(node)
    problems: list[str] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if key not in types and (new := new_name(str(key), types)):
            problems.append(f"option {name!r} is the old name of '{prefix}{new}', give only the new one")
        elif key not in types:
            problems.append(f"unknown option {name!r}{did_you_mean(str(key), list(types))}")
        elif dataclasses.is_dataclass(types[key]):
            problems += _assign_section(node, fields[key], value, name)
        elif dataclasses.is_dataclass(_element(types[key])):
            problems += _assign_sections(node, str(key), _element(types[key]), value, name)
        else:
            problems += _assign_value(node, str(key), types[key], value, name)
    return problems


def override(node: DictConfig, text: str) -> list[str]:
    """Apply a ``key.path=value`` with the value in YAML and places in lists as ``[0]``; return the problems."""
    path, equals, given = text.partition("=")
    if not equals or not _PATH.fullmatch(path):
        return ["must look like key.path=value"]
    try:
        value: Any = OmegaConf.to_container(OmegaConf.create(f"value: {given}"))["value"]  # type: ignore[index, call-overload]
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, RecursionError):
        value = given
    if value is None:  # `key=` is the empty string
        value = ""
    option, bracket, places = path.partition("[")
    if bracket:
        steps = [int(place) if place else name for place, name in _STEP.findall(f"[{places}")]
        try:
            current = OmegaConf.select(node, option)
            if current is not None:  # otherwise the option is unknown, which is reported below
                value = _changed(OmegaConf.to_container(current), steps, value)
        except (LookupError, TypeError, ValueError, OmegaConfBaseException):
            return [f"option {path!r} names no place of a list; got {_shown(value)}"]
    for name in reversed(option.split(".")):
        value = {name: value}
    values = understood(value, f"argument {text!r}")
    drop_other_formats(node, values)
    forget_base_batch(node, values)
    return assign(node, values)


def drop_other_formats(node: DictConfig, values: Mapping[Any, Any]) -> None:
    """Empty options of a base's data sources in ``node`` when ``values`` give such a source another format.

    This empties the options that the other format does not have, and those that name a file of the base's layout.
    """
    types = _types(node)
    for key, value in values.items():
        if not (isinstance(value, Mapping) and dataclasses.is_dataclass(types.get(key))):
            continue
        section = node[key]
        if "format" in _types(section) and value.get("format", section.format) != section.format:
            for name, field in _fields(section).items():
                formats = field.metadata["formats"]
                if formats and not field.default and (field.metadata["layout"] or value["format"] not in formats):
                    section[name] = field.default
        drop_other_formats(section, value)


def forget_base_batch(node: DictConfig, values: Mapping[Any, Any]) -> None:
    """Set a base's ``optimizer.base_batch`` in ``node`` to 0 when ``values`` give another learning rate without one."""
    optimizer = values.get("optimizer")
    if isinstance(optimizer, Mapping) and "lr" in optimizer and "base_batch" not in optimizer:
        node.optimizer.base_batch = 0


def finished(node: DictConfig) -> Any:
    """The config object of a node, with its interpolations (``${…}``) resolved.

    Raises:
        ConfigError: with every interpolation that cannot be resolved, and every option that has no value (``???``).
    """
    problems = list(_unresolved(node))
    try:
        if not problems:
            return OmegaConf.to_object(node)
    except OmegaConfBaseException as error:  # an interpolation refers to a section that contains it
        problems = [f"option {error.full_key!r}: {_first_line(error)}"]
    raise ConfigError(problems)


def _assign_section(node: DictConfig, field: dataclasses.Field[Any], value: Any, name: str) -> list[str]:
    if field.metadata["optional"] and value in (None, ""):
        node[field.name] = OmegaConf.structured(OmegaConf.get_type(node))[field.name]
        return []
    return assign(node[field.name], value, f"{name}.") if isinstance(value, dict) else [_misfit(name, "a mapping", value)]


def _assign_sections(node: DictConfig, key: str, section: type[Any], value: Any, name: str) -> list[str]:
    if not (isinstance(value, list) and all(isinstance(item, dict) for item in value)):
        first = dataclasses.fields(section)[0]
        return [_misfit(name, f"a list of mappings, such as [{{{first.name}: {first.default}}}]", value)]
    items = [OmegaConf.structured(section) for _ in value]
    problems = [
        problem
        for index, (item, given) in enumerate(zip(items, value, strict=True))
        for problem in assign(item, given, f"{name}[{index}].")
    ]
    node[key] = items
    return problems


def _assign_value(node: DictConfig, key: str, kind: Any, value: Any, name: str) -> list[str]:
    element = _element(kind)
    # OmegaConf would accept lists and mappings as elements of any list
    nested = isinstance(value, list) and element is not Any and any(isinstance(item, (list, dict)) for item in value)
    try:
        if nested or (element is not None and isinstance(value, dict)):
            raise TypeError
        OmegaConf.update(node, key, value)
    except GrammarParseError as error:  # raised for a broken interpolation
        return [f"option {name!r}: {_first_line(error)}; got {_shown(value)}"]
    except (OmegaConfBaseException, TypeError, ValueError, OverflowError):
        return [_misfit(name, _WORDS[kind], value)]
    return []


def _changed(current: Any, steps: Sequence[int | str], value: Any) -> Any:
    """``current``, plain values, with ``value`` at the path ``steps`` of list places and mapping names."""
    if not steps:
        return {**current, **value} if isinstance(current, dict) and isinstance(value, dict) else value
    step, *rest = steps
    copy = dict(current) if isinstance(step, str) else list(current)
    inside = current.get(step) if isinstance(step, str) else current[step]
    copy[step] = _changed(inside, rest, value)  # type: ignore[index]
    return copy


def _unresolved(node: Container, name: str = "") -> Iterator[str]:
    for key in range(len(node)) if isinstance(node, ListConfig) else list(node):
        below = f"{name}[{key}]" if isinstance(node, ListConfig) else f"{name}.{key}".removeprefix(".")
        try:
            value = node[key]
        except MissingMandatoryValue:
            yield f"option {below!r} is left open (???) and must be given"
        except OmegaConfBaseException as error:
            yield f"option {below!r}: {_first_line(error)}"
        else:
            if isinstance(value, Container) and not OmegaConf.is_interpolation(node, key):
                yield from _unresolved(value, below)


def _types(node: DictConfig) -> dict[Any, Any]:
    return typing.get_type_hints(OmegaConf.get_type(node))


def _fields(node: DictConfig) -> dict[Any, dataclasses.Field[Any]]:
    return {field.name: field for field in dataclasses.fields(typing.cast(Any, OmegaConf.get_type(node)))}


def _element(kind: Any) -> Any:
    """The type of a list's elements; None when the type is not a list."""
    return next(iter(typing.get_args(kind)), None)


def _misfit(name: str, words: str, value: Any) -> str:
    return f"option {name!r} must be {words}, got {_shown(value)}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
