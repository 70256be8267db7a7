"""The reader of pickles: what it reads is what Python's own reads."""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from pickled import read_pickled

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
DTYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]
names = st.one_of(st.text(max_size=6), st.binary(max_size=6), st.integers(), st.booleans(), st.none())
plain = st.recursive(
    st.one_of(names, st.floats(allow_nan=False)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=5).map(tuple),
        st.dictionaries(names, inner, max_size=4),
        st.dictionaries(names, inner, max_size=4).map(OrderedDict),
        st.sets(names, max_size=4),
        st.frozensets(names, max_size=4),
    ),
    max_leaves=12,
)
arrays = st.tuples(st.sampled_from(DTYPES), st.sampled_from("<>")).flatmap(
    lambda kind: npst.arrays(np.dtype(kind[0]).newbyteorder(kind[1]), npst.array_shapes(min_dims=0, min_side=0, max_side=4))
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pickles")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(value=plain)
@settings(max_examples=60)
def test_plain_values_are_those_of_pickle(folder: Path, protocol: int, value: object) -> None:
    assert read_pickled(folder, pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(array=arrays, fortran=st.booleans())
@settings(max_examples=40)
def test_arrays_are_those_of_pickle(folder: Path, protocol: int, array: np.ndarray, fortran: bool) -> None:
    array = np.asfortranarray(array) if fortran else array
    data = pickle.dumps([array, array[::-1] if array.ndim else array], protocol)
    for read, expected in zip(read_pickled(folder, data), pickle.loads(data), strict=True):
        assert (read.dtype, read.shape) == (expected.dtype, expected.shape)
        assert read.tobytes() == expected.tobytes()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_numbers_of_numpy_long_integers_and_shared_values(tmp_path: Path, protocol: int) -> None:
    shared = [1]
    value = {"half": np.float16(0.5), "int": np.int64(-7), "flag": np.bool_(True), "long": -(2**2000), "a": shared, "b": shared}
    read = read_pickled(tmp_path, pickle.dumps(value, protocol))
    assert read == {"half": 0.5, "int": -7, "flag": True, "long": -(2**2000), "a": [1], "b": [1]}
    assert read["a"] is read["b"]


def _python2_array(array: np.ndarray, protocol: int) -> bytes:
    """The pickle that Python 2's numpy made of an array: byte strings for names and for the data, numpy's old module names."""
    raw = array.tobytes()
    dtype, order = array.dtype.str[1:].encode(), array.dtype.str[:1].encode()
    if protocol == 0:
        head = b"cnumpy.core.multiarray\n_reconstruct\np0\n(cnumpy\nndarray\np1\n(I0\ntp2\nS'b'\np3\ntp4\nRp5\n"
        shape = b"(" + b"".join(b"I%d\n" % side for side in array.shape) + b"tp6\n"
        kind = b"cnumpy\ndtype\np7\n(S'" + dtype + b"'\np8\nI0\nI1\ntp9\nRp10\n"
        kind += b"(I3\nS'" + order + b"'\np11\nNNNI-1\nI-1\nI0\ntp12\nb"
        text = "".join(f"\\x{byte:02x}" if byte < 32 or byte > 126 or byte in b"'\\" else chr(byte) for byte in raw)
        return head + b"(I1\n" + shape + kind + b"I00\nS'" + text.encode() + b"'\np13\ntp14\nb."
    head = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\x85q\x02U\x01b\x87q\x03Rq\x04"
    shape = b"(" + b"".join(b"K%c" % side for side in array.shape) + b"tq\x05"
    kind = b"cnumpy\ndtype\nq\x06U" + struct.pack("B", len(dtype)) + dtype + b"K\x00K\x01\x87q\x07Rq\x08"
    kind += b"(K\x03U\x01" + order + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    return head + b"(K\x01" + shape + kind + b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb."


@pytest.mark.parametrize("protocol", [0, 2])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<i8", "<f8"])
def test_python_2_arrays(tmp_path: Path, protocol: int, dtype: str) -> None:
    array = np.arange(-100, 116, 9, dtype=dtype).reshape(2, 3, 4)
    data = _python2_array(array, protocol)
    expected = pickle.loads(data, encoding="latin1")
    np.testing.assert_array_equal(expected, array)  # the bytes above are a pickle
    read = read_pickled(tmp_path, data)
    np.testing.assert_array_equal(read, array)
    assert read.dtype == expected.dtype


def test_python_2_byte_strings_are_latin_1(tmp_path: Path) -> None:
    data = b"\x80\x02]q\x00(U\x03\xe4\x00\xffS'a\\xe4\\n\"\\''\nS\"it's\"\ne."
    assert read_pickled(tmp_path, data) == ["ä\x00ÿ", "aä\n\"'", "it's"] == pickle.loads(data, encoding="latin1")


def test_attributes_of_an_ordered_dict_are_left_out(tmp_path: Path) -> None:
    state = OrderedDict(a=1)
    state._metadata = {"": {"version": 1}}  # torch's state dicts have it
    for protocol in PROTOCOLS:
        read = read_pickled(tmp_path, pickle.dumps(state, protocol))
        assert read == {"a": 1}
        assert type(read) is dict
