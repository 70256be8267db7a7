"""Arrays and plain containers out of a pickle that is read, not executed.

A pickle is a program for a stack machine, and Python's own unpickler lets it import and call anything. This machine has the
same opcodes and nothing to import with: a name in the file is looked up in a closed table of makers (``makers``), and
one that is not in it ends the reading before anything else of the file is looked at. What it builds is bounded by the file's
size: lengths are checked against what is left of the file, the memo is a dict, and nothing is compared, hashed or recursed into
deeply.

Pickles of Python 2 and 3 are read, protocols 0 to 5; Python 2's byte strings become str by Latin-1, byte for byte.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from resdet.errors import DataError
from resdet.files import regular
from resdet.pickles.makers import RefusedError, build, find_maker
from resdet.wording import reason_of

# a model of some hundred tensors is some ten thousand, CIFAR-100 with its labels and names some 300,000
_MOST_OPERATIONS = 1_000_000
_KEYS = (str, bytes, int, float, type(None))  # cheap to hash: a tuple of tuples of tuples … is not


def read_pickle(path: str | Path) -> Any:
    """The value that a pickle file holds: numpy arrays, numbers, strings and plain containers of them.

    Raises:
        DataError: the file is no pickle, is truncated, or names anything else; it says what and where.
    """
    try:
        data = regular(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    machine = _Machine(data)
    try:
        return machine.run()
    except RefusedError as error:
        raise DataError(f"{path}: cannot be read without executing a pickle: {error} at byte {machine.operation}") from error
    except (LookupError, TypeError, ValueError, OverflowError, MemoryError, struct.error) as error:
        reason = reason_of(error, 100)
        raise DataError(
            f"{path}: a broken or truncated pickle, at byte {machine.operation} of {len(data)}: {reason}"
        ) from error


class _Machine:
    """The stack machine; ``operation`` is the byte at which the operation under way starts."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0
        self.operation = 0
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # the stacks under the open marks
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        for _ in range(_MOST_OPERATIONS):
            self.operation = self.position
            code = self.take(1)
            if code == b".":
                return self.stack.pop()
            if code in _VALUES:
                value = _VALUES[code](self)  # first: to close a mark changes the stack
                self.stack.append(value)
            elif code in _OPERATIONS:
                _OPERATIONS[code](self)
            else:
                raise RefusedError(_FORBIDDEN[code]) if code in _FORBIDDEN else ValueError(f"no opcode {code!r}")
        raise ValueError(f"more than {_MOST_OPERATIONS} operations")

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        end = self.position + count
        if count < 0 or end > len(self.data):
            raise ValueError(f"{count} bytes wanted, {len(self.data) - self.position} are left")
        part = self.data[self.position : end]
        self.position = end
        return part

    def line(self) -> bytes:
        """The bytes up to the next line feed, which is skipped."""
        end = self.data.index(b"\n", self.position)
        return self.take(end + 1 - self.position)[:-1]

    def number(self, layout: str) -> int:
        """An integer of a ``struct`` layout."""
        value: int = struct.unpack(layout, self.take(struct.calcsize(layout)))[0]
        return value

    def sized(self, layout: str) -> bytes:
        """As many bytes as the integer before them says."""
        return self.take(self.number(layout))

    def since_mark(self) -> list[Any]:
        """The values above the last mark; the mark goes."""
        values = self.stack
        self.stack = self.below.pop()
        return values

    def pop_tuple(self, count: int) -> None:
        if count > len(self.stack):
            raise IndexError("an empty stack")
        self.stack[-count:] = [tuple(self.stack[-count:])]


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")


def _decimal(text: bytes) -> int | bool:
    if text in (b"00", b"01"):  # protocol 0 and 1 write a bool so
        return text == b"01"
    return int(text)


def _quoted(text: bytes) -> str:
    """Python 2's ``repr`` of a byte string."""
    text = text.strip()
    if len(text) < 2 or text[:1] not in (b"'", b'"') or text[-1:] != text[:1]:
        raise ValueError("a string without quotes")
    return codecs.escape_decode(text[1:-1])[0].decode("latin-1")


def _long(raw: bytes) -> int:
    return int.from_bytes(raw, "little", signed=True)


_VALUES: Mapping[bytes, Callable[[_Machine], Any]] = {
    b"N": lambda _: None,
    b"\x88": lambda _: True,
    b"\x89": lambda _: False,
    b"I": lambda machine: _decimal(machine.line()),
    b"L": lambda machine: int(machine.line().rstrip(b"L")),
    b"J": lambda machine: machine.number("<i"),
    b"K": lambda machine: machine.number("<B"),
    b"M": lambda machine: machine.number("<H"),
    b"\x8a": lambda machine: _long(machine.sized("<B")),
    b"\x8b": lambda machine: _long(machine.sized("<i")),
    b"F": lambda machine: float(machine.line()),
    b"G": lambda machine: struct.unpack(">d", machine.take(8))[0],
    b"S": lambda machine: _quoted(machine.line()),
    b"T": lambda machine: machine.sized("<i").decode("latin-1"),
    b"U": lambda machine: machine.sized("<B").decode("latin-1"),
    b"V": lambda machine: machine.line().decode("raw-unicode-escape"),
    b"X": lambda machine: _text(machine.sized("<I")),
    b"\x8c": lambda machine: _text(machine.sized("<B")),
    b"\x8d": lambda machine: _text(machine.sized("<Q")),
    b"B": lambda machine: machine.sized("<I"),
    b"C": lambda machine: machine.sized("<B"),
    b"\x8e": lambda machine: machine.sized("<Q"),
    b"\x96": lambda machine: machine.sized("<Q"),
    b"]": lambda _: [],
    b"}": lambda _: {},
    b")": lambda _: (),
    b"\x8f": lambda _: set(),
    b"g": lambda machine: machine.memo[int(machine.line())],
    b"h": lambda machine: machine.memo[machine.number("<B")],
    b"j": lambda machine: machine.memo[machine.number("<I")],
    b"2": lambda machine: machine.stack[-1],
    b"l": lambda machine: machine.since_mark(),
    b"t": lambda machine: tuple(machine.since_mark()),
    b"d": lambda machine: _pairs(machine.since_mark()),
    b"\x91": lambda machine: frozenset(map(_key, machine.since_mark())),
    b"c": lambda machine: find_maker(machine.line().decode(), machine.line().decode()),
}


def _key(value: Any) -> Any:
    if not isinstance(value, _KEYS):
        raise ValueError(f"a {type(value).__name__} as a key")
    return value


def _pairs(values: list[Any]) -> dict[Any, Any]:
    return {_key(key): value for key, value in zip(values[::2], values[1::2], strict=True)}


def _target(machine: _Machine, kind: type) -> Any:
    """The container that is filled."""
    if type(machine.stack[-1]) is not kind:
        raise ValueError(f"a {type(machine.stack[-1]).__name__} where a {kind.__name__} is filled")
    return machine.stack[-1]


def _append(machine: _Machine) -> None:
    value = machine.stack.pop()
    _target(machine, list).append(value)


def _set_item(machine: _Machine) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    _target(machine, dict)[_key(key)] = value


def _extend(machine: _Machine) -> None:
    values = machine.since_mark()
    _target(machine, list).extend(values)


def _set_items(machine: _Machine) -> None:
    values = machine.since_mark()
    _target(machine, dict).update(_pairs(values))


def _add_items(machine: _Machine) -> None:
    values = machine.since_mark()
    _target(machine, set).update(map(_key, values))


def _mark(machine: _Machine) -> None:
    machine.below.append(machine.stack)
    machine.stack = []


def _remember(machine: _Machine, index: int) -> None:
    machine.memo[index] = machine.stack[-1]


def _stack_global(machine: _Machine) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise ValueError("a name that is no string")
    machine.stack.append(find_maker(module, name))


def _reduce(machine: _Machine) -> None:
    arguments, maker = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(build(maker, arguments))


def _set_state(machine: _Machine) -> None:
    state = machine.stack.pop()
    build(machine.stack[-1], state, fill=True)


_OPERATIONS: Mapping[bytes, Callable[[_Machine], object]] = {
    b"\x80": lambda machine: machine.take(1),  # the protocol
    b"\x95": lambda machine: machine.take(8),  # a frame's length, a hint for readers of streams
    b"(": _mark,
    b"0": lambda machine: machine.stack.pop() if machine.stack else machine.since_mark(),
    b"1": lambda machine: machine.since_mark(),
    b"\x85": lambda machine: machine.pop_tuple(1),
    b"\x86": lambda machine: machine.pop_tuple(2),
    b"\x87": lambda machine: machine.pop_tuple(3),
    b"a": _append,
    b"e": _extend,
    b"s": _set_item,
    b"u": _set_items,
    b"\x90": _add_items,
    b"p": lambda machine: _remember(machine, int(machine.line())),
    b"q": lambda machine: _remember(machine, machine.number("<B")),
    b"r": lambda machine: _remember(machine, machine.number("<I")),
    b"\x94": lambda machine: _remember(machine, len(machine.memo)),
    b"\x93": _stack_global,
    b"R": _reduce,
    b"b": _set_state,
}

_FORBIDDEN: Mapping[bytes, str] = {
    b"i": "it makes an instance (INST)",
    b"o": "it makes an instance (OBJ)",
    b"\x81": "it makes an instance (NEWOBJ)",
    b"\x92": "it makes an instance (NEWOBJ_EX)",
    b"\x82": "it uses a registered extension (EXT1)",
    b"\x83": "it uses a registered extension (EXT2)",
    b"\x84": "it uses a registered extension (EXT4)",
    b"P": "it refers to an object outside of the file (PERSID)",
    b"Q": "it refers to an object outside of the file (BINPERSID)",
    b"\x97": "it refers to a buffer outside of the file (NEXT_BUFFER)",
    b"\x98": "it refers to a buffer outside of the file (READONLY_BUFFER)",
}
