"""Where the files are that come with the package and are not imported: run files and benchmarks.

In a checkout and in a source distribution they lie at the top, where people look for them; in a wheel inside the package.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Literal


def shipped_folder(name: Literal["configs", "benchmarks"]) -> Path:
    """The folder ``name`` inside the package, or else at the top of the checkout; it may be missing from an installation."""
    inside, top = _package() / name, checkout()
    return inside if inside.is_dir() or top is None else top / name


def said_by_run_file(name: str, what: str) -> str:
    """What the comment at the head of a shipped run file says after ``what``, ``Hardware``, ``Time`` or ``To reach``.

    "" when there is no such file, or it says nothing of it.
    """
    path = shipped_folder("configs") / f"{name}.yaml"
    if not path.is_file():
        return ""
    lines = itertools.takewhile(lambda line: line.startswith("#"), path.read_text(encoding="utf-8").splitlines())
    comment = [line[1:] for line in lines]
    first = next((place for place, line in enumerate(comment) if line.strip().startswith(f"{what}:")), None)
    if first is None:
        return ""
    # what follows belongs to it as long as it is indented
    more = itertools.takewhile(lambda line: line.startswith("      "), comment[first + 1 :])
    return " ".join(" ".join([comment[first].partition(":")[2], *more]).split())


def checkout() -> Path | None:
    """The top of the checkout or source distribution that the package is a part of; ``None`` of an installation."""
    top = _package().parent
    # beside an installed package lie other packages' folders, and a `configs` may be one of them
    return top if (top / "pyproject.toml").is_file() else None


def _package() -> Path:
    from importlib.resources import files  # not above: help would start later

    return Path(str(files("resdet")))
