"""Every opcode of plain values, also those that Python reads but hardly ever writes, against Python's own reader."""

from __future__ import annotations

import pickle
import pickletools
from pathlib import Path

import pytest
from pickled import read_pickled

from resdet.pickles.read import _OPERATIONS, _VALUES

EIGHT = b"\x02" + bytes(7)  # a length of two in eight bytes
PICKLES = [
    *(b"N.", b"\x88.", b"\x89.", b"I01\n.", b"I00\n.", b"I-12\n.", b"I1\n.", b"L-12L\n.", b"L12\n."),
    *(b"J\xfe\xff\xff\xff.", b"K\xfe.", b"M\xfe\xff.", b"\x8a\x00.", b"\x8a\x02\xfe\xff.", b"\x8b\x02\x00\x00\x00\xfe\xff."),
    *(
        b"F-1.5e3\n.",
        b"G\xbf\xf8\x00\x00\x00\x00\x00\x00.",
        b"S'a\\x00'\n.",
        b'S"it\'s"\n.',
        b"T\x02\x00\x00\x00\xe4b.",
        b"U\x02\xe4b.",
    ),
    *(
        b"V\\u20ac\xe4\n.",
        b"X\x02\x00\x00\x00\xc3\xa4.",
        b"\x8c\x02\xc3\xa4.",
        b"\x8d" + EIGHT + b"\xc3\xa4.",
        b"X\x00\x00\x00\x00.",
    ),
    *(b"B\x02\x00\x00\x00\xe4b.", b"C\x02\xe4b.", b"\x8e" + EIGHT + b"\xe4b.", b"\x96" + EIGHT + b"\xe4b."),
    *(b"].", b"}.", b").", b"\x8f.", b"(l.", b"(t.", b"(d.", b"(\x91.", b"(K\x01K\x02l.", b"(K\x01K\x02t.", b"(K\x01K\x02d."),
    *(b"(K\x01K\x02\x91.", b"K\x01\x85.", b"K\x01K\x02\x86.", b"K\x01K\x02K\x03\x87.", b"K\x012\x86."),
    *(b"]K\x01a.", b"](K\x01K\x02e.", b"}K\x01K\x02s.", b"}(K\x01K\x02K\x03K\x04u.", b"\x8f(K\x01K\x02\x90."),
    *(b"K\x01K\x020.", b"K\x01(0.", b"K\x01(K\x02K\x031.", b"K\x01(K\x02(K\x03t1."),
    *(
        b"K\x01p300\n0g300\n.",
        b"K\x01q\xfe0h\xfe.",
        b"K\x01r\x00\x01\x00\x000j\x00\x01\x00\x00.",
        b"K\x01\x94K\x02\x94h\x00\x86.",
    ),
    *(b"\x80\x04\x95\x03\x00\x00\x00\x00\x00\x00\x00K\x01.", b"\x80\x02K\x01.rest of the file"),
]
# they make what a name says: tested with the names
OF_MAKERS = {b"c", b"\x93", b"R", b"b"}


@pytest.mark.parametrize("data", PICKLES, ids=repr)
def test_it_is_read_as_python_reads_it(data: bytes, tmp_path: Path) -> None:
    expected = pickle.loads(data, encoding="latin1")
    found = read_pickled(tmp_path, data)
    assert found == expected
    assert type(found) is (bytes if isinstance(expected, bytearray) else type(expected))


def test_no_opcode_is_left_out() -> None:
    tested = {opcode.code.encode("latin1") for data in PICKLES for opcode, _, _ in pickletools.genops(data)}
    assert tested >= {*_VALUES, *_OPERATIONS} - OF_MAKERS
