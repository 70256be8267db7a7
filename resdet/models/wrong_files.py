"""Files that people take for weights, and what to do about each."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

_PACKED = "is compressed: unpack it, and name the file of weights in it"
_FROM_NUMPY = "torch.save({name: torch.from_numpy(array), …}, 'weights.pth') writes tensors under their names"
_FROM_PARTS = (
    "in Python, torch.save({name: tensor for part in PARTS for name, tensor in safetensors.torch.load_file(part).items()}, "
    "'weights.pth') writes one file of them"
)
_FROM_DCP = "torch.distributed.checkpoint.format_utils.dcp_to_torch_save(FOLDER, 'weights.pth') writes one file of all"
# how files of other kinds begin, and what each is
_STARTS = {
    b"version https://git-lfs": "is a pointer of Git LFS in place of the file: `git lfs pull` gets it",
    **dict.fromkeys((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf", b"Rar!"), _PACKED),
    b"\x89HDF": "is HDF5, Keras's or MATLAB's, which is not read",
    b"MATLAB ": "is MATLAB's, which is not read",
    b"GGUF": "is GGUF, of language models, which is not read",
    b"\x93NUMPY": f"is one array of numpy's: {_FROM_NUMPY}",
    b"{": f"is JSON, and holds no tensors: an index of parts, perhaps: {_FROM_PARTS}",
}
# by the end of its name, what a file is that begins like no file of tensors
_ENDS = {
    **dict.fromkeys((".pb", ".index", ".tflite"), "is TensorFlow's, which is not read"),
    ".keras": "is Keras's, which is not read",
    ".msgpack": "is Flax's, which is not read",
    ".caffemodel": "is Caffe's, which is not read",
    ".params": "is MXNet's, which is not read",
    ".onnx": "is a graph of ONNX, of which no network can be made",
    ".distcp": f"is a part of a checkpoint: {_FROM_DCP}",
}
_HTML = (b"<!doctype html", b"<html")
_PAGES = (b"<!doctype", b"<html", b"<head")
_GRAPH = (b"<net ", b"<net>")
_PART = re.compile(r"-\d{5}-of-\d{5}$")


def no_weights(path: Path) -> str | None:
    """Why a file holds no tensors, and the way out, in a line; None where that cannot be seen from outside."""
    start = _start(path)
    if what := _common_mistake(start):
        return what
    if (markup := _markup(start)) is not None:
        return (
            "is a graph of OpenVINO, of which no network can be made" if _is_graph(markup) else "is XML, and holds no tensors"
        )
    if start.startswith(b"PK"):
        names = _members(path)
        return _program(names) or _other_archive(names)
    return _of_others(path, start)


def mistaken(path: Path) -> str | None:
    """What a file is that ought to be an exported one, in a line; None where that cannot be seen from outside."""
    start = _start(path)
    if what := _common_mistake(start):
        return what
    if start.startswith(b"PK"):
        return "is a zip file: an archive, or of torch"
    markup = _markup(start)
    graph = markup is not None and _is_graph(markup)
    if path.suffix.lower() == ".xml" and not graph:
        return "is no graph of OpenVINO: must begin with <net"
    if path.suffix.lower() != ".xml" and markup is not None:
        return "is a graph of OpenVINO: its name must end in .xml" if graph else "is XML, and no graph of ONNX"
    return None


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(512)


def _common_mistake(start: bytes) -> str | None:
    """What a file is that begins so, when that is neither weights nor a graph."""
    if not start:
        return "is empty"
    if what := next((what for known, what in _STARTS.items() if start.startswith(known)), None):
        return what
    markup = _markup(start) or b""
    if markup.startswith(_PAGES) or any(each in markup for each in _HTML):
        return "is a web page, saved in place of the file: download it from its own address, perhaps after logging in"
    return None


def _markup(start: bytes) -> bytes | None:
    """The beginning of a page or of XML, in small letters; None for what begins otherwise."""
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return text if text.startswith((*_PAGES, *_GRAPH, b"<?xml")) else None


def _is_graph(markup: bytes) -> bool:
    return any(each in markup for each in _GRAPH)


def part_of(path: Path) -> str:
    """What is said of a file that by its name is one of several parts; "" for any other."""
    return f"; by its name it is one part of several: {_FROM_PARTS}" if _PART.search(path.stem) else ""


def _of_others(path: Path, start: bytes) -> str | None:
    """What a file is by the bytes after its beginning, or by its name; None where it may hold tensors."""
    if start.startswith(b"\x80") or start[8:9] == b"{":  # a pickle, safetensors
        return None
    if start[257:262] == b"ustar":
        return _PACKED
    if path.suffix == ".bin" and path.with_suffix(".xml").is_file():
        return f"holds the numbers of a graph of OpenVINO, whose file is {path.with_suffix('.xml')}"
    if ".data-" in path.name and _PART.search(path.name):
        return _ENDS[".index"]
    return _ENDS.get(path.suffix) or _text(path, start)


def _text(path: Path, start: bytes) -> str | None:
    """What a text is: the answer of a server in place of the file; None where it is none, or may be a pickle of old."""
    try:
        text = " ".join(start.decode().split())
    except UnicodeDecodeError:
        return None
    if path.suffix == ".pkl" or not text.isprintable():
        return None
    return f"is a text, and holds no tensors: {text[:60]!r}"


def _other_archive(names: list[str]) -> str | None:
    """What a zip file with such members is, when torch did not write it; None where it did, or it cannot be read."""
    if not names or any(name.rpartition("/")[2] == "data.pkl" for name in names):
        return None
    if all(name.endswith(".npy") for name in names):
        return "is an archive of numpy's: numpy.load(FILE) has its arrays, and " + _FROM_NUMPY
    return _ENDS[".keras"] if "model.weights.h5" in names else _PACKED


def _program(names: list[str]) -> str | None:
    """What a zip file with such members is, when it is a program and not tensors."""
    if "constants.pkl" in names and any(name.startswith("code/") for name in names):
        return (
            "is TorchScript, a program with its tensors: in Python, "
            "torch.save(torch.jit.load(FILE).state_dict(), 'weights.pth') writes the tensors alone"
        )
    exported = "archive_format" in names and any(name.startswith(("models/", "data/aotinductor/")) for name in names)
    if exported or "serialized_exported_program.json" in names:  # so torch 2.6 has it
        return (
            "is a program of torch.export, with its tensors or compiled, which torch's reader executes: where you trust it, "
            "torch.save(torch.export.load(FILE).state_dict, 'weights.pth') writes the tensors of one that is not compiled"
        )
    return None


def _members(path: Path) -> list[str]:
    """The names in a zip file, without the first folder; [] when it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.partition("/")[2] or name for name in archive.namelist()]
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError):
        return []
