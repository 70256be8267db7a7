"""The numbers of a run beside those of the run before it and what its run file is to reach."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from resdet.errors import DataError
from resdet.files import read_json
from resdet.report.html.blocks import Number
from resdet.shipped import said_by_run_file

Values = Mapping[str, float | None]


class Previous(NamedTuple):
    """An earlier run of the same task on the same validation set.

    Attributes:
        name: its folder.
        values: its numbers, by name.
    """

    name: str
    values: Values


def compared_numbers(values: Values, previous: Previous | None) -> list[Number]:
    """Numbers with those of the run before."""
    return [Number(name, _told(value), _difference(name, value, previous)) for name, value in values.items()]


def previous_run(folder: Path, own: Path, values_of: Callable[[Mapping[str, Any]], Values]) -> Previous | None:
    """The latest run before that of ``folder`` among the folders beside it, of the same task and validation set.

    Args:
        folder: a run folder.
        own: its ``metrics.json``.
        values_of: the numbers of the content of a ``metrics.json``.
    """
    settings = _settings(folder)
    if settings is None or not own.is_file():
        return None
    written = own.stat().st_mtime_ns
    earlier = [
        path
        for path in folder.absolute().parent.glob("*/metrics.json")
        if path.parent.name != folder.absolute().name and path.stat().st_mtime_ns < written
    ]
    for path in sorted(earlier, key=lambda each: each.stat().st_mtime_ns, reverse=True):
        with contextlib.suppress(DataError):  # a file that says something else is no run to compare with
            if _settings(path.parent) == settings and (values := numbers_of(path.parent, values_of)):
                return Previous(path.parent.name, values)
    return None


def numbers_of(folder: Path, values_of: Callable[[Mapping[str, Any]], Values]) -> Values:
    """The numbers of a folder's ``metrics.json``; a DataError where it holds something else in their place."""
    try:
        values = values_of(metrics_of(folder))
        wrong = [name for name, value in values.items() if value is not None and not math.isfinite(value)]
    except (AttributeError, KeyError, OverflowError, TypeError) as error:
        raise DataError(f"{folder / 'metrics.json'}: must hold the numbers of an evaluation: {error}") from error
    if wrong:
        raise DataError(f"{folder / 'metrics.json'}: must hold the numbers of an evaluation, {wrong[0]!r} is none")
    return values


def metrics_of(folder: Path) -> dict[str, Any]:
    """The content of ``metrics.json``, {} where there is none or it cannot be read; a DataError for classes that are none."""
    try:
        metrics = read_json(folder / "metrics.json")
    except DataError:
        return {}
    if not isinstance(metrics, dict):
        return {}
    if not isinstance(metrics.get("per_class") or {}, dict):
        raise DataError(f"{folder / 'metrics.json'}: 'per_class' must be a mapping of classes")
    return metrics


def to_reach(folder: Path) -> str:
    """What the shipped run file of the name of ``folder`` says is to be reached; "" when there is none, or it names nothing."""
    return said_by_run_file(folder.absolute().name, "To reach")


def _settings(folder: Path) -> tuple[Any, Any] | None:
    """The task and the validation set of a run; None where there is no config."""
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        return config["task"], config["data"]["val"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):  # no run of ours: nothing to compare with
        return None


def _told(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _difference(name: str, value: float | None, previous: Previous | None) -> str:
    before = previous.values.get(name) if previous else None
    if previous is None or before is None:
        return ""
    change = f" ({value - before:+.3f})" if value is not None else ""
    return f"{before:.3f} in {previous.name}{change}"
