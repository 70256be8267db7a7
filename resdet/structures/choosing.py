"""What a user may say to choose among results, checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


def chosen_rows(key: Any, count: int, device: torch.device) -> Tensor:
    """What a slice, a mask or places choose of ``count`` rows: bool (count,) or int64 (M,).

    Raises:
        TypeError: for anything else.
        IndexError: for a mask of another length.
    """
    places = range(count)[key] if isinstance(key, slice) else key  # a range also accepts negative steps, unlike a tensor
    try:
        rows = torch.as_tensor(places, device=device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{_RULE}, got {key!r:.80}") from error
    if rows.dtype == torch.bool and rows.shape != (count,):
        raise IndexError(f"a mask must have as many values as there are objects, {count}, got shape {tuple(rows.shape)}")
    if rows.ndim > 1 or (rows.numel() and (rows.is_floating_point() or rows.is_complex())):
        raise TypeError(f"{_RULE}, got {rows.dtype} {tuple(rows.shape)}")
    return rows if rows.dtype == torch.bool else rows.reshape(-1).to(torch.int64)  # torch makes an empty list float


_RULE = "objects are chosen by a whole number, a slice, a mask, or a list of whole numbers"


def one_or_more(given: Any) -> list[Any]:
    """The values of an iterable, or the one value that is given; a text is one."""
    single = isinstance(given, (str, bytes)) or not isinstance(given, Iterable) or getattr(given, "ndim", 1) == 0
    return [given] if single else list(given)


def share_problems(name: str, value: Any) -> list[str]:
    """What is wrong with a parameter that must be in [0, 1]."""
    try:
        fits = bool(0 <= value <= 1)
    except (TypeError, ValueError, RuntimeError):
        fits = False
    return [] if fits else [f"{name!r} must be in [0, 1], got {value!r:.80}"]


def same_fields(one: Any, other: Any) -> bool:
    """Whether two objects of a dataclass are equal, tensors value by value; fields that are not compared do not count."""
    names = [field.name for field in dataclasses.fields(one) if field.compare]
    return all(_same(getattr(one, name), getattr(other, name)) for name in names)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return one.device == other.device and torch.equal(one, other)
    if isinstance(one, (list, tuple)):
        return tuple(one) == tuple(other)
    return bool(one == other)
