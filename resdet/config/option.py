"""A dataclass field that documents itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

MAX_SIDE = 16_384  # pixels that a picture may be resized to: a square of them is 0.8 GB


def option(
    default: Any = dataclasses.MISSING,
    text: str = "",
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
    formats: Sequence[str] = (),
    layout: bool = False,
    optional: bool = False,
    factory: Callable[[], Any] | None = None,
) -> Any:
    """A dataclass field with its documentation; ``low``/``high`` are inclusive and hold for each element of a list.

    ``default`` may be a list; each object gets its own copy. ``formats`` are the data formats that have the option; when it is
    empty, all have it. ``layout`` marks an option that names a file whose meaning differs between formats. ``optional`` marks
    a section that may be null, which means its defaults.
    """
    metadata: dict[str, Any] = {"text": text, "low": low, "high": high, "choices": tuple(choices)}
    metadata |= {"formats": tuple(formats), "layout": layout, "optional": optional}
    if factory is not None:
        return dataclasses.field(default_factory=factory, metadata=metadata)
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)
