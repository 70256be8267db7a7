"""The reader of pickles: attacks, what is not plain, and broken files are refused, and nothing of them has run."""

from __future__ import annotations

import contextlib
import copyreg
import os
import pickle
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pickled import read_pickled

from resdet.errors import DataError


def _call(module: str, name: str, *arguments: str) -> bytes:
    return f"c{module}\n{name}\n(".encode() + b"".join(f"V{text}\n".encode() for text in arguments) + b"tR."


class _Reduced:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> Any:
        return self.reduced


def _attacks(trace: Path) -> dict[str, tuple[bytes, str]]:
    """Pickles that make the file ``trace`` when Python reads them, and what the refusal must name."""
    touch = f"touch {trace}"
    code = f"__import__('pathlib').Path({str(trace)!r}).touch()"
    system = f"{os.system.__module__}.system"
    stack_global = b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c" + struct.pack("B", len(touch)) + touch.encode() + b"\x85R."
    dotted = stack_global.replace(b"\x8c\x06system", b"\x8c\x0epath.os.system")
    module = _call("builtins", "__import__", "os")[:-1]
    objects = np.empty(1, dtype=object)
    objects[0] = _Reduced(os.system, touch)
    return {
        "os.system": (_call("os", "system", touch), "os.system"),
        "__reduce__": (pickle.dumps({"conv1_w": _Reduced(os.system, touch)}), system),
        "eval": (_call("builtins", "eval", code), "builtins.eval"),
        "eval of Python 2": (_call("__builtin__", "eval", code), "__builtin__.eval"),
        "getattr": (b"cbuiltins\ngetattr\n(" + module + f"Vsystem\ntR(V{touch}\ntR.".encode(), "builtins.getattr"),
        "STACK_GLOBAL": (stack_global, "os.system"),
        "STACK_GLOBAL with dots": (dotted, "os.path.os.system"),
        "INST": (f"(V{touch}\nios\nsystem\n.".encode(), "it makes an instance (INST) at byte"),
        "OBJ": (b"(cos\nsystem\n" + f"V{touch}\no.".encode(), "os.system"),
        "numpy.save": (_call("numpy", "memmap", str(trace), "u1", "w+")[:-3] + b"I0\n(I1\nttR.", "numpy.memmap"),
        "runstring": (
            _call("numpy.testing._private.utils", "runstring", code)[:-3] + b"}tR.",
            "numpy.testing._private.utils.runstring",
        ),
        "array of objects": (pickle.dumps(objects), "type 'O8'"),
        "scalar's buffer": (
            b"cnumpy.core.multiarray\nscalar\n(" + _call("os", "system", touch)[:-1] + b"tR.",
            "os.system",
        ),
        "an extension": (b"\x80\x02\x82\xf0" + f"(V{touch}\ntR.".encode(), "it uses a registered extension (EXT1) at byte"),
        "a state": (b"}" + _call("os", "system", touch)[:-1] + b"b.", "os.system"),
    }


@pytest.fixture
def extension() -> Iterator[None]:
    copyreg.add_extension("os", "system", 240)
    yield
    copyreg.remove_extension("os", "system", 240)


ATTACKS = list(_attacks(Path("trace")))


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_attack_is_refused_by_name_and_has_not_run(tmp_path: Path, extension: None, attack: str) -> None:
    trace = tmp_path / "trace"
    data, name = _attacks(trace)[attack]
    with pytest.raises(DataError, match=r"weights\.pkl: cannot be read without executing a pickle: ") as caught:
        read_pickled(tmp_path, data)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not trace.exists()
    with contextlib.suppress(Exception):  # what it did before it failed is the point
        pickle.loads(data)
    assert trace.exists()  # the attack was one


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"ccollections\nOrderedDict\n(t\x81.", "it makes an instance (NEWOBJ) at byte"),
        (b"(ccollections\nOrderedDict\no.", "it makes an instance (OBJ) at byte"),
        (b"ccollections\nOrderedDict\n(t}\x92.", "it makes an instance (NEWOBJ_EX) at byte"),
        (b"\x83\x01\x00.", "it uses a registered extension (EXT2) at byte"),
        (b"\x84\x01\x00\x00\x00.", "it uses a registered extension (EXT4) at byte"),
        (b"Pstorage\n.", "it refers to an object outside of the file (PERSID) at byte"),
        (b"Vstorage\nQ.", "it refers to an object outside of the file (BINPERSID) at byte"),
        (b"\x97.", "it refers to a buffer outside of the file (NEXT_BUFFER) at byte"),
        (b"C\x01a\x98.", "it refers to a buffer outside of the file (READONLY_BUFFER) at byte"),
        (b"ccollections\nOrderedDict\n)b.", "sets the state of collections.OrderedDict"),
        (b"])b.", "sets the state of a list"),
        (b"])R.", "calls a list"),
        (b"cnumpy\nndarray\n)R.", "calls numpy.ndarray"),
        (b"ccollections\ndefaultdict\n)R.", "names collections.defaultdict"),
        (b"cbuiltins\nbytearray\n)R.", "names builtins.bytearray"),
        (b"V\\u000a\\u001b[2J\nVx\n\x93.", r"names \n\x1b[2J.x,"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n.", "names torch._utils._rebuild_tensor_v2"),
        (b"c_codecs\nencode\n(Vuryyb\nVrot13\ntR.", "_codecs.encode for more than Latin-1"),
        (b"cnumpy.core.multiarray\n_reconstruct\n(ccollections\nOrderedDict\n(I0\ntVb\ntR.", "class collections.OrderedDict"),
        (b"cnumpy\ndtype\n(VO8\nI0\nI1\ntR.", "type 'O8' instead of numbers"),
        (b"cnumpy\ndtype\n(VV99999999\nI0\nI1\ntR.", "type 'V99999999' instead of numbers"),
        (b"cnumpy\ndtype\n((ttR.", "type a tuple instead of numbers"),
        (pickle.dumps(np.array([1, "a"], dtype=object), 2), "type 'O8' instead of numbers"),
        (pickle.dumps(np.zeros(1, "f4,i4"), 2), "instead of numbers"),
        (pickle.dumps(np.array(["text"]), 2), "type 'U4' instead of numbers"),
        (pickle.dumps(np.array([1.0]).view(np.recarray), 2), "numpy.rec.recarray"),
    ],
)
def test_what_is_not_plain_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(DataError, match="without executing a pickle") as caught:
        read_pickled(tmp_path, data)
    assert message in str(caught.value)


def _array(shape: bytes, raw: bytes = b"C\x04abcd", dtype: bytes = b"Vf4\n") -> bytes:
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntVb\ntR"
    return made + b"(I1\n" + shape + b"cnumpy\ndtype\n(" + dtype + b"I0\nI1\ntR(I3\nV<\nNNNI-1\nI-1\nI0\ntbI00\n" + raw + b"tb."


def test_the_array_that_the_broken_ones_start_from_is_read(tmp_path: Path) -> None:
    assert read_pickled(tmp_path, _array(b"(I1\nt")).tobytes() == b"abcd"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        b"garbage",
        b".",
        b"(.",
        b"N",
        b"t.",
        b"\x86.",
        b"a.",
        b"N]s.",
        b"h\x00.",
        b"R.",
        b"b.",
        b"\x93.",
        b"K\x01K\x02\x93.",
        b"I12x\n.",
        b"I" + b"9" * 10_000 + b"\n.",
        b"Snot quoted\n.",
        b"V\\ud8\n.",
        b"X\x04\x00\x00\x00\xff\xff\xff\xff.",
        b"]]\x85]s.",
        b"}]Ns.",  # a list as a key
        b"}(tNs.",  # a tuple as a key
        b"]K\x01\x91.",
        b"T\xff\xff\xff\xff.",  # a length of -1
        b"\x8b\xff\xff\xff\xff.",
        b"\x8e" + b"\xff" * 8 + b".",  # bytes of 16 EiB
        b"B\xff\xff\xff\x7fab.",  # bytes of 2 GiB
        b"X\xff\xff\xff\xffab.",
        b"\x96\xff\xff\xff\xff\xff\xff\xff\x7f.",
        _array(b"(I2\nt"),
        _array(b"(I-1\nt"),
        _array(b"(I99999999999\nt"),
        _array(b"(I4611686018427387904\nI4\nt"),
        _array(b"(F1.0\nt"),
        _array(b"I1\n"),
        _array(b"(I1\nt", raw=b"N"),
        _array(b"(I1\nt")[:-1] + b"(I1\n(I1\ntNI00\nC\x04abcdtb.",  # filled twice
        _array(b"(I1\nt").replace(b"(I0\ntVb\n", b"(I999999999999\ntVb\n"),
        b"cbuiltins\nbytes\n(I9999999999\ntR.",
        b"ccollections\nOrderedDict\n(I1\ntR.",
        b"cnumpy.core.numeric\n_frombuffer\n(C\x04abcd" + b"NNNtR.",
    ],
)
def test_a_broken_pickle_is_bad_data(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(DataError, match=r"weights\.pkl: (a broken or truncated pickle, at byte \d+|cannot be read without)"):
        read_pickled(tmp_path, data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"ccollections\nOrderedDict\n((((I1\ntI2\ntltR.", "a key that is no name"),
        (b"cbuiltins\nset\n(((I1\ntltR.", "a set of something else than names and numbers"),
        (_array(b"(I1\nt").replace(b"(I0\ntVb\n", b"(I1\ntVb\n"), "an array that is not empty at first"),
        (_array(b"(I1\nt").replace(b"(I0\ntVb\n", b"(I0\ntVi\n"), "an array that is not empty at first"),
        (_array(b"(I1\nt")[:-1] + b"(I1\n(I1\ntNI00\nC\x04abcdtb.", "an array that is filled twice"),
        (_array(b"(I-1\nt"), "an array's shape is integers"),
        (_array(b"(I1\nt", raw=b"N"), "bytes are wanted, got NoneType"),
        (b"cnumpy.core.numeric\n_frombuffer\n(C\x04abcdNNNtR.", "an array's order is C or F, got NoneType"),
        (b"cnumpy.core.multiarray\nscalar\n(I1\nC\x01atR.", "a dtype is wanted, got int"),
        (b"]Nb.", "a tuple is wanted, got NoneType"),
        (b"K\x01K\x02\x93.", "a name that is no string"),
        (b"Snot quoted\n.", "a string without quotes"),
        (b"\x86.", "an empty stack"),
        (b"\x80", "1 bytes wanted, 0 are left"),
        (b"\xff", r"no opcode b'\xff'"),
        (b"]]\x85]s.", "a list where a dict is filled"),
        (b"}]Ns.", "a list as a key"),
    ],
)
def test_what_is_broken_is_told(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(DataError) as caught:
        read_pickled(tmp_path, data)
    place, _, told = str(caught.value).partition(f" of {len(data)}: ")
    assert " a broken or truncated pickle, at byte " in place
    assert told == reason


def test_bombs_stay_small(tmp_path: Path) -> None:
    # 2**60 elements for whoever looks at each; a memo of four thousand million entries; a hundred thousand levels
    doubled = b"]" + b"2\x86" * 60 + b"."
    assert isinstance(read_pickled(tmp_path, doubled), tuple)
    assert read_pickled(tmp_path, b"Kar\xff\xff\xff\xff.") == 97
    assert isinstance(read_pickled(tmp_path, b"(" * 100_000 + b"t" * 100_000 + b"."), tuple)
    with pytest.raises(DataError, match="a tuple as a key"):  # which would be hashed for 2**60 steps
        read_pickled(tmp_path, b"}K\x01" + b"2\x86" * 60 + b"Ns.")
    with pytest.raises(DataError, match="more than 1000000 operations"):
        read_pickled(tmp_path, b"N0" * 500_001 + b".")


def test_every_truncation_and_many_changes_of_a_real_pickle_are_bad_data_or_plain(tmp_path: Path) -> None:
    data = pickle.dumps({"blobs": {"conv1_w": np.ones((2, 3), "f4"), "b": [1.5, "x", b"y", (True, None)]}}, 2)
    for end in range(len(data)):
        with pytest.raises(DataError):
            read_pickled(tmp_path, data[:end])
    random.seed(0)
    plain_types = (dict, list, tuple, set, frozenset, str, bytes, int, float, type(None), np.ndarray)
    for _ in range(800):
        changed = bytearray(data)
        for _ in range(random.randint(1, 3)):
            changed[random.randrange(len(data))] = random.randrange(256)
        try:
            value = read_pickled(tmp_path, bytes(changed))
        except DataError:
            continue
        assert isinstance(value, plain_types) or type(value).__module__ == "resdet.pickles.makers"
