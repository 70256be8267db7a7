"""Files that people take for weights, and what to do about each."""

from __future__ import annotations

import zipfile
from pathlib import Path

_LFS = b"version https://git-lfs"
_PAGES = (b"<!doctype", b"<html", b"<?xml", b"<head")


def no_weights(path: Path) -> str | None:
    """Why a file holds no tensors, and the way out, in a line; None where that cannot be seen from outside."""
    with path.open("rb") as file:
        start = file.read(512)
    if start.startswith(_LFS):
        return "is a pointer of Git LFS in place of the file: `git lfs pull` gets it"
    if start.lstrip().lower().startswith(_PAGES):
        return "is a web page, saved in place of the file: download it from its own address, perhaps after logging in"
    if start.startswith(b"PK") and _is_torchscript(path):
        return (
            "is TorchScript, a program with its tensors: in Python, "
            "torch.save(torch.jit.load(FILE).state_dict(), 'weights.pth') writes the tensors alone"
        )
    return None


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.partition("/")[2] for name in archive.namelist()]
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError):
        return False
    return "constants.pkl" in names and any(name.startswith("code/") for name in names)
