"""The few things that a pickle may name, and how each is made: numpy arrays and numbers, and plain containers.

The functions here take what numpy's and Python's own pickles hold and check it; nothing that the file names is imported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NUMBERS = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248])")
# the same modules under Python 2's and numpy 2's names
_OTHER_MODULES = {
    "__builtin__": "builtins",
    "numpy._core.multiarray": "numpy.core.multiarray",
    "numpy._core.numeric": "numpy.core.numeric",
}


class RefusedError(Exception):
    """A pickle wants what is not given to it."""


@dataclass(frozen=True, slots=True)
class Maker:
    """A name of the table; calling it is ``make(*arguments)``."""

    name: str
    make: Callable[..., Any] | None


@dataclass(slots=True)
class DType:
    """A numpy dtype of numbers; pickles set its byte order in a second step."""

    dtype: np.dtype[Any]


def find_maker(module: str, name: str) -> Maker:
    """The maker of a name in the file.

    Raises:
        RefusedError: it is none of the table.
    """
    known = f"{_OTHER_MODULES.get(module, module)}.{name}"
    if known not in _MAKERS:
        shown = f"{module}.{name}"[:100].encode("unicode_escape").decode()  # one line, whatever the file says
        raise RefusedError(f"it names {shown}, which is neither numpy's array nor a plain container,")
    return Maker(known, _MAKERS[known])


def build(thing: Any, values: Any, *, fill: bool = False) -> Any:
    """Call a maker with its arguments, or (``fill``) give a made thing its state.

    Raises:
        RefusedError: the thing is not made or filled so, or is an array of anything but numbers.
        TypeError, ValueError, OverflowError: from values that are not those of a pickle of such a thing.
    """
    if fill and isinstance(thing, dict):
        return thing  # an OrderedDict's attributes, a state dict's versions for instance, are left out
    if not isinstance(values, tuple):
        raise TypeError(f"a tuple is wanted, got {type(values).__name__}")
    if fill and isinstance(thing, np.ndarray):
        _fill_array(thing, *values)
    elif fill and isinstance(thing, DType):
        _fill_dtype(thing, *values)
    elif fill or not isinstance(thing, Maker) or thing.make is None:
        name = thing.name if isinstance(thing, Maker) else f"a {type(thing).__name__}"
        raise RefusedError(f"it {'sets the state of' if fill else 'calls'} {name}")
    else:
        return thing.make(*values)
    return thing


def _empty_array(kind: Any, shape: Any, typecode: Any) -> NDArray[Any]:
    """What numpy's pickles make before they fill it."""
    if not isinstance(kind, Maker) or kind.name != "numpy.ndarray":
        raise RefusedError(f"it makes an array of the class {kind.name if isinstance(kind, Maker) else type(kind).__name__}")
    if shape != (0,) or typecode not in ("b", b"b"):
        raise ValueError("an array that is not empty at first")
    return np.zeros(0, np.int8)


def _fill_array(array: NDArray[Any], version: Any, shape: Any, dtype: Any, fortran: Any, raw: Any) -> None:
    if isinstance(raw, list):
        raise RefusedError("it holds an array of objects")
    if array.shape != (0,):
        raise ValueError("an array that is filled twice")
    # numpy checks the length against shape and dtype
    state: Any = (version, _shape(shape), _dtype(dtype), bool(fortran), _raw(raw))
    array.__setstate__(state)


def _from_buffer(buffer: Any, dtype: Any, shape: Any, order: Any) -> NDArray[Any]:
    """Protocol 5's arrays."""
    if order not in ("C", "F"):
        raise ValueError(f"an array's order is C or F, got {type(order).__name__}")
    return np.frombuffer(_raw(buffer), _dtype(dtype)).reshape(_shape(shape), order=order)


def _scalar(dtype: Any, raw: Any) -> int | float | bool:
    (value,) = np.frombuffer(_raw(raw), _dtype(dtype)).tolist()
    return value


def _new_dtype(code: Any, align: Any = 0, copy: Any = 1) -> DType:
    del align, copy
    if not isinstance(code, str) or not _NUMBERS.fullmatch(code):
        shown = repr(code[:20]) if isinstance(code, str) else f"a {type(code).__name__}"
        raise RefusedError(f"it holds an array of the type {shown} instead of numbers")
    return DType(np.dtype(code))


def _fill_dtype(holder: DType, version: Any, order: Any, *rest: Any) -> None:
    del version
    if order not in ("<", ">", "=", "|") or any(value is not None for value in rest[:3]):
        raise RefusedError("it holds an array of records instead of numbers")
    holder.dtype = holder.dtype.newbyteorder(order)


def _dtype(value: Any) -> np.dtype[Any]:
    if not isinstance(value, DType):
        raise TypeError(f"a dtype is wanted, got {type(value).__name__}")
    return value.dtype


def _raw(value: Any) -> bytes:
    """Bytes alone: the memory of another array could go away under this one."""
    if not isinstance(value, (str, bytes)):
        raise TypeError(f"bytes are wanted, got {type(value).__name__}")
    return value.encode("latin-1") if isinstance(value, str) else value


def _shape(value: Any) -> tuple[int, ...]:
    if not isinstance(value, tuple) or not all(isinstance(side, int) and side >= 0 for side in value):
        raise ValueError("an array's shape is integers")
    return value


def _ordered_dict(pairs: Any = ()) -> dict[Any, Any]:
    if not all(isinstance(key, (str, bytes, int)) for key, _ in pairs):
        raise ValueError("a key that is no name")
    return dict(pairs)


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise RefusedError("it calls _codecs.encode for more than Latin-1 bytes")
    return text.encode("latin-1")


def _members(values: Any) -> list[Any]:
    if not isinstance(values, list) or not all(isinstance(value, (str, bytes, int, float, type(None))) for value in values):
        raise ValueError("a set of something else than names and numbers")
    return values


_MAKERS: Mapping[str, Callable[..., Any] | None] = {
    "numpy.ndarray": None,
    "numpy.dtype": _new_dtype,
    "numpy.core.multiarray._reconstruct": _empty_array,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": _from_buffer,
    "collections.OrderedDict": _ordered_dict,
    "builtins.set": lambda values: set(_members(values)),
    "builtins.frozenset": lambda values: frozenset(_members(values)),
    "builtins.bytes": lambda: b"",  # Python 3's empty bytes in protocols 0 to 2
    "_codecs.encode": _encode,
}
