"""Scores an evaluation by one of its numbers, so that "best" can mean any of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from resdet.errors import ConfigError, did_you_mean

# parts of names of numbers that are better when they are lower
_LOWER = ("loss", "error", "nll", "ece")


def metric_score(metrics: Mapping[str, Any], name: str) -> float:
    """The number ``name`` of ``metrics`` as a score, higher is better; NaN when it has no value.

    Args:
        metrics: the content of ``metrics.json``.
        name: its keys from the outside to the inside, joined by dots: ``"bbox.AP50"``, ``"per_class.cat.AP"``. Losses and
            errors (``nll`` and ``ece`` among them) count negatively.

    Raises:
        ConfigError: when there is no such number; it names the nearest.
    """
    numbers = dict(_numbers(metrics))
    if name not in numbers:
        raise ConfigError(
            f"option 'run.best' must be a number of metrics.json, got {name!r}{did_you_mean(name, list(numbers))}"
        )
    value = numbers[name]
    if value is None:
        return math.nan
    return -value if any(word in name.rsplit(".", maxsplit=1)[-1] for word in _LOWER) else value


def _numbers(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float | None]]:
    """Every number of nested mappings but those of "meta", by its dotted name; None for one without a value."""
    for key, item in value.items():
        if isinstance(item, Mapping):
            if key != "meta" or prefix:
                yield from _numbers(item, f"{prefix}{key}.")
        elif item is None or (isinstance(item, (int, float)) and not isinstance(item, bool)):
            yield f"{prefix}{key}", None if item is None else float(item)
