"""Files that people take for weights, and what to do about each."""

from __future__ import annotations

import zipfile
from pathlib import Path

# how files of other kinds begin, and what each is
_STARTS = {
    b"version https://git-lfs": "is a pointer of Git LFS in place of the file: `git lfs pull` gets it",
    b"\x1f\x8b": "is compressed by gzip: unpack it, and name the file of weights in it",
    b"\x89HDF": "is HDF5, Keras's or MATLAB's, which is not read",
    b"{": "is JSON, and holds no tensors: an index of parts, perhaps, whose tensors one file must hold",
}
_PAGES = (b"<!doctype", b"<html", b"<?xml", b"<head")


def no_weights(path: Path) -> str | None:
    """Why a file holds no tensors, and the way out, in a line; None where that cannot be seen from outside."""
    with path.open("rb") as file:
        start = file.read(512)
    if not start:
        return "is empty"
    if what := next((what for known, what in _STARTS.items() if start.startswith(known)), None):
        return what
    if start.lstrip().lower().startswith(_PAGES):
        return "is a web page, saved in place of the file: download it from its own address, perhaps after logging in"
    return _program(_members(path)) if start.startswith(b"PK") else None


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
