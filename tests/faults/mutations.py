"""Damage to files: the same number makes the same damage. Some of it is blind, some knows JSON, zip or safetensors."""

from __future__ import annotations

import io
import json
import random
import re
import struct
import zipfile
from collections.abc import Callable
from typing import Any

_NUMBERS = (
    b"-1",
    b"0",
    b"1e309",
    b"NaN",
    b"-0.0",
    b"9" * 400,
    b"9" * 5000,
    b"18446744073709551616",
    b"2147483648",
    b"0.5",
    b"",
)
_TEXTS = (
    b"null", b"[]", b"{}", b'""', b"true", b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"../../../etc/passwd", b"/etc/passwd",
    b"\r\n", b"[" * 3000, b"\x1b[31merror: \n", b"&a [*a]", b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>", b"=1+1",
    b"a" * 70_000,
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 2**31, 2**64, 10**400, 1e308, -0.5, float("nan"), float("inf"), "", "a", "../a", "/etc/passwd", "\ud800",
    "x" * 70_000, [], {}, [[]], [None] * 50, {"a": None}, "1", "\x00",
)  # fmt: skip
Draw = random.Random


def mutated(content: bytes, name: str, seed: str) -> bytes:
    """One damaged copy of a file's content.

    Args:
        content: of a good file.
        name: the file's, whose suffix says what may be known of the content.
        seed: another one, other damage.
    """
    draw = random.Random(seed)
    # half of the time what is inside of a container is damaged, whose own checksums would tell of all else
    if draw.random() < 0.5 and (inside := _inside(content, name)) is not None:
        try:
            return inside(content, draw)
        except (ValueError, KeyError, RecursionError, zipfile.BadZipFile, struct.error):
            pass
    for _ in range(draw.choice((1, 1, 1, 2, 4, 8))):
        content = draw.choice(_BLIND)(content, draw)
    return content


def _inside(content: bytes, name: str) -> Callable[[bytes, Draw], bytes] | None:
    if content[:2] == b"PK":
        return _in_zip
    if name.endswith(".safetensors"):
        return _in_safetensors
    if name.endswith(".jsonl"):
        return _in_json_line
    return _in_json if content[:1] in (b"{", b"[") else None


# ------------------------------------------------------------------------------------------------------------- blind


def _flip(content: bytes, draw: Draw) -> bytes:
    changed = bytearray(content)
    if changed:
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _byte(content: bytes, draw: Draw) -> bytes:
    place = draw.randrange(len(content) + 1)
    return content[:place] + bytes([draw.choice((0, 1, 127, 128, 255, draw.randrange(256)))]) + content[place + 1 :]


def _cut(content: bytes, draw: Draw) -> bytes:
    return content[: draw.randrange(len(content) + 1)]


def _span(content: bytes, draw: Draw) -> tuple[int, int]:
    first = draw.randrange(len(content) + 1)
    return first, min(len(content), first + draw.choice((1, 2, 4, 8, 64, 512)))


def _remove(content: bytes, draw: Draw) -> bytes:
    first, last = _span(content, draw)
    return content[:first] + content[last:]


def _repeat(content: bytes, draw: Draw) -> bytes:
    first, last = _span(content, draw)
    return content[:last] + content[first:last] * draw.choice((1, 2, 50)) + content[last:]


def _insert(content: bytes, draw: Draw) -> bytes:
    place = draw.randrange(len(content) + 1)
    return content[:place] + draw.choice(_TEXTS) + content[place:]


def _number(content: bytes, draw: Draw) -> bytes:
    found = list(re.finditer(rb"-?\d+(\.\d+)?", content))
    if not found:
        return _byte(content, draw)
    first, last = draw.choice(found).span()
    return content[:first] + draw.choice(_NUMBERS) + content[last:]


def _word(content: bytes, draw: Draw) -> bytes:
    """A word in place of another, or something that no word is."""
    found = list(re.finditer(rb"[A-Za-z_./]+", content))
    if not found:
        return _byte(content, draw)
    first, last = draw.choice(found).span()
    return content[:first] + draw.choice((draw.choice(found)[0], draw.choice(_TEXTS), b"")) + content[last:]


def _large(content: bytes, draw: Draw) -> bytes:
    """A number of four or eight bytes, as headers have them."""
    place = draw.randrange(len(content) + 1)
    kind = draw.choice(("<I", ">I", "<Q", "<H", ">H"))
    most = 256 ** struct.calcsize(kind)
    number = struct.pack(kind, draw.choice((0, 1, most - 1, most // 2, most // 2 - 1, draw.randrange(most))))
    return content[:place] + number + content[place + len(number) :]


_BLIND = (_flip, _flip, _byte, _byte, _cut, _remove, _repeat, _insert, _number, _number, _word, _word, _large, _large)


# ------------------------------------------------------------------------------------------------------------ inside


def _in_json(content: bytes, draw: Draw) -> bytes:
    return json.dumps(_in_value(json.loads(content), draw)).encode("utf-8", "surrogatepass")


def _in_json_line(content: bytes, draw: Draw) -> bytes:
    lines = content.splitlines()
    place = draw.randrange(len(lines))
    lines[place] = _in_json(lines[place], draw)
    return b"\n".join(lines)


def _in_value(value: Any, draw: Draw) -> Any:
    """The value with one part of it, at any depth, replaced, removed, repeated or called otherwise."""
    if isinstance(value, (dict, list)) and value and draw.random() < 0.85:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = draw.choice(keys)
        what = draw.random()
        if what < 0.7:
            value[key] = _in_value(value[key], draw)
        elif what < 0.85:
            del value[key]
        elif isinstance(value, dict):
            value[draw.choice(("a", "", "format", draw.choice(keys)))] = value.pop(key)
        else:
            value.append(value[key])
        return value
    if type(value) in (int, float) and draw.random() < 0.3:
        return draw.choice((-value, value * 1e6, value + 1, str(value), [value]))
    return draw.choice(_VALUES)


def _in_zip(content: bytes, draw: Draw) -> bytes:
    """Damage to a member, or to its name, whose checksum is then right."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(result, "w") as other:
        members = archive.namelist()
        chosen = draw.choice(members)
        for name in members:
            data = archive.read(name)
            if name == chosen and draw.random() < 0.15:
                name = draw.choice(("../a", "/tmp/a", name + "x", draw.choice(members), "a" * 300))
            elif name == chosen:
                data = mutated(data, name, str(draw.random()))
            other.writestr(name, data)
    return result.getvalue()


def _in_safetensors(content: bytes, draw: Draw) -> bytes:
    """Damage to the header, or to JSON in its metadata, whose length is then right."""
    length = struct.unpack("<Q", content[:8])[0]
    header, numbers = json.loads(content[8 : 8 + length]), content[8 + length :]
    metadata = header.get("__metadata__", {})
    if metadata and draw.random() < 0.7:
        key = draw.choice(list(metadata))
        text = metadata[key].encode()
        metadata[key] = (_in_json(text, draw) if text[:1] in b"{[" else _word(text, draw)).decode("utf-8", "replace")
    else:
        header = _in_value(header, draw)
    text = json.dumps(header).encode("utf-8", "replace")
    return struct.pack("<Q", len(text)) + text + numbers
